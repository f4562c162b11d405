package intake_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestToolsInPythonAreWhatTheyWere reads what pip installs: in this mode it takes no
// file with another hash.
func TestToolsInPythonAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if installs := regexp.MustCompile(`(?m)^.* pip install .*$`).FindAllString(string(makefile), -1); len(installs) != 1 || !strings.Contains(installs[0], " --require-hashes ") {
		t.Errorf("the Makefile installs with %q", installs)
	}
	requirements, err := os.ReadFile("local/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`(?m)^[\w.-]+==.*`).FindAllString(string(requirements), -1)
	if len(pinned) == 0 {
		t.Error("nothing is pinned")
	}
	for _, line := range pinned {
		if !strings.HasSuffix(line, ` \`) {
			t.Errorf("%s has no hash", line)
		}
	}
}

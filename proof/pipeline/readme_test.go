package pipeline_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"veryfi-intake/deployment/console"
	"veryfi-intake/local/demo"
	"veryfi-intake/local/machine"
	"veryfi-intake/local/stack"
)

// TestReadmeShowsWhatIsPrinted has a stack of its own run the demo of `make run`, and
// looks at it with `intake doctor`.
func TestReadmeShowsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	root, err := machine.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	var logs demo.Logs
	s, err := stack.Start(t.Context(), stack.Options{Root: root, Credentials: credentials, Log: logs.Add})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	var printed bytes.Buffer
	problems, err := demo.Run(t.Context(), s, credentials, &logs, console.New(&printed, false))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v: %q\n%s", err, problems, printed.String())
	}
	doctor := exec.CommandContext(t.Context(), "go", "run", "./cmd/intake", "doctor", "--local")
	doctor.Dir, doctor.Env = root, append(os.Environ(), "AWS_ENDPOINT_URL="+s.AWSURL)
	checked, err := doctor.Output() // with the status 1: rows need attention
	if err != nil && len(checked) == 0 {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for begin, printed := range map[string]string{"· delivering": printed.String(), "$ intake doctor --local\n": string(checked)} {
		_, shown, found := strings.Cut(string(readme), "\n```\n"+begin)
		shown, _, _ = strings.Cut(shown, "\n```\n")
		lines := strings.Split(shown, "\n")[1:]
		if !found || len(lines) < 5 {
			t.Errorf("README shows nothing of %q", begin)
		}
		was := "\n" + constant(printed) + "\n"
		for _, line := range lines {
			if left := strings.TrimSpace(line) == "…"; !left && !strings.Contains(was, "\n"+constant(line)+"\n") {
				t.Errorf("README shows %q, which is not printed in:\n%s", line, printed)
			}
		}
	}
}

// constant returns a text without what differs from run to run: numbers with their
// units, and the width of columns.
func constant(text string) string {
	text = regexp.MustCompile(`[0-9][0-9.]*( m?s\b| seconds?\b)?`).ReplaceAllString(text, "N")
	return regexp.MustCompile(`(?m)^ +| +$| {2,}`).ReplaceAllString(text, " ")
}

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var functions = []string{"webhook", "processor", "reconciler"}

const root = "../.."

// TestBinariesKeepTheirBudget measures against an empty function of the same Go, so
// that a new Go does not break it.
func TestBinariesKeepTheirBudget(t *testing.T) {
	t.Parallel()
	b := &bench{Options: Options{Root: root, Progress: func(string) {}, Table: func(table Table) {
		met := 0
		for _, row := range table.Rows {
			if row[6] == "met" {
				met++
			}
		}
		if met != 6 { // three functions for two architectures
			t.Errorf("%d budgets are kept: %q", met, table.Rows)
		}
	}}}
	if err := b.sizes(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestLinkerDropsWhatIsNotCalled holds as long as no method is looked up by a name
// that the linker cannot see: it would have to keep all methods of all types.
func TestLinkerDropsWhatIsNotCalled(t *testing.T) {
	t.Parallel()
	for _, name := range functions {
		if by := reflectMethods(t, "./functions/"+name); len(by) > 0 {
			t.Errorf("%s keeps all methods of all types because of %s", name, strings.Join(by, ", "))
		}
	}
	if by := reflectMethods(t, "./proof/bench/testdata/bynames"); len(by) == 0 {
		t.Error("a program that looks methods up by their names was not noticed")
	}
}

// reflectMethods returns the functions in a program that look methods up.
func reflectMethods(t *testing.T, pkg string) []string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "build", "-tags", "lambda.norpc,nethttpomithttp2", "-trimpath",
		"-ldflags", "-s -w -dumpdep", "-o", filepath.Join(t.TempDir(), "program"), pkg)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	dump, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %.2000s", err, dump)
	}
	var found []string
	for line := range strings.Lines(string(dump)) {
		if from, _, ok := strings.Cut(line, " -> "); ok && strings.Contains(from, "<ReflectMethod>") {
			found = append(found, from)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestFunctionsImportNothingLarge names what was left out on purpose.
func TestFunctionsImportNothingLarge(t *testing.T) {
	t.Parallel()
	const sdk = "github.com/aws/aws-sdk-go-v2/"
	for _, name := range functions {
		command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "lambda.norpc,nethttpomithttp2", "./functions/"+name)
		command.Dir = root
		list, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		packages := strings.Fields(string(list))
		for _, unwanted := range []string{
			"text/template", "html/template", "expvar", "testing", "net/rpc", "net/http/pprof", "net/http/httptest",
			sdk + "config", sdk + "credentials", sdk + "feature/dynamodb/attributevalue", sdk + "service/sts",
		} {
			if slices.Contains(packages, unwanted) {
				t.Errorf("%s imports %s, which makes it larger and slower to start", name, unwanted)
			}
		}
		for _, imported := range packages {
			if strings.HasPrefix(imported, "veryfi-intake/local/") {
				t.Errorf("%s imports %s, which is not deployed", name, imported)
			}
		}
	}
}

package mutants

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"veryfi-intake/local/machine"
)

// TestEveryTwinApplies keeps the patches in step with the code.
func TestEveryTwinApplies(t *testing.T) {
	root, err := machine.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	twins, err := readTwins("twins")
	if err != nil {
		t.Fatal(err)
	}
	if len(twins) < 100 {
		t.Errorf("only %d twins", len(twins))
	}
	for _, twin := range twins {
		twin.patch = filepath.Join(root, "proof", "mutants", twin.patch)
		if _, err := twin.apply(t.Context(), code{root: root}, t.TempDir()); err != nil {
			t.Errorf("%s: %v", twin.name, err)
		}
	}
}

// sample makes a module with one function, its test, and a patch.
func sample(t *testing.T, patches map[string]string) (root, folder string) {
	t.Helper()
	root = t.TempDir()
	files := map[string]string{
		"go.mod":         "module sample\n\ngo 1.26.0\n",
		"shared/a.go":    "package shared\n\n// Sum adds.\nfunc Sum(a, b int) int {\n\treturn a + b\n}\n\n// Unused is not tested.\nfunc Unused() int {\n\treturn 1\n}\n",
		"functions/b.go": "package functions\n",
		"shared/a_test.go": "package shared\n\nimport \"testing\"\n\nfunc TestSum(t *testing.T) {\n" +
			"\tif Sum(2, 3) != 5 {\n\t\tt.Error(\"wrong\")\n\t}\n}\n",
	}
	for name, patch := range patches {
		files["twins/"+name+".patch"] = patch
	}
	write(t, root, files)
	return root, filepath.Join(root, "twins")
}

// change returns a patch of shared/a.go.
func change(context, before, after string) string {
	return "It is broken.\n\n--- a/shared/a.go\n+++ b/shared/a.go\n@@ -4,3 +4,3 @@\n " + context + "\n-" + before + "\n+" + after + "\n }\n"
}

func TestTwinsAreJudged(t *testing.T) {
	t.Parallel()
	caught := change("func Sum(a, b int) int {", "\treturn a + b", "\treturn a - b")
	for name, test := range map[string]struct {
		patches map[string]string
		says    string
		fails   string
	}{
		"caught":       {map[string]string{"minus": caught}, "caught by sample/shared TestSum", ""},
		"survives":     {map[string]string{"minus": caught, "zero": strings.Replace(change("func Unused() int {", "\treturn 1", "\treturn 0"), "-4,3 +4,3", "-9,3 +9,3", 1)}, "SURVIVES", "1 of 2 twins: zero"},
		"compiles not": {map[string]string{"text": change("func Sum(a, b int) int {", "\treturn a + b", "\treturn nothing")}, "it does not compile", "1 of 1 twins: text"},
		"applies not":  {map[string]string{"old": change("func Sum(a, b int) int {", "\treturn a * b", "\treturn a - b")}, "the patch does not apply", "1 of 1 twins: old"},
		"no sentence":  {map[string]string{"mute": strings.TrimPrefix(caught, "It is broken.\n\n")}, "", "says in its first line"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, folder := sample(t, test.patches)
			var out bytes.Buffer
			err := tryTwins(t.Context(), code{root: root}, folder, []stage{{"./..."}}, nil, &out)
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) || !strings.Contains(out.String(), test.says) {
				t.Errorf("%v\n%s", err, &out)
			}
		})
	}
}

func TestTestsThatFailAnywayProveNothing(t *testing.T) {
	t.Parallel()
	root, folder := sample(t, map[string]string{"minus": change("func Sum(a, b int) int {", "\treturn a + b", "\treturn a - b")})
	write(t, root, map[string]string{"shared/b_test.go": "package shared\n\nimport \"testing\"\n\nfunc TestAlways(t *testing.T) { t.Error(\"always\") }\n"})
	err := tryTwins(t.Context(), code{root: root}, folder, []stage{{"./..."}}, nil, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "TestAlways") {
		t.Error(err)
	}
}

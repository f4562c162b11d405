package mutants

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachSmallWayToBreak(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.go": `package a

func f(x int, ok bool) (int, error) {
	switch {
	case x < 3 && ok:
		return 0, err
	}
	if !ok {
		x += 2
		x = T{A: x,
			B: ok}.A
	}
	for ok {
		x++
		f(x,
			ok)
		break
	}
	if g() {
		c <- x
		defer f(x, ok)
	}
	return x, nil
}
`})
	found, err := mutants(folder, "a.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		got = append(got, m.String())
	}
	want := []string{
		"a.go:5:13: || for &&", "a.go:5:9: <= for <", "a.go:5:11: 4 for 3",
		"a.go:6:13: nil for err", "a.go:6:10: 1 for 0",
		"a.go:8:5: without !",
		"a.go:9:5: -= for +=", "a.go:9:3: without x += 2", "a.go:9:8: 3 for 2",
		"a.go:10:3: without x = T{A: x, …", "a.go:10:9: without A: x, …", "a.go:11:4: without B: ok",
		"a.go:14:4: -- for ++",
		"a.go:15:3: without f(x, …", "a.go:17:3: without break",
		"a.go:19:5: ! for ",
		"a.go:20:3: without c <- x", "a.go:21:3: without defer f(x, ok)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// module makes a repository whose tests notice some breaks.
func module(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"go.mod":           "module sample\n\ngo 1.26.0\n",
		"untested/c.go":    "package untested\n\nfunc one() int { return 1 }\n",
		"tested/a.go":      "package tested\n\nfunc add(a, b int) int {\n\treturn a + b\n}\n\nfunc last(n int) (i int) {\n\tfor i < n {\n\t\ti++\n\t}\n\treturn i\n}\n",
		"tested/b.go":      "package tested\n\nfunc one() int {\n\treturn 1\n}\n\nfunc all(s []int) []int {\n\treturn s[0:]\n}\n",
		"tested/a_test.go": "package tested\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n\tif add(2, 3) != 5 || last(2) != 2 || len(all([]int{1})) != 1 {\n\t\tt.Error(\"wrong\")\n\t}\n}\n",
	})
	return folder
}

func TestWhatNoTestNoticesIsShown(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := Small(t.Context(), module(t), "", []string{"./..."}, &out); err != nil {
		t.Fatal(err)
	}
	want := `tested/b.go:4:9: 2 for 1
sample/tested: 4 of 5 noticed (80 %)
in all: 4 of 5 noticed (80 %)
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyChangedLinesAreBroken(t *testing.T) {
	t.Parallel()
	folder := module(t)
	for _, arguments := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "a"}} {
		command := exec.CommandContext(t.Context(), "git", arguments...)
		command.Dir = folder
		if text, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	write(t, folder, map[string]string{"tested/b.go": "package tested\n\nfunc one() int {\n\treturn 5\n}\n\nfunc all(s []int) []int {\n\treturn s[0:]\n}\n"})
	var out strings.Builder
	if err := Small(t.Context(), folder, "HEAD", []string{"./..."}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "tested/b.go:4:9: 6 for 5\nsample/tested: 0 of 1 noticed (0 %)\nin all: 0 of 1 noticed (0 %)\n"; out.String() != want {
		t.Errorf("got %s", out.String())
	}
}

func TestTestsThatFailAsTheyAreProveNothing(t *testing.T) {
	t.Parallel()
	folder := module(t)
	write(t, folder, map[string]string{"tested/b_test.go": "package tested\n\nimport \"testing\"\n\nfunc TestWrong(t *testing.T) { t.Fail() }\n"})
	if err := Small(t.Context(), folder, "", []string{"./tested"}, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "fail without a change") {
		t.Errorf("got %v", err)
	}
}

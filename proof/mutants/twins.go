package mutants

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stages are the tests in the order in which they are tried: what is quick and
// notices most comes first.
var stages = []stage{
	{"unit tests", []string{"-short", "-timeout", "90s", "./functions/...", "./shared/..."}},
	{"simulation", []string{"-run", "^TestSchedules$", "./proof/simulation", "-schedules=4000"}},
	{"real binaries", []string{"./proof/pipeline"}},
}

// Twins breaks the code as the patches in the folder twins do, one after another, or as those
// that are named, and prints which test notices each. The first line of a patch says what is
// wrong with the code.
//
// It fails when a twin survives, when a patch no longer applies, when a twin does not
// compile (that proves nothing), or when the tests fail without a twin.
func Twins(ctx context.Context, root string, names []string, out io.Writer) error {
	return judgeTwins(ctx, root, filepath.Join(root, "proof", "mutants", "twins"), stages, names, out)
}

func judgeTwins(ctx context.Context, root, folder string, stages []stage, names []string, out io.Writer) error {
	twins, err := readTwins(folder)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		twins = slices.DeleteFunc(twins, func(t twin) bool { return !slices.Contains(names, t.name) })
		if len(twins) != len(names) {
			return fmt.Errorf("not all of %s are twins: see %s", strings.Join(names, ", "), folder)
		}
	}
	fmt.Fprintln(out, "testing the code as it is")
	for _, s := range stages[:min(2, len(stages))] {
		if caught, err := s.run(ctx, root, ""); err != nil {
			return err
		} else if len(caught) > 0 {
			return fmt.Errorf("the tests fail without a twin: %s", strings.Join(caught, ", "))
		}
	}
	var wrong []string
	for i, t := range twins {
		start := time.Now()
		verdict, ok := t.judge(ctx, root, stages)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		mark := "✓"
		if !ok {
			mark = "✗"
			wrong = append(wrong, t.name)
		}
		fmt.Fprintf(out, "%s %2d/%d %-34s %s\n          %s (%.0f s)\n", mark, i+1, len(twins), t.name, t.what, verdict, time.Since(start).Seconds())
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d twins: %s", len(wrong), len(twins), strings.Join(wrong, ", "))
	}
	fmt.Fprintf(out, "all %d twins were noticed\n", len(twins))
	return nil
}

// A twin is the code with one flaw.
type twin struct {
	name, what, patch string
	files             []string // that the patch changes
}

// readTwins reads all patches of a folder.
func readTwins(folder string) ([]twin, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.patch"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("there are no patches in %s", folder)
	}
	var twins []twin
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		t := twin{name: strings.TrimSuffix(filepath.Base(path), ".patch"), patch: path}
		t.what, _, _ = strings.Cut(string(text), "\n")
		for line := range strings.Lines(string(text)) {
			if file, ok := strings.CutPrefix(strings.TrimSpace(line), "+++ b/"); ok {
				t.files = append(t.files, file)
			}
		}
		if len(t.files) == 0 || strings.HasPrefix(t.what, "diff") || strings.HasPrefix(t.what, "---") {
			return nil, fmt.Errorf("%s is no patch that says in its first line what is wrong with it", path)
		}
		twins = append(twins, t)
	}
	return twins, nil
}

// judge says which test notices the twin. It is not ok when none does.
func (t twin) judge(ctx context.Context, root string, stages []stage) (verdict string, ok bool) {
	folder, err := os.MkdirTemp("", "twin-")
	if err != nil {
		return err.Error(), false
	}
	defer os.RemoveAll(folder)
	overlay, err := t.overlay(ctx, root, folder)
	if err != nil {
		return "the patch does not apply: " + err.Error(), false
	}
	if out, err := goTool(ctx, root, overlay, "build", "./functions/...", "./shared/..."); err != nil {
		return "it does not compile: " + string(bytes.TrimSpace(out)), false
	}
	for _, s := range stages {
		caught, err := s.run(ctx, root, overlay)
		if err != nil {
			return err.Error(), false
		}
		if len(caught) > 0 {
			more := ""
			if len(caught) > 1 {
				more = fmt.Sprintf(" and %d more", len(caught)-1)
			}
			return fmt.Sprintf("caught by %s%s", caught[0], more), true
		}
	}
	return "SURVIVES", false
}

// overlay applies the patch to copies of its files and returns the path of what
// tells the go tool to take these.
func (t twin) overlay(ctx context.Context, root, folder string) (string, error) {
	replace := map[string]string{}
	for _, file := range t.files {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		mine := filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(mine), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(mine, text, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = mine
	}
	apply := exec.CommandContext(ctx, "git", "apply", "--whitespace=nowarn", t.patch)
	apply.Dir = folder
	// Not in the repository that may be around the folder.
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(folder))
	if out, err := apply.CombinedOutput(); err != nil {
		return "", errors.New(string(bytes.TrimSpace(out)))
	}
	return overlay(folder, replace)
}

// A stage is a part of the tests.
type stage struct {
	name      string
	arguments []string // of go test
}

// run runs the tests with an overlay, and returns those that fail. An error says
// that they could not be run.
func (s stage) run(ctx context.Context, root, overlay string) (failed []string, err error) {
	out, err := goTool(ctx, root, overlay, append([]string{"test", "-json", "-vet=off"}, s.arguments...)...)
	if err == nil {
		return nil, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var packagesFailed []string
	scan := bufio.NewScanner(bytes.NewReader(out))
	scan.Buffer(nil, 64<<20)
	for scan.Scan() {
		var event struct{ Action, Package, Test string }
		if json.Unmarshal(scan.Bytes(), &event) != nil || event.Action != "fail" {
			continue
		}
		name := strings.TrimPrefix(event.Package, "veryfi-intake/")
		if event.Test == "" {
			packagesFailed = append(packagesFailed, name)
		} else if !strings.Contains(event.Test, "/") {
			failed = append(failed, name+" "+event.Test)
		}
	}
	if len(failed) == 0 {
		failed = packagesFailed // a crash, or too long
	}
	if len(failed) == 0 {
		return nil, fmt.Errorf("the %s could not be run: %w: %.2000s", s.name, err, out)
	}
	return failed, nil
}

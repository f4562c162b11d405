package mutants

import (
	"bytes"
	"context"
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

// A stage is some of the tests: arguments of go test.
type stage []string

// stages are in the order in which they are tried: what is quick and what notices most
// comes first.
var stages = []stage{
	{"-short", "-timeout", "90s", "./functions/...", "./shared/..."},
	{"-run", "^TestSchedules$", "./proof/simulation", "-schedules=4000"},
	{"./proof/pipeline"}, // real binaries
}

// Twins breaks the code in every way that has a patch, or in those that are named, and
// prints which test notices. It fails when a twin survives or does not compile, when a
// patch does not apply, and when tests fail without a twin.
func Twins(ctx context.Context, root string, names []string, out io.Writer) error {
	return tryTwins(ctx, code{root: root}, filepath.Join(root, "proof", "mutants", "twins"), stages, names, out)
}

func tryTwins(ctx context.Context, c code, folder string, stages []stage, names []string, out io.Writer) error {
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
		if failed, err := c.test(ctx, s...); err != nil {
			return err
		} else if len(failed) > 0 {
			return fmt.Errorf("the tests fail without a twin: %s", strings.Join(failed, ", "))
		}
	}
	var wrong []string
	for i, t := range twins {
		start := time.Now()
		verdict, ok := t.judge(ctx, c, stages)
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
func (t twin) judge(ctx context.Context, original code, stages []stage) (verdict string, ok bool) {
	folder, err := os.MkdirTemp("", "twin-")
	if err != nil {
		return err.Error(), false
	}
	defer os.RemoveAll(folder)
	flawed, err := t.apply(ctx, original, folder)
	if err != nil {
		return "the patch does not apply: " + err.Error(), false
	}
	for _, s := range stages {
		failed, err := flawed.test(ctx, s...)
		switch {
		case err != nil:
			return err.Error(), false
		case len(failed) > 1:
			return fmt.Sprintf("caught by %s and %d more", failed[0], len(failed)-1), true
		case len(failed) == 1:
			return "caught by " + failed[0], true
		}
	}
	return "SURVIVES", false
}

// apply applies the patch to copies of its files, in folder.
func (t twin) apply(ctx context.Context, original code, folder string) (code, error) {
	texts := map[string][]byte{}
	for _, file := range t.files {
		text, err := os.ReadFile(filepath.Join(original.root, file))
		if err != nil {
			return code{}, err
		}
		texts[file] = text
	}
	flawed, err := original.with(folder, texts)
	if err != nil {
		return code{}, err
	}
	apply := exec.CommandContext(ctx, "git", "apply", "--whitespace=nowarn", t.patch)
	// Not in the repository that may be around the folder.
	apply.Dir, apply.Env = folder, append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(folder))
	if out, err := apply.CombinedOutput(); err != nil {
		return code{}, errors.New(string(bytes.TrimSpace(out)))
	}
	return flawed, nil
}

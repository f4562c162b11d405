package mutants

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

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
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// A stage is a part of the tests.
type stage struct {
	name      string
	arguments []string // of go test
}

// run runs the tests with an overlay, and returns those that fail. An error says
// that they could not be run.
func (s stage) run(ctx context.Context, root, overlay string) (failed []string, err error) {
	packages, flags := s.arguments, []string(nil)
	if i := slices.IndexFunc(packages, func(a string) bool { return strings.HasPrefix(a, "-schedules") }); i >= 0 {
		packages, flags = packages[:i], packages[i:]
	}
	arguments := append([]string{"test", "-json", "-vet=off"}, packages...)
	out, err := goTool(ctx, root, overlay, append(arguments, flags...)...)
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

// goTool runs the go tool in root. The overlay goes by the environment, so that
// what a test itself builds has it too.
func goTool(ctx context.Context, root, overlay string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = root
	command.Env = os.Environ()
	if overlay != "" {
		command.Env = append(command.Env, "GOFLAGS=-overlay="+overlay)
	}
	return command.CombinedOutput()
}

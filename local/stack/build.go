package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"veryfi-intake/local/filelock"
	"veryfi-intake/local/process"
)

// A built is the functions' binaries as one stack runs them.
type built struct {
	bootstraps map[string]string // by function
	folder     string
}

func (b built) remove() { os.RemoveAll(b.folder) }

// build builds the functions for this machine, through the Makefile, and links
// the binaries into a folder of this stack: another stack of the clone may build
// newer ones meanwhile.
func build(ctx context.Context, root string, functions ...string) (built, error) {
	builds := filepath.Join(root, ".build")
	release, err := filelock.Acquire(ctx, filepath.Join(builds, "lock"))
	if err != nil {
		return built{}, err
	}
	defer release()
	architecture := map[string]string{"amd64": "x86_64"}[runtime.GOARCH]
	if architecture == "" {
		architecture = runtime.GOARCH
	}
	folder, err := os.MkdirTemp(builds, "run-")
	if err != nil {
		return built{}, err
	}
	b := built{bootstraps: map[string]string{}, folder: folder}
	for _, function := range functions {
		b.bootstraps[function] = filepath.Join(folder, function)
	}
	var group sync.WaitGroup
	failures := make([]error, len(functions))
	for i, function := range functions {
		group.Go(func() {
			artifacts := filepath.Join(builds, architecture, function)
			if failures[i] = runMake(ctx, root, "build-"+function, "ARTIFACTS_DIR="+artifacts, "ARCH="+architecture, "TARGET_OS="+runtime.GOOS); failures[i] == nil {
				failures[i] = os.Link(filepath.Join(artifacts, "bootstrap"), b.bootstraps[function])
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		b.remove()
		return built{}, err
	}
	return b, nil
}

func runMake(ctx context.Context, root string, arguments ...string) error {
	var output strings.Builder
	lines := process.NewLines(func(line string) { output.WriteString("\n  " + line) })
	command := exec.Command("make", append([]string{"-s"}, arguments...)...)
	command.Dir = root
	// The stack itself may run under make.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return name == "MAKEFLAGS" || name == "MAKELEVEL" || name == "MFLAGS" || name == "MAKEOVERRIDES"
	})
	command.Stdout, command.Stderr = lines, lines
	child, err := process.Start(command)
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("make is missing: install it and run this again")
	}
	if err != nil {
		return err
	}
	select {
	case <-child.Exited():
	case <-ctx.Done():
		child.Kill()
		return ctx.Err()
	}
	lines.Flush()
	if err := child.Err(); err != nil {
		return fmt.Errorf("make %s failed (%w):%s", arguments[0], err, output.String())
	}
	return nil
}

// Package binaries builds the functions through the Makefile, which alone knows how.
package binaries

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

	"veryfi-intake/local/machine/filelock"
	"veryfi-intake/local/machine/process"
)

// Binaries are those of functions as the caller found them.
type Binaries struct {
	Bootstraps map[string]string // paths, by function
	folder     string
}

// Remove removes them.
func (b Binaries) Remove() { os.RemoveAll(b.folder) }

// Functions builds functions, named as in template.yaml, for this machine. It links
// the binaries into a folder of the caller's: another process may build newer ones
// in the same clone meanwhile.
func Functions(ctx context.Context, root string, functions ...string) (Binaries, error) {
	builds := filepath.Join(root, ".build")
	release, err := filelock.Acquire(ctx, filepath.Join(builds, "lock"))
	if err != nil {
		return Binaries{}, err
	}
	defer release()
	architecture := Architecture()
	folder, err := os.MkdirTemp(builds, "run-")
	if err != nil {
		return Binaries{}, err
	}
	b := Binaries{Bootstraps: map[string]string{}, folder: folder}
	for _, function := range functions {
		b.Bootstraps[function] = filepath.Join(folder, function)
	}
	var group sync.WaitGroup
	failures := make([]error, len(functions))
	for i, function := range functions {
		group.Go(func() {
			artifacts := filepath.Join(builds, architecture, function)
			if failures[i] = Make(ctx, root, "build-"+function, "ARTIFACTS_DIR="+artifacts, "ARCH="+architecture, "TARGET_OS="+runtime.GOOS); failures[i] == nil {
				failures[i] = os.Link(filepath.Join(artifacts, "bootstrap"), b.Bootstraps[function])
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		b.Remove()
		return Binaries{}, err
	}
	return b, nil
}

// Architecture returns this machine's, as AWS names it.
func Architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

// Make runs make in the folder of the Makefile. The error has what it printed.
func Make(ctx context.Context, root string, arguments ...string) error {
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

package machine

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
	"time"

	"github.com/gofrs/flock"
)

// Build builds functions, named as in template.yaml, for this machine. It returns a
// folder with a binary named after each, which is the caller's to remove: another
// process may build newer ones in the same clone meanwhile.
func Build(ctx context.Context, root string, functions ...string) (folder string, err error) {
	builds := filepath.Join(root, ".build")
	unlock, err := lock(ctx, filepath.Join(builds, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if folder, err = os.MkdirTemp(builds, "run-"); err != nil {
		return "", err
	}
	var group sync.WaitGroup
	failures := make([]error, len(functions))
	for i, function := range functions {
		group.Go(func() {
			artifacts := filepath.Join(builds, Architecture(), function)
			failures[i] = Make(ctx, root, "build-"+function, "ARTIFACTS_DIR="+artifacts, "ARCH="+Architecture(), "TARGET_OS="+runtime.GOOS)
			if failures[i] == nil {
				failures[i] = os.Link(filepath.Join(artifacts, "bootstrap"), filepath.Join(folder, function))
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		os.RemoveAll(folder)
		return "", err
	}
	return folder, nil
}

// Architecture returns this machine's, as AWS names it.
func Architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

// Make runs make in the folder of the Makefile, which alone knows how functions are
// built. The error has what it printed.
func Make(ctx context.Context, root string, arguments ...string) error {
	command := exec.Command("make", append([]string{"-s"}, arguments...)...)
	command.Dir = root
	// The stack itself may run under make.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"}, name)
	})
	output, err := run(ctx, command)
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("make is missing: install it and run this again")
	default:
		return fmt.Errorf("make %s failed (%w):\n%s", arguments[0], err, output)
	}
}

// lockRetry is the time after which a lock that somebody else holds is tried again.
const lockRetry = 50 * time.Millisecond

// lock waits until nobody else holds the lock file at path, in this process or
// another of the clone. It creates the file and its folder.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file := flock.New(path)
	if _, err := file.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}

// FindRoot returns the folder of the clone: that of go.mod, from the working
// directory upwards.
func FindRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", errors.New("there is no go.mod here or above: run this in the clone of veryfi-intake")
		}
		folder = parent
	}
}

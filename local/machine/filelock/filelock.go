// Package filelock lets one process at a time do what several processes of one
// clone would otherwise do at once: fetch the emulators, build the functions.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// retryEvery is how often a lock that another process holds is tried again.
const retryEvery = 50 * time.Millisecond

// Acquire waits until no other process holds the lock file at path, which it
// creates if need be, and returns the function that releases it. The operating
// system releases the lock of a process that dies.
func Acquire(ctx context.Context, path string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create the folder of the lock %s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-time.After(retryEvery):
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		}
	}
}

//go:build !linux

package bench

import (
	"errors"
	"time"
)

// The functions are measured on Linux only, see bench.functions.

func cpuTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

func peakMemory(int) (int64, error) { return 0, errors.ErrUnsupported }

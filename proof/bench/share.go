package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// fullMemory is the memory size, in MB, with which Lambda gives a function one
// whole CPU (AWS Lambda, "Configure Lambda function memory").
const fullMemory = 1769

// period is that of the CPU quota, in microseconds. Lambda's is 20 ms too (measured by
// others, not documented by AWS).
const period = 20_000

// A share is a control group that gives the processes in it the CPU share of a
// memory size.
type share struct {
	folder string
	v2     bool
}

var errNoShare = errors.New("memory sizes need root and a control group for CPU time")

// newShare makes a control group of this kernel's version. The caller removes it.
func newShare() (*share, error) {
	name := "veryfi-intake-" + strconv.Itoa(os.Getpid())
	for _, kind := range []struct {
		root, file string
		v2         bool
	}{
		{"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", false},
		{"/sys/fs/cgroup", "cpu.max", true},
	} {
		s := &share{folder: filepath.Join(kind.root, name), v2: kind.v2}
		if os.Mkdir(s.folder, 0o755) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.folder, kind.file)); err == nil {
			return s, nil
		}
		s.remove()
	}
	return nil, errNoShare
}

// limit gives a process the share of a memory size: it moves it into the group.
func (s *share) limit(pid, memory int) error {
	quota := strconv.Itoa(period * memory / fullMemory)
	var err error
	if s.v2 {
		err = s.write("cpu.max", fmt.Sprint(quota, " ", period))
	} else {
		err = errors.Join(s.write("cpu.cfs_period_us", strconv.Itoa(period)), s.write("cpu.cfs_quota_us", quota))
	}
	return errors.Join(err, s.write("cgroup.procs", strconv.Itoa(pid)))
}

func (s *share) write(file, value string) error {
	return os.WriteFile(filepath.Join(s.folder, file), []byte(value), 0o644)
}

// remove removes the group, which must be empty.
func (s *share) remove() { os.Remove(s.folder) }

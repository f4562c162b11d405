//go:build !linux

package machine

import (
	"os/exec"
	"syscall"
)

// attributes has no counterpart of Linux's Pdeathsig: a child of a stack that
// is killed with SIGKILL stays.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func start(cmd *exec.Cmd) error { return cmd.Start() }

// Package process runs the child processes of the machine-local stack: the
// emulators, the functions and the build. None of them outlives the stack, be
// it stopped or killed.
package process

import (
	"os/exec"
	"syscall"
	"time"
)

// A Process is a running child, the leader of a process group of its own.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

// Start starts cmd. Being in another process group than the terminal's, the
// child does not see Ctrl-C: whoever started it stops it.
func Start(cmd *exec.Cmd) (*Process, error) {
	cmd.SysProcAttr = attributes()
	// A grandchild that keeps the output open must not hold up Wait.
	cmd.WaitDelay = time.Second
	if err := start(cmd); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Pid returns the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited is closed when the child has ended and all its output was read.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err waits for the end of the child and returns nil if its exit status was 0,
// else an error that tells the status or the signal.
func (p *Process) Err() error {
	<-p.exited
	return p.err
}

// Kill ends the child and all that it started, and waits for it. It may be
// called more than once.
func (p *Process) Kill() {
	select {
	case <-p.exited:
	default:
		// The group may be gone already; that is what is wanted.
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.exited
	}
}

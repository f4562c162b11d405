// Package machine is what the local stack needs of this machine: child processes,
// the emulators, the functions' binaries, and the folder of the clone. No child
// outlives the program that started it, be it stopped or killed.
package machine

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A Process is a running child, the leader of a process group of its own.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

// Start starts cmd. The child is in another process group than the terminal's and
// does not see Ctrl-C: whoever started it stops it.
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

// Ending waits for the end of the child and returns how it ended, as "exit status 0"
// or "signal: killed".
func (p *Process) Ending() string {
	<-p.exited
	return p.cmd.ProcessState.String()
}

// Kill ends the child and all that it started, and waits for it. It may be called
// more than once.
func (p *Process) Kill() {
	select {
	case <-p.exited:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // the group may be gone already
		<-p.exited
	}
}

// run runs a command to its end and returns the end of what it printed. When ctx ends
// first, it kills the command and returns the error of ctx.
func run(ctx context.Context, cmd *exec.Cmd) (output string, err error) {
	var printed tail
	cmd.Stdout, cmd.Stderr = &printed, &printed
	child, err := Start(cmd)
	if err != nil {
		return "", err
	}
	select {
	case <-child.Exited():
		return printed.String(), child.err
	case <-ctx.Done():
		child.Kill()
		return "", ctx.Err()
	}
}

// A tail keeps the end of what a child prints. It may be read when the child has
// ended.
type tail struct{ text []byte }

// tailSize is how much of a child's output an error shows, in bytes.
const tailSize = 8 << 10

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailSize):]
	return len(p), nil
}

// String returns the lines, each indented.
func (t *tail) String() string {
	return "  " + strings.ReplaceAll(string(bytes.TrimSpace(t.text)), "\n", "\n  ")
}

package machine

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// attributes asks the kernel to kill the child when this process dies, however
// it dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// start starts all children from one operating system thread that lives as
// long as this process: the signal asked for by Pdeathsig is sent when the
// thread that started the child ends, see prctl(2).
func start(cmd *exec.Cmd) error {
	result := make(chan error)
	starter() <- func() { result <- cmd.Start() }
	return <-result
}

var starter = sync.OnceValue(func() chan<- func() {
	starts := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
	return starts
})

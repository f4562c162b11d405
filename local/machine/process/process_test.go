package process

import (
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestKillEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	var pids []int
	started := make(chan struct{})
	lines := NewLines(func(line string) {
		pid, _ := strconv.Atoi(line)
		if pids = append(pids, pid); len(pids) == 2 {
			close(started)
		}
	})
	command := exec.Command("sh", "-c", "echo $$; sleep 60 & echo $!; wait")
	command.Stdout = lines
	child, err := Start(command)
	if err != nil {
		t.Fatal(err)
	}
	<-started
	child.Kill()
	child.Kill()
	for _, pid := range pids {
		// A killed grandchild may wait for init to reap it.
		for end := time.Now().Add(2 * time.Second); isAlive(pid) && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		if isAlive(pid) {
			t.Errorf("process %d of %v is still there", pid, pids)
		}
	}
}

// isAlive reports whether a process runs; one that only waits to be reaped does
// not.
func isAlive(pid int) bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}

func TestErrTellsTheExitStatus(t *testing.T) {
	t.Parallel()
	child, err := Start(exec.Command("sh", "-c", "exit 3"))
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := child.Err(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %v", err)
	}
}

func TestChildIsInAGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	child, err := Start(exec.Command("sleep", "60"))
	if err != nil {
		t.Fatal(err)
	}
	defer child.Kill()
	if group, err := syscall.Getpgid(child.cmd.Process.Pid); err != nil || group != child.cmd.Process.Pid {
		t.Errorf("group %d, %v; want %d", group, err, child.cmd.Process.Pid)
	}
}

func TestLinesArePassedOnWhole(t *testing.T) {
	t.Parallel()
	var got []string
	lines := NewLines(func(line string) { got = append(got, line) })
	long := strings.Repeat("x", maxLine)
	for _, piece := range []string{"on", "e\ntwo\r\n", "\n", long, "y\nlast"} {
		if n, err := lines.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("Write gave %d, %v", n, err)
		}
	}
	lines.Flush()
	lines.Flush()
	if want := []string{"one", "two", "", long, "y", "last"}; !slices.Equal(got, want) {
		t.Errorf("got %d lines: %.60q", len(got), got)
	}
}

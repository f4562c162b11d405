package machine

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestKillEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	command := exec.Command("sh", "-c", "echo $$; sleep 60 & echo $!; wait")
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	child, err := Start(command)
	if err != nil {
		t.Fatal(err)
	}
	var pids [2]int
	if _, err := fmt.Fscan(output, &pids[0], &pids[1]); err != nil {
		t.Fatal(err)
	}
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

func TestEndingIsHowTheChildEnded(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{"exit 0": "exit status 0", "exit 3": "exit status 3", "kill -9 $$": "signal: killed"} {
		child, err := Start(exec.Command("sh", "-c", script))
		if err != nil {
			t.Fatal(err)
		}
		if got := child.Ending(); got != want {
			t.Errorf("%s: got %q", script, got)
		}
	}
}

// What is there is the end of it, as an error shows it.
func TestRunReturnsTheEndOfTheOutput(t *testing.T) {
	t.Parallel()
	output, err := run(t.Context(), exec.Command("sh", "-c", "yes line | head -n 5000; echo last 1>&2; exit 3"))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %v", err)
	}
	if !strings.HasSuffix(output, "\n  line\n  last") || len(output) > 2*tailSize {
		t.Errorf("%d bytes: …%q", len(output), output[max(0, len(output)-20):])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ctx, exec.Command("sleep", "60")); !errors.Is(err, context.Canceled) {
		t.Errorf("a command that is cancelled gave %v", err)
	}
}

package machine

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain lets this binary play the parent that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("PLAY_PARENT") == "" {
		os.Exit(m.Run())
	}
	command := exec.Command("sleep", "60")
	if _, err := Start(command); err != nil {
		panic(err)
	}
	fmt.Println(command.Process.Pid)
	time.Sleep(time.Minute)
}

func TestNoChildSurvivesAKilledParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "PLAY_PARENT=yes")
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(output, &pid); err != nil {
		t.Fatal(err)
	}
	if !isAlive(pid) {
		t.Fatal("the child did not start")
	}
	parent.Process.Kill()
	parent.Wait()
	for end := time.Now().Add(2 * time.Second); isAlive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d outlived its parent", pid)
		}
	}
}

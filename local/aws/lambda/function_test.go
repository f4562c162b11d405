package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bootstrap is the binary of testdata/bootstrap.
var bootstrap string

func TestMain(m *testing.M) {
	directory, err := os.MkdirTemp("", "veryfi-intake-lambda-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	bootstrap = filepath.Join(directory, "bootstrap")
	build := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", bootstrap, "./testdata/bootstrap")
	if output, err := build.CombinedOutput(); err != nil {
		panic(string(output))
	}
	m.Run()
}

func newTest(t *testing.T, change func(*Config)) *Function {
	t.Helper()
	config := Config{
		Name: "TestFunction", Bootstrap: bootstrap, Timeout: 5 * time.Second, MemorySize: 128, Region: "us-east-1",
		MaxConcurrency: 2, Log: func(string) {},
	}
	if change != nil {
		change(&config)
	}
	f := New(config)
	t.Cleanup(f.Close)
	return f
}

func TestWarmEnvironmentIsUsedAgainAndInitializedOnce(t *testing.T) {
	t.Parallel()
	var pids []int
	f := newTest(t, func(c *Config) { c.Initialized = func(pid int) { pids = append(pids, pid) } })
	if first, second := pid(t, f), pid(t, f); !slices.Equal(pids, []int{first}) || second != first {
		t.Errorf("called with %v, the process is %d, then %d", pids, first, second)
	}
}

// environments returns how many there are.
func environments(f *Function) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all)
}

func pid(t *testing.T, f *Function) int {
	t.Helper()
	response, err := f.Invoke(t.Context(), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if err := json.Unmarshal(response, &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestFailureHasItsTypeAndDropsTheEnvironment(t *testing.T) {
	t.Parallel()
	for event, want := range map[string]Error{
		`{"do":"error"}`:                {"errorString", "as told"},
		`{"do":"panic"}`:                {"string", "as told"},
		`{"do":"exit"}`:                 {"Runtime.ExitError", "Runtime exited with error: exit status 3"},
		`{"do":"sleep","millis":60000}`: {"Sandbox.Timedout", "task timed out after 3.00 seconds"},
		`{"do":"large"}`:                {"Function.ResponseSizeTooLarge", "the response is over Lambda's limit of 6 MB"},
	} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			f := newTest(t, func(c *Config) { c.Timeout = 3 * time.Second })
			before := pid(t, f)
			_, err := f.Invoke(t.Context(), []byte(event))
			var got *Error
			if !errors.As(err, &got) || *got != want {
				t.Fatalf("got %#v, want %#v", err, want)
			}
			if err := syscall.Kill(before, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is still there", before)
			}
			if after := pid(t, f); after == before {
				t.Errorf("process %d was used again", after)
			}
		})
	}
}

func TestEnvironmentThatDoesNotComeUpIsAnError(t *testing.T) {
	t.Parallel()
	for kind, change := range map[string]func(*Config){
		"Runtime.ExitError: Runtime exited with error: exit status 7": func(c *Config) { c.Environment = map[string]string{"INIT": "exit"} },
		"Runtime.InvalidEntrypoint":                                   func(c *Config) { c.Bootstrap = "testdata/none" },
	} {
		_, err := newTest(t, change).Invoke(t.Context(), []byte(`{}`))
		var got *Error
		if !errors.As(err, &got) || !strings.HasPrefix(got.Error(), kind) {
			t.Errorf("got %v, want %s", err, kind)
		}
	}
}

// An idle environment that ends costs no invocation.
func TestInvocationSurvivesADeadIdleEnvironment(t *testing.T) {
	t.Parallel()
	f := newTest(t, nil)
	before := pid(t, f)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-f.idle[0].process.Exited()
	if after := pid(t, f); after == before {
		t.Errorf("process %d answered after its end", after)
	}
}

func TestConcurrencyIsBoundedAndTheRestWaits(t *testing.T) {
	t.Parallel()
	f := newTest(t, nil)
	var mu sync.Mutex
	pids := map[string]int{}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			response, err := f.Invoke(t.Context(), []byte(`{"do":"sleep","millis":50}`))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			pids[string(response)]++
		})
	}
	group.Wait()
	if len(pids) > 2 || environments(f) > 2 {
		t.Errorf("%d processes and %d environments, want at most 2", len(pids), environments(f))
	}
}

func TestKillFailsWhatRuns(t *testing.T) {
	t.Parallel()
	f := newTest(t, nil)
	before := pid(t, f)
	failed := make(chan error)
	go func() {
		_, err := f.Invoke(context.Background(), []byte(`{"do":"sleep","millis":4000}`))
		failed <- err
	}()
	time.Sleep(50 * time.Millisecond)
	f.Kill()
	var got *Error
	if err := <-failed; !errors.As(err, &got) || got.Type != "Runtime.ExitError" {
		t.Errorf("got %v", err)
	}
	if after := pid(t, f); after == before {
		t.Errorf("process %d answered after its end", after)
	}
}

func TestInvocationGoesOnWhenTheCallerLeaves(t *testing.T) {
	t.Parallel()
	f := newTest(t, nil)
	before := pid(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := f.Invoke(ctx, []byte(`{"do":"sleep","millis":200}`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	time.Sleep(400 * time.Millisecond)
	if after := pid(t, f); after != before {
		t.Errorf("process %d was replaced by %d", before, after)
	}
}

func TestChildSeesOnlyItsOwnEnvironment(t *testing.T) {
	t.Setenv("HOST_ONLY", "leaks")
	f := newTest(t, func(c *Config) { c.Environment = map[string]string{"QUEUE_URL": "http://q"} })
	response, err := f.Invoke(t.Context(), []byte(`{"do":"environ"}`))
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	if err := json.Unmarshal(response, &environ); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_LOG_FORMAT",
		"AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "PATH", "QUEUE_URL", "TZ", "_X_AMZN_TRACE_ID",
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %v\nwant %v", names, want)
	}
}

func TestEachLineOfOutputIsLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var lines []string
	f := newTest(t, func(c *Config) {
		c.Environment = map[string]string{"INIT": "log"}
		c.Log = func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		}
	})
	if _, err := f.Invoke(t.Context(), []byte(`{"do":"log"}`)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"init", "one", "two"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestLinesAreLoggedWhole(t *testing.T) {
	t.Parallel()
	var got []string
	e := &environment{config: Config{Log: func(line string) { got = append(got, line) }}, logged: make(chan struct{})}
	long := strings.Repeat("x", maxLine)
	e.log(strings.NewReader("one\ntwo\r\n\n" + long + "y\nlast"))
	if want := []string{"one", "two", "", long, "y", "last"}; !slices.Equal(got, want) {
		t.Errorf("got %d lines: %.60q", len(got), got)
	}
}

func TestDeadlineIsTheTimeout(t *testing.T) {
	t.Parallel()
	f := newTest(t, nil)
	response, err := f.Invoke(t.Context(), []byte(`{"do":"deadline"}`))
	if err != nil {
		t.Fatal(err)
	}
	var left int
	if err := json.Unmarshal(response, &left); err != nil || left < 4000 || left > 5000 {
		t.Errorf("%s ms are left of 5000, %v", response, err)
	}
}

func TestTooLargeEventIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := newTest(t, nil).Invoke(t.Context(), bytes.Repeat([]byte("x"), MaxPayload+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestClosedFunctionRefuses(t *testing.T) {
	t.Parallel()
	f := newTest(t, nil)
	pid(t, f)
	f.Close()
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); err == nil {
		t.Error("a closed function answered")
	}
	if n := environments(f); n != 0 {
		t.Errorf("%d environments are left", n)
	}
}

func TestKillOneLeavesTheOthers(t *testing.T) {
	t.Parallel()
	f := newTest(t, nil)
	if f.KillOne() {
		t.Error("there was none")
	}
	before := pid(t, f)
	if !f.KillOne() || environments(f) != 0 {
		t.Errorf("%d environments are left", environments(f))
	}
	if after := pid(t, f); after == before {
		t.Errorf("process %d answered after its end", after)
	}
}

// Package lambda runs functions as AWS Lambda does: real bootstrap binaries,
// each in an execution environment of its own that speaks the Runtime API.
//
// An environment is one child process. It handles one invocation at a time and
// is used again while it is sound. Lambda's CPU share and memory limit are missing.
package lambda

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// MaxPayload is the largest event and the largest response of an invocation, in
// bytes (Lambda quotas: 6 MB).
const MaxPayload = 6 << 20

// Config describes a function.
type Config struct {
	Name string
	// Bootstrap is the path of the executable.
	Bootstrap string
	// Timeout is how long one invocation may take.
	Timeout time.Duration
	// MemorySize in MB is what the function is told; nothing enforces it.
	MemorySize int
	// Environment is all the function sees besides what Lambda itself sets.
	Environment map[string]string
	Region      string
	// MaxConcurrency is how many invocations run at a time, 1 or more; others
	// wait.
	MaxConcurrency int
	// Initialized is called when an environment has ended its init, with the id of
	// its process, before it gets an event. Nil is not called.
	Initialized func(pid int)
	// Ended is called when an invocation has ended, with its error, by several goroutines
	// at a time. Nil is not called.
	Ended func(error)
	// Log gets each line that the function writes to stdout or stderr. Several
	// goroutines may call it at a time.
	Log func(line string)
}

// A Function can be invoked by any number of goroutines.
type Function struct {
	config Config
	slots  chan struct{}

	mu     sync.Mutex
	all    map[*environment]struct{}
	idle   []*environment
	closed bool
}

// New returns a function with no environment yet.
func New(config Config) *Function {
	return &Function{
		config: config,
		slots:  make(chan struct{}, config.MaxConcurrency),
		all:    map[*environment]struct{}{},
	}
}

// An Error is an invocation that failed. Its environment is gone.
type Error struct {
	// Type and Message are the function's own when it reported an error or a panic, else
	// what Lambda reports: Sandbox.Timedout, Runtime.ExitError when the process ended,
	// Runtime.InvalidEntrypoint when it did not start.
	Type, Message string
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

var (
	// ErrTooLarge is the error of an event over [MaxPayload].
	ErrTooLarge = errors.New("the event is over Lambda's limit of 6 MB")

	// errNotGiven is the error of an environment that ended before it took the event.
	errNotGiven = errors.New("the environment ended before it took the event")
	errClosed   = &Error{Type: "Runtime.ExitError", Message: "the function was closed"}
)

// Invoke gives the event to an environment and returns the response. The error of an
// invocation that fails is an [*Error]; that of an event over [MaxPayload] is
// [ErrTooLarge]. When ctx ends first, Invoke returns its error and the invocation goes
// on, as on AWS when the caller hangs up.
func (f *Function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	if len(event) > MaxPayload {
		return nil, ErrTooLarge
	}
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-f.slots }()
		ended := f.run(event)
		if f.config.Ended != nil {
			f.config.Ended(ended.err)
		}
		done <- ended
	}()
	select {
	case outcome := <-done:
		return outcome.response, outcome.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run invokes the event in an idle environment, or in a new one.
func (f *Function) run(event []byte) outcome {
	for {
		env, err := f.take()
		if err != nil {
			return outcome{err: err}
		}
		result := env.invoke(event)
		if result.err == nil {
			f.putBack(env)
			return result
		}
		f.drop(env)
		// An idle environment may have ended unseen. The next one gets the event.
		if !errors.Is(result.err, errNotGiven) {
			return result
		}
	}
}

func (f *Function) take() (*environment, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, errClosed
	}
	if last := len(f.idle) - 1; last >= 0 {
		env := f.idle[last]
		f.idle = f.idle[:last]
		f.mu.Unlock()
		return env, nil
	}
	f.mu.Unlock()

	env, err := newEnvironment(f.config)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.all[env] = struct{}{}
	closed := f.closed
	f.mu.Unlock()
	if closed {
		f.drop(env)
		return nil, errClosed
	}
	if err := env.waitReady(); err != nil {
		f.drop(env)
		return nil, err
	}
	if f.config.Initialized != nil {
		f.config.Initialized(env.process.Pid())
	}
	return env, nil
}

func (f *Function) putBack(env *environment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.all[env]; ok {
		f.idle = append(f.idle, env)
	}
}

func (f *Function) drop(env *environment) {
	f.mu.Lock()
	delete(f.all, env)
	f.mu.Unlock()
	env.stop()
}

// KillOne ends one environment, if there is any.
func (f *Function) KillOne() (killed bool) { return f.kill(1) == 1 }

// Kill ends all environments, as Lambda may at any time; invocations that run fail. The
// next ones get new environments.
func (f *Function) Kill() { f.kill(math.MaxInt) }

// kill ends up to n environments and returns how many.
func (f *Function) kill(n int) int {
	f.mu.Lock()
	var victims []*environment
	for env := range f.all {
		if len(victims) == n {
			break
		}
		victims = append(victims, env)
		delete(f.all, env)
	}
	f.idle = slices.DeleteFunc(f.idle, func(env *environment) bool { return slices.Contains(victims, env) })
	f.mu.Unlock()
	var group sync.WaitGroup
	for _, env := range victims {
		group.Go(env.stop)
	}
	group.Wait()
	return len(victims)
}

// Close is Kill, and later invocations fail.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.Kill()
}

// environ is the child's environment: the function's variables under Lambda's
// own. Of this machine's only PATH is passed on.
func (c Config) environ(runtimeAPI string) []string {
	variables := map[string]string{}
	maps.Copy(variables, c.Environment)
	maps.Copy(variables, map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          runtimeAPI,
		"AWS_LAMBDA_FUNCTION_NAME":        c.Name,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(c.MemorySize),
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_LOG_FORMAT":           "JSON",
		"AWS_REGION":                      c.Region,
		"PATH":                            os.Getenv("PATH"),
		"TZ":                              ":UTC",
	})
	var environ []string
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	return environ
}

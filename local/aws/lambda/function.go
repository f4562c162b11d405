// Package lambda runs functions as AWS Lambda does: real bootstrap binaries,
// each in an execution environment of its own that speaks the Runtime API.
//
// An environment is one child process. It handles one invocation at a time and
// is used again while it is sound. What an environment cannot be given here is
// Lambda's CPU share and memory limit.
package lambda

import (
	"context"
	"errors"
	"maps"
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
	// MemorySize in MB is told to the function, and not enforced.
	MemorySize int
	// Environment is all the function sees besides what Lambda itself sets.
	Environment map[string]string
	Region      string
	// MaxConcurrency is how many invocations run at once, 1 or more; others
	// wait.
	MaxConcurrency int
	// Initialized is called when an environment has ended its init, with the id of
	// its process, before it is given an event. Nil is not called.
	Initialized func(pid int)
	// Ended is called when an invocation has ended, with its error. It may be called
	// by several environments at once. Nil is not called.
	Ended func(error)
	// Log is given each line that the function writes to stdout or stderr. It
	// may be called by several environments at once.
	Log func(line string)
}

// A Function is invoked by any number of goroutines at once.
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

// Invoke gives the event to an environment and returns the response. When the
// invocation fails, the error is an [*Error] that tells how; an event over
// [MaxPayload] is [ErrTooLarge]. When ctx ends first, Invoke returns its error
// and the invocation goes on, as it does on AWS when the caller hangs up.
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
		// An idle environment may have ended unseen; one that was never
		// given the event leaves it to the next.
		if !errors.Is(result.err, errNotGiven) {
			return result
		}
	}
}

var errClosed = &Error{Kind: Crashed, Type: "Runtime.ExitError", Message: "the function was closed"}

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

// Environments returns how many environments there are.
func (f *Function) Environments() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all)
}

// KillOne ends one environment, if there is any.
func (f *Function) KillOne() (killed bool) {
	f.mu.Lock()
	var victim *environment
	for victim = range f.all {
		break
	}
	delete(f.all, victim)
	f.idle = slices.DeleteFunc(f.idle, func(e *environment) bool { return e == victim })
	f.mu.Unlock()
	if victim != nil {
		victim.stop()
	}
	return victim != nil
}

// Kill ends all environments, as Lambda may at any time; invocations that run
// fail as [Crashed]. The next ones get new environments.
func (f *Function) Kill() {
	f.mu.Lock()
	environments := slices.Collect(maps.Keys(f.all))
	clear(f.all)
	f.idle = nil
	f.mu.Unlock()
	var group sync.WaitGroup
	for _, env := range environments {
		group.Go(env.stop)
	}
	group.Wait()
}

// Close is Kill, and later invocations fail.
func (f *Function) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.Kill()
}

// arn is how Lambda names the function.
func (c Config) arn() string {
	return "arn:aws:lambda:" + c.Region + ":000000000000:function:" + c.Name
}

// environ is the child's environment: the function's variables under Lambda's
// own. Of this machine's only PATH is passed on.
func (c Config) environ(runtimeAPI string) []string {
	variables := maps.Clone(c.Environment)
	if variables == nil {
		variables = map[string]string{}
	}
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
	environ := make([]string, 0, len(variables))
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	return environ
}

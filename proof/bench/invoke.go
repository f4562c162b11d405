package bench

import (
	"context"
	"fmt"
	"time"

	"veryfi-intake/local/aws/lambda"
)

// An instance is one execution environment of a subject.
type instance struct {
	subject  string
	function *lambda.Function
	pid      int
	share    *share // nil for all of the CPU
	err      error  // of putting it into the share
	// init is how long it took from the start of the process to its first request
	// for an event, and paused what this program has then done with it.
	init, paused time.Duration
}

// start starts an environment and gives it its first event. It returns how long
// that took, from the start of the process to the answer. Like Lambda it
// throttles the environment when init has ended, if memory is not 0.
func start(ctx context.Context, s subject, event []byte, memory int, share *share) (*instance, time.Duration, error) {
	i := &instance{subject: s.name, share: share}
	if memory == 0 {
		i.share = nil
	}
	begin := time.Now()
	s.config.Initialized = func(pid int) {
		now := time.Now()
		i.pid, i.init = pid, now.Sub(begin)
		if i.share != nil {
			if i.err = i.share.set(memory); i.err == nil {
				i.err = i.share.add(pid)
			}
		}
		i.paused = time.Since(now)
	}
	i.function = lambda.New(s.config)
	if err := i.invoke(ctx, event); err != nil {
		i.stop()
		return nil, 0, err
	}
	return i, time.Since(begin) - i.paused, nil
}

func (i *instance) invoke(ctx context.Context, event []byte) error {
	response, err := i.function.Invoke(ctx, event)
	if err == nil {
		err = i.err
	}
	if err == nil {
		err = check(response)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", i.subject, err)
	}
	return nil
}

// time returns how long an invocation takes.
func (i *instance) time(ctx context.Context, event []byte) (time.Duration, error) {
	begin := time.Now()
	err := i.invoke(ctx, event)
	return time.Since(begin), err
}

func (i *instance) stop() { i.function.Close() }

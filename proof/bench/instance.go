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
	err      error         // of throttling it
	paused   time.Duration // what this program has done with the process when it was ready
}

// start starts an environment and gives it its first event. It returns how long
// that took, from the start of the process to the answer. Like Lambda it
// throttles the environment when init has ended, if there is a share and a memory size.
func start(ctx context.Context, s subject, event []byte, share *share, memory int) (*instance, time.Duration, error) {
	i := &instance{subject: s.name}
	begin := time.Now()
	s.config.Initialized = func(pid int) {
		now := time.Now()
		i.pid = pid
		if share != nil && memory != unthrottled {
			if i.err = share.set(memory); i.err == nil {
				i.err = share.add(pid)
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

// coldStarts starts each subject in turn, round after round.
func (b *bench) coldStarts(ctx context.Context, compared []subject, event []byte, memory int) ([]series, error) {
	measured := make([]series, len(compared))
	for round := range b.Rounds + 1 {
		for n, s := range compared {
			instance, took, err := start(ctx, s, event, b.share, memory)
			if err != nil {
				return nil, err
			}
			instance.stop()
			if round > 0 { // the first brings the programs into the system's cache
				measured[n].add(took)
			}
		}
	}
	return measured, nil
}

// times invokes one environment with each event in turn, round after round, and returns
// how long that takes, by event. The start of the environment is not in it.
func (b *bench) times(ctx context.Context, s subject, memory, rounds int, events ...[]byte) ([]series, error) {
	instance, _, err := start(ctx, s, events[0], b.share, memory)
	if err != nil {
		return nil, err
	}
	defer instance.stop()
	measured := make([]series, len(events))
	for range rounds {
		for n, event := range events {
			took, err := instance.time(ctx, event)
			if err != nil {
				return nil, err
			}
			measured[n].add(took)
		}
	}
	return measured, nil
}

// A block is what was measured of one environment, a value a round.
type block struct {
	name          string
	p50, p90, p99 series
	cpu           series // of one invocation
	memory        int64  // the most it has ever had, in bytes
}

// blocks invokes one environment of each subject in turn, many times a round.
func (b *bench) blocks(ctx context.Context, compared []subject, event []byte) (ours block, others []block, err error) {
	measured := make([]block, len(compared))
	var instances []*instance
	defer func() {
		for _, i := range instances {
			i.stop()
		}
	}()
	for n, s := range compared {
		i, _, err := start(ctx, s, event, nil, unthrottled)
		if err != nil {
			return ours, nil, err
		}
		instances = append(instances, i)
		measured[n].name = s.name
	}
	for round := range b.Rounds + 1 {
		for n, i := range instances {
			into := &measured[n]
			if round == 0 {
				into = &block{} // the first is not like the others
			}
			if err := into.measure(ctx, i, event, compared[n].invocations); err != nil {
				return ours, nil, err
			}
		}
	}
	return measured[0], measured[1:], nil
}

// measure adds one round of n invocations.
func (b *block) measure(ctx context.Context, i *instance, event []byte, n int) error {
	before, err := cpuTime(i.pid)
	if err != nil {
		return err
	}
	var times series
	for range n {
		took, err := i.time(ctx, event)
		if err != nil {
			return err
		}
		times.add(took)
	}
	after, err := cpuTime(i.pid)
	if err != nil {
		return err
	}
	b.p50 = append(b.p50, percentile(times, 0.5))
	b.p90 = append(b.p90, percentile(times, 0.9))
	b.p99 = append(b.p99, percentile(times, 0.99))
	b.cpu.add((after - before) / time.Duration(n))
	b.memory, err = peakMemory(i.pid)
	return err
}

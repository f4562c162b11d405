package bench

import (
	"context"
	"fmt"
	"time"

	"veryfi-intake/local/aws/lambda"
)

// An instance is one execution environment of a subject.
type instance struct {
	subject
	function *lambda.Function
	pid      int
	err      error         // of throttling it
	paused   time.Duration // what this program has done with the process when it was ready
}

// start starts an environment and gives it its first event. It returns how long
// that took, from the start of the process to the answer. Like Lambda it
// throttles the environment when init has ended, if there is a share and a memory size.
func (b *bench) start(ctx context.Context, s subject, event []byte, memory int) (*instance, time.Duration, error) {
	i := &instance{subject: s}
	s.config.Initialized = func(pid int) {
		now := time.Now()
		i.pid = pid
		if b.share != nil && memory != unthrottled {
			i.err = b.share.limit(pid, memory)
		}
		i.paused = time.Since(now)
	}
	i.function = lambda.New(s.config)
	took, err := i.time(ctx, event)
	if err != nil {
		i.function.Close()
		return nil, 0, err
	}
	return i, took - i.paused, nil
}

// time returns how long an invocation takes.
func (i *instance) time(ctx context.Context, event []byte) (time.Duration, error) {
	begin := time.Now()
	response, err := i.function.Invoke(ctx, event)
	took := time.Since(begin)
	if err == nil {
		err = i.err
	}
	if err == nil {
		err = check(response)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", i.name, err)
	}
	return took, nil
}

// A sample is what one round has measured of a subject: of a single invocation p50 only.
type sample struct{ p50, p90, p99, cpu time.Duration }

// A record has the samples of a subject.
type record struct {
	p50, p90, p99, cpu figure
	memory             figure // the most that the process has ever had
}

func (r *record) add(s sample) {
	r.p50.add(s.p50)
	r.p90.add(s.p90)
	r.p99.add(s.p99)
	r.cpu.add(s.cpu)
}

// inTurns measures n things in turn, round after round. It drops the first round, which
// brings programs into the system's cache.
func inTurns(rounds, n int, measure func(n int) (sample, error)) ([]record, error) {
	records := make([]record, n)
	for round := range rounds + 1 {
		for n := range records {
			one, err := measure(n)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				records[n].add(one)
			}
		}
	}
	return records, nil
}

// coldStarts starts each subject in turn.
func (b *bench) coldStarts(ctx context.Context, compared []subject, event []byte, memory int) ([]record, error) {
	return inTurns(b.Rounds, len(compared), func(n int) (sample, error) {
		i, took, err := b.start(ctx, compared[n], event, memory)
		if err == nil {
			i.function.Close()
		}
		return sample{p50: took}, err
	})
}

// times invokes one environment with each event in turn.
func (b *bench) times(ctx context.Context, s subject, memory, rounds int, events ...[]byte) ([]record, error) {
	i, _, err := b.start(ctx, s, events[0], memory)
	if err != nil {
		return nil, err
	}
	defer i.function.Close()
	return inTurns(rounds, len(events), func(n int) (sample, error) {
		took, err := i.time(ctx, events[n])
		return sample{p50: took}, err
	})
}

// invocations invokes one environment of each subject in turn, many times a round.
func (b *bench) invocations(ctx context.Context, compared []subject, event []byte) ([]record, error) {
	var instances []*instance
	defer func() {
		for _, i := range instances {
			i.function.Close()
		}
	}()
	for _, s := range compared {
		i, _, err := b.start(ctx, s, event, unthrottled)
		if err != nil {
			return nil, err
		}
		instances = append(instances, i)
	}
	records, err := inTurns(b.Rounds, len(instances), func(n int) (sample, error) { return instances[n].sample(ctx, event) })
	if err != nil {
		return nil, err
	}
	for n, i := range instances {
		peak, err := peakMemory(i.pid)
		if err != nil {
			return nil, err
		}
		records[n].memory = memory(peak)
	}
	return records, nil
}

// sample measures one round of invocations.
func (i *instance) sample(ctx context.Context, event []byte) (s sample, err error) {
	before, err := cpuTime(i.pid)
	if err != nil {
		return s, err
	}
	var times figure
	for range i.round {
		took, err := i.time(ctx, event)
		if err != nil {
			return s, err
		}
		times.add(took)
	}
	after, err := cpuTime(i.pid)
	at := func(share float64) time.Duration { return time.Duration(times.percentile(share)) }
	return sample{at(0.5), at(0.9), at(0.99), (after - before) / time.Duration(i.round)}, err
}

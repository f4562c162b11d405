package bench

import (
	"context"
	"fmt"
	"time"
)

// invocations are how many make one round of a running environment, as a rule.
const invocations = 100

// warm measures invocations of running environments, taken in turns.
func (b *bench) warm(ctx context.Context, s *subjects) (comparison, error) {
	table := comparison{title: "Running: webhook, one invocation"}
	b.Progress("invocations of running webhooks")
	compared := b.withPython([]subject{s.webhook, s.webhookFloor, s.hello}, s.webhookPython)
	measured, err := b.blocks(ctx, compared, s.request)
	if err != nil {
		return table, err
	}
	ours := measured[0]
	for n, other := range measured[1:] {
		name := compared[n+1].name
		target := 0.0
		if n == 0 {
			target = 1.5
		}
		table.rows = append(table.rows,
			compare("p50, "+name, ours.p50, other.p50, target),
			compare("p90, "+name, ours.p90, other.p90, 0),
			compare("p99, "+name, ours.p99, other.p99, 0),
			compare("CPU, "+name, ours.cpu, other.cpu, 0),
			memoryRow(name, ours, other),
		)
	}
	return table, nil
}

func memoryRow(name string, ours, other block) row {
	ratio := float64(ours.memory) / float64(other.memory)
	return row{what: "peak memory, " + name, ours: megabytes(ours.memory), theirs: megabytes(other.memory), ratio: quartiles{ratio, ratio, ratio}}
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

func (b *bench) withPython(compared []subject, python subject) []subject {
	if python.config.Bootstrap == "" {
		return compared
	}
	return append(compared, python)
}

// A block is what was measured of one environment, a value a round.
type block struct {
	p50, p90, p99 series
	cpu           series // of one invocation
	memory        int64  // the most it has ever had, in bytes
}

// blocks invokes one environment of each subject in turn, many times a round.
func (b *bench) blocks(ctx context.Context, compared []subject, event []byte) ([]block, error) {
	measured := make([]block, len(compared))
	var instances []*instance
	defer func() {
		for _, i := range instances {
			i.stop()
		}
	}()
	for _, s := range compared {
		i, _, err := start(ctx, s, event, 0, nil)
		if err != nil {
			return nil, err
		}
		instances = append(instances, i)
	}
	for round := range b.Rounds + 1 {
		for n, i := range instances {
			one, err := i.block(ctx, event, compared[n].invocations)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				measured[n].append(one)
			}
		}
	}
	return measured, nil
}

func (b *block) append(one block) {
	b.p50, b.p90, b.p99 = append(b.p50, one.p50...), append(b.p90, one.p90...), append(b.p99, one.p99...)
	b.cpu, b.memory = append(b.cpu, one.cpu...), one.memory
}

// block measures one round of n invocations.
func (i *instance) block(ctx context.Context, event []byte, n int) (b block, err error) {
	before, err := cpuTime(i.pid)
	if err != nil {
		return b, err
	}
	times := make([]float64, n)
	for k := range times {
		took, err := i.time(ctx, event)
		if err != nil {
			return b, err
		}
		times[k] = float64(took)
	}
	after, err := cpuTime(i.pid)
	if err != nil {
		return b, err
	}
	b.p50, b.p90, b.p99 = series{percentile(times, 0.5)}, series{percentile(times, 0.9)}, series{percentile(times, 0.99)}
	b.cpu.add((after - before) / time.Duration(n))
	b.memory, err = peakMemory(i.pid)
	return b, err
}

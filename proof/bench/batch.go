package bench

import (
	"context"
	"fmt"
	"time"

	"veryfi-intake/shared/document"
)

// upstreamDelay is what a document takes on its way from Veryfi, as a rule.
const upstreamDelay = 100 * time.Millisecond

// batches measures the processor with ten documents against one.
func (b *bench) batches(ctx context.Context, s *subjects) ([]Table, error) {
	cpu, err := b.batchCPU(ctx, s)
	if err != nil {
		return nil, err
	}
	table := comparison{title: "Running: a batch of ten documents against one"}
	for _, at := range []struct {
		delay  time.Duration
		memory int
		target float64
	}{{0, 0, 0}, {upstreamDelay, 0, 1.05}, {upstreamDelay, 256, 1.3}} {
		if at.memory != 0 && b.share == nil {
			continue
		}
		for _, subject := range b.withPython([]subject{s.processor, s.processorFloor}, s.processorPython) {
			what := fmt.Sprintf("%s, %v upstream, %s", subject.name, at.delay, memoryName(at.memory))
			b.Progress("ten documents against one: " + what)
			s.upstream.delay.Store(int64(at.delay))
			ten, one, err := b.tenAndOne(ctx, subject, at.memory)
			s.upstream.delay.Store(0)
			if err != nil {
				return nil, err
			}
			row := compare(what, ten, one, 0)
			if subject.name == s.processor.name {
				row.target = at.target
			}
			table.rows = append(table.rows, row)
		}
	}
	largest, err := b.largest(ctx, s)
	return []Table{cpu.table(), table.table(), largest.table()}, err
}

// batchCPU measures what ten documents cost.
func (b *bench) batchCPU(ctx context.Context, s *subjects) (comparison, error) {
	table := comparison{title: "Running: processor, a batch of ten documents of 15 KB"}
	b.Progress("batches of ten documents")
	rows := s.upstream.rows.Load()
	compared := b.withPython([]subject{s.processor, s.processorFloor}, s.processorPython)
	measured, err := b.blocks(ctx, compared, batch(10))
	if err != nil {
		return table, err
	}
	if stored := s.upstream.rows.Load() - rows; stored < int64(10*invocations*b.Rounds) {
		return table, fmt.Errorf("%w: it stored only %d documents", errWrongAnswer, stored)
	}
	ours := measured[0]
	for n, other := range measured[1:] {
		name := compared[n+1].name
		target := 0.0
		if n == 0 {
			target = 2.2
		}
		table.rows = append(table.rows,
			compare("CPU a batch, "+name, ours.cpu, other.cpu, target),
			compare("p50, "+name, ours.p50, other.p50, 0),
			compare("p99, "+name, ours.p99, other.p99, 0),
			memoryRow(name, ours, other),
		)
	}
	return table, nil
}

// largest measures the memory that the largest documents take, ten at once: they
// are retrieved, gzipped, and found to be too large for the table.
func (b *bench) largest(ctx context.Context, s *subjects) (comparison, error) {
	table := comparison{title: "Running: the processor with ten documents of 8 MB, three times"}
	b.Progress("the largest documents")
	s.upstream.serveDocuments(document.MaxJSON - 1000)
	defer s.upstream.serveDocuments(documentSize)
	instance, _, err := start(ctx, s.processor, batch(10), 0, nil)
	if err != nil {
		return table, err
	}
	defer instance.stop()
	for range 2 {
		if err := instance.invoke(ctx, batch(10)); err != nil {
			return table, err
		}
	}
	peak, err := peakMemory(instance.pid)
	if err != nil {
		return table, err
	}
	limit := int64(s.processor.config.MemorySize) << 20
	ratio := float64(peak) / float64(limit)
	table.rows = []row{{
		what: "peak memory against MemorySize", ours: megabytes(peak), theirs: megabytes(limit),
		ratio: quartiles{ratio, ratio, ratio}, target: 0.9,
	}}
	return table, nil
}

// tenAndOne takes a batch of ten and a batch of one in turns.
func (b *bench) tenAndOne(ctx context.Context, s subject, memory int) (ten, one series, err error) {
	batches := [][]byte{batch(10), batch(1)}
	instance, _, err := start(ctx, s, batches[0], memory, b.share)
	if err != nil {
		return nil, nil, err
	}
	defer instance.stop()
	measured := make([]series, len(batches))
	for range b.Rounds {
		for n, event := range batches {
			took, err := instance.time(ctx, event)
			if err != nil {
				return nil, nil, err
			}
			measured[n].add(took)
		}
	}
	return measured[0], measured[1], nil
}

package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"veryfi-intake/shared/document"
)

const (
	// invocations are how many make one round of a running environment, as a rule.
	invocations = 100
	// upstreamDelay is what a document takes on its way from Veryfi, as a rule.
	upstreamDelay = 100 * time.Millisecond
	// unthrottled is the memory size of a whole CPU and more, as after the start of a
	// function.
	unthrottled = 0
)

func memoryName(memory int) string {
	if memory == unthrottled {
		return "unthrottled"
	}
	return fmt.Sprintf("%d MB", memory)
}

// cold measures the time from the start of a process to its first answer, for
// each memory size.
func (b *bench) cold(ctx context.Context, s *subjects) (tables []Table, err error) {
	for _, kind := range []struct {
		name     string
		event    []byte
		compared []subject
		targets  map[int]float64 // of ours against the floor, by memory size
	}{
		{"webhook", s.request, s.webhooks, map[int]float64{128: 0.15, unthrottled: 0.80}},
		{"processor, one document", batch(1), s.processors, nil},
	} {
		table := comparison{title: "From the start of the process to the first answer: " + kind.name}
		for _, memory := range []int{128, 256, 512, fullMemory, unthrottled} {
			if memory != unthrottled && b.share == nil {
				continue
			}
			b.Progress(fmt.Sprintf("cold starts of the %s, %s", kind.name, memoryName(memory)))
			measured, err := b.coldStarts(ctx, kind.compared, kind.event, memory)
			if err != nil {
				return nil, err
			}
			for n, other := range kind.compared[1:] {
				target := 0.0
				if n == 0 {
					target = kind.targets[memory]
				}
				table.add(compare(memoryName(memory)+", "+other.name, measured[0], measured[n+1], target))
			}
		}
		tables = append(tables, table.table())
	}
	return tables, nil
}

// warm measures invocations of running webhooks, taken in turns.
func (b *bench) warm(ctx context.Context, s *subjects) ([]Table, error) {
	table := comparison{title: "Running: webhook, one invocation"}
	b.Progress("invocations of running webhooks")
	ours, others, err := b.blocks(ctx, s.webhooks, s.request)
	if err != nil {
		return nil, err
	}
	for n, other := range others {
		target := 0.0
		if n == 0 {
			target = 1.5
		}
		table.add(
			compare("p50, "+other.name, ours.p50, other.p50, target),
			compare("p90, "+other.name, ours.p90, other.p90, 0),
			compare("p99, "+other.name, ours.p99, other.p99, 0),
			compare("CPU, "+other.name, ours.cpu, other.cpu, 0),
			compareBytes("peak memory, "+other.name, ours.memory, other.memory, 0),
		)
	}
	return []Table{table.table()}, nil
}

// batches measures the processor with ten documents: what they cost, how long they take
// against one, and what memory the largest take.
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
	}{{0, unthrottled, 0}, {upstreamDelay, unthrottled, 1.05}, {upstreamDelay, 256, 1.3}} {
		if at.memory != unthrottled && b.share == nil {
			continue
		}
		for n, subject := range s.processors {
			what := fmt.Sprintf("%s, %v upstream, %s", subject.name, at.delay, memoryName(at.memory))
			b.Progress("ten documents against one: " + what)
			s.upstream.delay.Store(int64(at.delay))
			times, err := b.times(ctx, subject, at.memory, b.Rounds, batch(10), batch(1))
			s.upstream.delay.Store(0)
			if err != nil {
				return nil, err
			}
			target := 0.0
			if n == 0 {
				target = at.target
			}
			table.add(compare(what, times[0], times[1], target))
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
	ours, others, err := b.blocks(ctx, s.processors, batch(10))
	if err != nil {
		return table, err
	}
	if stored := s.upstream.rows.Load() - rows; stored < int64(10*invocations*b.Rounds) {
		return table, fmt.Errorf("%w: it stored only %d documents", errWrongAnswer, stored)
	}
	for n, other := range others {
		target := 0.0
		if n == 0 {
			target = 2.2
		}
		table.add(
			compare("CPU a batch, "+other.name, ours.cpu, other.cpu, target),
			compare("p50, "+other.name, ours.p50, other.p50, 0),
			compare("p99, "+other.name, ours.p99, other.p99, 0),
			compareBytes("peak memory, "+other.name, ours.memory, other.memory, 0),
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
	instance, _, err := start(ctx, s.processors[0], batch(10), nil, unthrottled)
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
	table.add(compareBytes("peak memory against MemorySize", peak, int64(s.processors[0].config.MemorySize)<<20, 0.9))
	return table, err
}

// memorySizes measures what the default memory sizes were chosen from: how long
// an invocation takes at each, and what Lambda charges for, all waiting for Veryfi
// at its pace included.
func (b *bench) memorySizes(ctx context.Context, s *subjects) ([]Table, error) {
	if b.share == nil {
		return nil, nil
	}
	table := Table{
		Title:   "Running: memory sizes",
		Headers: []string{"what", "memory", "p50", "p99", "GB-seconds for a million documents"},
		Notes: []string{
			"SQS and DynamoDB answer at once here, and within 5 to 20 ms on AWS: add them to each line.",
		},
	}
	s.upstream.delay.Store(int64(upstreamDelay))
	defer s.upstream.delay.Store(0)
	for _, kind := range []struct {
		what        string
		subject     subject
		event       []byte
		documents   int
		invocations int
	}{
		{"webhook", s.webhooks[0], s.request, 1, invocations},
		{"processor, a document", s.processors[0], batch(1), 1, 20},
		{"processor, ten documents, 11 a second", s.processors[0].with(rateVariable, "11"), batch(10), 10, 5},
	} {
		for _, memory := range []int{128, 256, 512, fullMemory} {
			b.Progress(fmt.Sprintf("%s, %d MB", kind.what, memory))
			measured, err := b.times(ctx, kind.subject, memory, kind.invocations, kind.event)
			if err != nil {
				return nil, err
			}
			times, charged := measured[0], 0.0
			for _, t := range times {
				charged += math.Ceil(t/1e6) / 1000 * float64(memory) / 1024 / float64(len(times)*kind.documents)
			}
			table.Rows = append(table.Rows, []string{
				kind.what, fmt.Sprintf("%d MB", memory),
				duration(percentile(times, 0.5)), duration(percentile(times, 0.99)), fmt.Sprintf("%.0f", charged*1e6),
			})
		}
	}
	return []Table{table}, nil
}

// levers measures what each setting of template.yaml is worth: with all of them,
// against all but one.
func (b *bench) levers(ctx context.Context, s *subjects) ([]Table, error) {
	table := comparison{title: "What each setting of the runtime is worth: all of them, against all but one"}
	webhook, processor := s.webhooks[0], s.processors[0]
	for _, setting := range []struct{ name, without string }{
		{"SSL_CERT_DIR", s.webhooks[1].config.Environment["SSL_CERT_DIR"]},
		{"GOMAXPROCS", "2"},
		{"GOGC", "100"},
	} {
		b.Progress("without " + setting.name)
		cold, err := b.coldStarts(ctx, []subject{webhook, webhook.with(setting.name, setting.without)}, s.request, unthrottled)
		if err != nil {
			return nil, err
		}
		with, without, err := b.blocks(ctx, []subject{processor, processor.with(setting.name, setting.without)}, batch(10))
		if err != nil {
			return nil, err
		}
		table.add(
			compare("start of the webhook, without "+setting.name, cold[0], cold[1], 0),
			compare("CPU of ten documents, without "+setting.name, with.cpu, without[0].cpu, 0),
		)
	}
	return []Table{table.table()}, nil
}

package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"veryfi-intake/shared/document"
)

const (
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
func (b *bench) cold(ctx context.Context, s *subjects) error {
	for _, kind := range []struct {
		name     string
		event    []byte
		compared []subject
	}{{"webhook", s.request, s.webhooks}, {"processor, one document", batch(1), s.processors}} {
		table := ratios(coldTitle + kind.name)
		for _, memory := range []int{128, 256, 512, fullMemory, unthrottled} {
			if memory != unthrottled && b.share == nil {
				continue
			}
			b.Progress(fmt.Sprintf("cold starts of the %s, %s", kind.name, memoryName(memory)))
			records, err := b.coldStarts(ctx, kind.compared, kind.event, memory)
			if err != nil {
				return err
			}
			for n, other := range records[1:] {
				table.compare(memoryName(memory)+", "+kind.compared[n+1].name, records[0].p50, other.p50)
			}
		}
		b.show(table)
	}
	return nil
}

// running measures invocations of environments that run: what a webhook costs, and what ten
// documents cost the processor.
func (b *bench) running(ctx context.Context, s *subjects) error {
	for _, kind := range []struct {
		title    string
		compared []subject
		event    []byte
		rows     int // that an invocation of ours writes
	}{{webhookTitle, s.webhooks, s.request, 0}, {batchTitle, s.processors, batch(10), 10}} {
		b.Progress(kind.title)
		before := s.upstream.rows.Load()
		records, err := b.invocations(ctx, kind.compared, kind.event)
		if err != nil {
			return err
		}
		if stored := s.upstream.rows.Load() - before; stored < int64(kind.rows*round*b.Rounds) {
			return fmt.Errorf("%w: it stored only %d documents", errWrongAnswer, stored)
		}
		table, ours := ratios(kind.title), records[0]
		for n, other := range records[1:] {
			name := ", " + kind.compared[n+1].name
			table.compare("p50"+name, ours.p50, other.p50)
			table.compare("p90"+name, ours.p90, other.p90)
			table.compare("p99"+name, ours.p99, other.p99)
			table.compare("CPU"+name, ours.cpu, other.cpu)
			table.compare("peak memory"+name, ours.memory, other.memory)
		}
		b.show(table)
	}
	return nil
}

// tenAgainstOne measures how long ten documents take the processor.
func (b *bench) tenAgainstOne(ctx context.Context, s *subjects) error {
	table := ratios(tenTitle)
	for _, at := range []struct {
		delay  time.Duration
		memory int
	}{{0, unthrottled}, {upstreamDelay, unthrottled}, {upstreamDelay, 256}} {
		if at.memory != unthrottled && b.share == nil {
			continue
		}
		for _, subject := range s.processors {
			what := fmt.Sprintf("%s, %v upstream, %s", subject.name, at.delay, memoryName(at.memory))
			b.Progress("ten documents against one: " + what)
			s.upstream.delay.Store(int64(at.delay))
			records, err := b.times(ctx, subject, at.memory, b.Rounds, batch(10), batch(1))
			s.upstream.delay.Store(0)
			if err != nil {
				return err
			}
			table.compare(what, records[0].p50, records[1].p50)
		}
	}
	b.show(table)
	return nil
}

// largest measures the memory that a batch of ten of the largest documents takes: they
// are retrieved, gzipped, and found to be too large for the table.
func (b *bench) largest(ctx context.Context, s *subjects) error {
	b.Progress("the largest documents")
	s.upstream.serveDocuments(document.MaxJSON - 1000)
	defer s.upstream.serveDocuments(documentSize)
	i, _, err := b.start(ctx, s.processors[0], batch(10), unthrottled)
	if err != nil {
		return err
	}
	defer i.function.Close()
	for range 2 {
		if _, err := i.time(ctx, batch(10)); err != nil {
			return err
		}
	}
	peak, err := peakMemory(i.pid)
	if err != nil {
		return err
	}
	table := ratios(largestTitle)
	table.compare("peak memory against MemorySize", memory(peak), memory(int64(i.config.MemorySize)<<20))
	b.show(table)
	return nil
}

// memorySizes measures what the default memory sizes were chosen from: how long
// an invocation takes at each, and what Lambda charges for, all waiting for Veryfi
// at its pace included.
func (b *bench) memorySizes(ctx context.Context, s *subjects) error {
	if b.share == nil {
		return nil
	}
	table := &Table{
		Title:   "Running: memory sizes",
		Headers: []string{"what", "memory", "p50", "p99", "GB-seconds for a million documents"},
		Notes:   []string{"SQS and DynamoDB answer immediately here, and within 5 to 20 ms on AWS: add them to each line."},
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
		{"webhook", s.webhooks[0], s.request, 1, round},
		{"processor, a document", s.processors[0], batch(1), 1, 20},
		{"processor, ten documents, 11 a second", s.processors[0].with(rateVariable, "11"), batch(10), 10, 5},
	} {
		for _, memory := range []int{128, 256, 512, fullMemory} {
			b.Progress(fmt.Sprintf("%s, %d MB", kind.what, memory))
			records, err := b.times(ctx, kind.subject, memory, kind.invocations, kind.event)
			if err != nil {
				return err
			}
			times, charged := records[0].p50, 0.0
			for _, t := range times.values {
				charged += math.Ceil(t/1e6) / 1000 * float64(memory) / 1024 / float64(kind.invocations*kind.documents)
			}
			table.Rows = append(table.Rows, []string{
				kind.what, memoryName(memory), times.String(), duration(times.percentile(0.99)), fmt.Sprintf("%.0f", charged*1e6),
			})
		}
	}
	b.show(table)
	return nil
}

// levers measures what each setting of template.yaml is worth: with all of them,
// against all but one.
func (b *bench) levers(ctx context.Context, s *subjects) error {
	table := ratios("What each setting of the runtime is worth: all of them, against all but one")
	for _, setting := range []struct{ name, without string }{
		{"SSL_CERT_DIR", s.webhooks[1].config.Environment["SSL_CERT_DIR"]},
		{"GOMAXPROCS", "2"},
		{"GOGC", "100"},
	} {
		b.Progress("without " + setting.name)
		with := func(ours subject) []subject { return []subject{ours, ours.with(setting.name, setting.without)} }
		starts, err := b.coldStarts(ctx, with(s.webhooks[0]), s.request, unthrottled)
		if err != nil {
			return err
		}
		batches, err := b.invocations(ctx, with(s.processors[0]), batch(10))
		if err != nil {
			return err
		}
		table.compare("start of the webhook, without "+setting.name, starts[0].p50, starts[1].p50)
		table.compare("CPU of ten documents, without "+setting.name, batches[0].cpu, batches[1].cpu)
	}
	b.show(table)
	return nil
}

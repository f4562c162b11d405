package bench

import (
	"context"
	"fmt"
	"math"
)

// sizesOfMemory measures what the default memory sizes were chosen from: how long
// an invocation takes at each, and what Lambda charges for, all waiting for Veryfi
// at its pace included.
func (b *bench) sizesOfMemory(ctx context.Context, s *subjects) ([]Table, error) {
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
	paced := s.processor.with("VERYFI_REQUESTS_PER_SECOND", "11")
	s.upstream.delay.Store(int64(upstreamDelay))
	defer s.upstream.delay.Store(0)
	for _, kind := range []struct {
		what        string
		subject     subject
		event       []byte
		documents   int
		invocations int
	}{
		{"webhook", s.webhook, s.request, 1, invocations},
		{"processor, a document", s.processor, batch(1), 1, 20},
		{"processor, ten documents, 11 a second", paced, batch(10), 10, 5},
	} {
		for _, memory := range []int{128, 256, 512, fullMemory} {
			b.Progress(fmt.Sprintf("%s, %d MB", kind.what, memory))
			times, err := b.throttledTimes(ctx, kind.subject, kind.event, memory, kind.invocations)
			if err != nil {
				return nil, err
			}
			charged := 0.0
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

// throttledTimes returns how long invocations take at a memory size, but for the
// first, which is a cold start.
func (b *bench) throttledTimes(ctx context.Context, s subject, event []byte, memory, n int) ([]float64, error) {
	instance, _, err := start(ctx, s, event, memory, b.share)
	if err != nil {
		return nil, err
	}
	defer instance.stop()
	times := make([]float64, n)
	for i := range times {
		took, err := instance.time(ctx, event)
		if err != nil {
			return nil, err
		}
		times[i] = float64(took)
	}
	return times, nil
}

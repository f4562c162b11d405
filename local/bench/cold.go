package bench

import (
	"context"
	"fmt"
)

// memories are the memory sizes that are imitated, in MB; 0 is a whole CPU and
// more, as after the start of a function.
var memories = []int{128, 256, 512, fullMemory, 0}

func memoryName(memory int) string {
	if memory == 0 {
		return "unthrottled"
	}
	return fmt.Sprintf("%d MB", memory)
}

// cold measures the time from the start of a process to its first answer, for
// each memory size.
func (b *bench) cold(ctx context.Context, s *subjects) ([]Table, error) {
	var tables []Table
	for _, kind := range []struct {
		name         string
		event        []byte
		ours, floor  subject
		python       subject
		targets      map[int]float64
		withoutHello bool
	}{
		{"webhook", s.request, s.webhook, s.webhookFloor, s.webhookPython, map[int]float64{128: 0.15, 0: 0.80}, false},
		{"processor, one document", batch(1), s.processor, s.processorFloor, s.processorPython, nil, true},
	} {
		table := comparison{title: "From the start of the process to the first answer: " + kind.name}
		for _, memory := range memories {
			if memory != 0 && b.share == nil {
				continue
			}
			b.Progress(fmt.Sprintf("cold starts of the %s, %s", kind.name, memoryName(memory)))
			compared := []subject{kind.ours, kind.floor, s.hello}
			if kind.python.config.Bootstrap != "" {
				compared = append(compared, kind.python)
			}
			measured, err := b.coldStarts(ctx, compared, kind.event, memory)
			if err != nil {
				return nil, err
			}
			ours, floor := measured[0], measured[1]
			table.rows = append(table.rows, compare(memoryName(memory)+", floor", ours, floor, kind.targets[memory]))
			if !kind.withoutHello {
				table.rows = append(table.rows, compare(memoryName(memory)+", empty function", ours, measured[2], 0))
			}
			if len(compared) > 3 {
				table.rows = append(table.rows, compare(memoryName(memory)+", Python", ours, measured[3], 0))
			}
		}
		tables = append(tables, table.table())
	}
	return tables, nil
}

// coldStarts starts each subject in turn, round after round.
func (b *bench) coldStarts(ctx context.Context, compared []subject, event []byte, memory int) ([]series, error) {
	measured := make([]series, len(compared))
	for round := range b.Rounds + 1 {
		for n, s := range compared {
			instance, took, err := start(ctx, s, event, memory, b.share)
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

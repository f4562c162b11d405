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
		name     string
		event    []byte
		compared []subject // ours first, then the floor
		targets  map[int]float64
	}{
		{"webhook", s.request, b.withPython([]subject{s.webhook, s.webhookFloor, s.hello}, s.webhookPython), map[int]float64{128: 0.15, 0: 0.80}},
		{"processor, one document", batch(1), b.withPython([]subject{s.processor, s.processorFloor}, s.processorPython), nil},
	} {
		table := comparison{title: "From the start of the process to the first answer: " + kind.name}
		for _, memory := range memories {
			if memory != 0 && b.share == nil {
				continue
			}
			b.Progress(fmt.Sprintf("cold starts of the %s, %s", kind.name, memoryName(memory)))
			measured, err := b.coldStarts(ctx, kind.compared, kind.event, memory)
			if err != nil {
				return nil, err
			}
			for n, other := range kind.compared[1:] {
				row := compare(memoryName(memory)+", "+other.name, measured[0], measured[n+1], 0)
				if n == 0 {
					row.target = kind.targets[memory]
				}
				table.rows = append(table.rows, row)
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

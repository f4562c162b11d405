package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/tools/benchmark/parse"
)

// microPackages have the benchmarks of this part.
var microPackages = []string{"signature", "event", "document"}

// micro runs Go's benchmarks, all of them once a round, and compares some with
// others. What they print is kept for benchstat.
func (b *bench) micro(ctx context.Context) ([]Table, error) {
	folder, err := os.MkdirTemp("", "veryfi-intake-micro-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	var printed strings.Builder
	measured := benchmarks{}
	for round := range b.Rounds + 1 {
		for _, name := range microPackages {
			program := filepath.Join(folder, name)
			if round == 0 {
				b.Progress("build and warm up the benchmarks of shared/" + name)
				if err := b.run(ctx, nil, "go", "test", "-c", "-o", program, "./shared/"+name); err != nil {
					return nil, err
				}
			}
			var out strings.Builder
			if err := b.run(ctx, &out, program, "-test.run=^$", "-test.bench=.", "-test.benchtime=50ms"); err != nil {
				return nil, err
			}
			if round == 0 {
				continue // the first brings the programs into the system's cache
			}
			printed.WriteString(out.String())
			if err := measured.add(name, out.String()); err != nil {
				return nil, err
			}
		}
	}
	raw := filepath.Join(b.Root, ".build", "bench.txt")
	if err := os.WriteFile(raw, []byte(printed.String()), 0o644); err != nil {
		return nil, err
	}
	return measured.tables(".build/bench.txt")
}

func (b *bench) run(ctx context.Context, out *strings.Builder, name string, arguments ...string) error {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = b.Root
	var problem strings.Builder
	command.Stderr = &problem
	if out != nil {
		command.Stdout = out
	}
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, problem.String())
	}
	return nil
}

// benchmarks are what Go's benchmarks have printed, by package and name.
type benchmarks map[string][]*parse.Benchmark

func (m benchmarks) add(pkg, output string) error {
	set, err := parse.ParseSet(strings.NewReader(output))
	if err != nil {
		return err
	}
	for name, results := range set {
		name = strings.TrimPrefix(name, "Benchmark")
		if dash := strings.LastIndex(name, "-"); dash > 0 {
			name = name[:dash] // the number of CPUs
		}
		m[pkg+"."+name] = append(m[pkg+"."+name], results...)
	}
	return nil
}

// of returns the time of an operation in each round, and its allocations.
func (m benchmarks) of(name string) (times series, allocations string, err error) {
	results := m[name]
	if len(results) == 0 {
		return nil, "", fmt.Errorf("there is no benchmark %s", name)
	}
	for _, r := range results {
		times = append(times, r.NsPerOp)
	}
	last := results[len(results)-1]
	return times, fmt.Sprintf(", %d allocations", last.AllocsPerOp), nil
}

func (m benchmarks) tables(raw string) ([]Table, error) {
	table := comparison{title: "Parts"}
	for _, c := range []struct {
		what, ours, theirs string
		target             float64
	}{
		{"verify a signature, HMAC reused", "signature.ParseAndVerify", "signature.HMACReused", 3},
		{"body to verified event, HMAC made anew", "event.VerifiedEvent", "event.HMACFresh", 1.5},
		{"message to JSON, HMAC made anew", "event.Encode", "event.HMACFresh", 0},
		{"JSON to message, HMAC made anew", "event.DecodeMessage", "event.HMACFresh", 0},
		{"document of 2 KB to DynamoDB's form, encoding/json", "document.Read/2KB", "document.StandardJSON/2KB", 0},
		{"document of 15 KB", "document.Read/15KB", "document.StandardJSON/15KB", 0},
		{"document of 150 KB", "document.Read/150KB", "document.StandardJSON/150KB", 0},
		{"document of 600 KB, too large for DynamoDB's form", "document.Read/600KB", "document.StandardJSON/600KB", 0},
		{"document of 600 KB, gzipped instead", "document.Gzip", "document.StandardJSON/600KB", 0},
		{"growth: 150 KB against 15 KB", "document.Read/150KB", "document.Read/15KB", 0},
	} {
		ours, mine, err := m.of(c.ours)
		if err != nil {
			return nil, err
		}
		theirs, others, err := m.of(c.theirs)
		if err != nil {
			return nil, err
		}
		row := compare(c.what, ours, theirs, c.target)
		row.ours += mine
		row.theirs += others
		table.rows = append(table.rows, row)
	}
	return []Table{table.table("For benchstat: " + raw)}, nil
}

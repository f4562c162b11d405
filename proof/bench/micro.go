package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/benchmark/parse"
)

// microPackages have the benchmarks of this part.
var microPackages = []string{"signature", "event", "document"}

// micro runs Go's benchmarks, all of them once a round, and compares some with
// others. What they print is kept for benchstat.
func (b *bench) micro(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "veryfi-intake-micro-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	b.Progress("build and warm up the benchmarks of shared/" + strings.Join(microPackages, ", "))
	for _, name := range microPackages {
		if _, err := run(ctx, b.Root, nil, "go", "test", "-c", "-o", filepath.Join(folder, name), "./shared/"+name); err != nil {
			return err
		}
	}
	var printed []byte
	for round := range b.Rounds + 1 {
		for _, name := range microPackages {
			out, err := run(ctx, b.Root, nil, filepath.Join(folder, name), "-test.run=^$", "-test.bench=.", "-test.benchtime=50ms")
			if err != nil {
				return err
			}
			if round > 0 { // the first brings the programs into the system's cache
				printed = append(printed, out...)
			}
		}
	}
	const raw = ".build/bench.txt"
	if err := os.WriteFile(filepath.Join(b.Root, raw), printed, 0o644); err != nil {
		return err
	}
	measured, err := parseBenchmarks(printed)
	if err != nil {
		return err
	}
	table := ratios(partsTitle)
	table.Notes = []string{"For benchstat: " + raw}
	for _, row := range []struct{ what, ours, theirs string }{
		{"verify a signature, HMAC reused", "ParseAndVerify", "HMACReused"},
		{"body to verified event, HMAC made anew", "VerifiedEvent", "HMACFresh"},
		{"message to JSON, HMAC made anew", "Encode", "HMACFresh"},
		{"JSON to message, HMAC made anew", "DecodeMessage", "HMACFresh"},
		{"document of 2 KB to DynamoDB's form, encoding/json", "Read/2KB", "StandardJSON/2KB"},
		{"document of 15 KB", "Read/15KB", "StandardJSON/15KB"},
		{"document of 150 KB", "Read/150KB", "StandardJSON/150KB"},
		{"document of 600 KB, too large for DynamoDB's form", "Read/600KB", "StandardJSON/600KB"},
		{"document of 600 KB, gzipped instead", "Gzip", "StandardJSON/600KB"},
		{"growth: 150 KB against 15 KB", "Read/150KB", "Read/15KB"},
	} {
		ours, theirs := measured[row.ours], measured[row.theirs]
		if len(ours.values) == 0 || len(theirs.values) == 0 {
			return fmt.Errorf("there is no benchmark %s or no %s", row.ours, row.theirs)
		}
		table.compare(row.what, ours, theirs)
	}
	b.show(table)
	return nil
}

// parseBenchmarks returns the time of each operation in each round; the texts have the
// allocations, too. No two benchmarks share a name.
func parseBenchmarks(printed []byte) (map[string]figure, error) {
	set, err := parse.ParseSet(bytes.NewReader(printed))
	if err != nil {
		return nil, err
	}
	measured := map[string]figure{}
	for name, results := range set {
		var f figure
		for _, r := range results {
			f.values = append(f.values, r.NsPerOp)
		}
		f.text = func(median float64) string {
			return fmt.Sprintf("%s, %d allocations", duration(median), results[len(results)-1].AllocsPerOp)
		}
		name, _, _ = strings.Cut(strings.TrimPrefix(name, "Benchmark"), "-") // the number of CPUs
		measured[name] = f
	}
	return measured, nil
}

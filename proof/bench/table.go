package bench

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// A Table is what one part has measured.
type Table struct {
	Title   string
	Headers []string
	Rows    [][]string
	// Notes say in a sentence each what the table does not show.
	Notes []string
	// Missed is how many of its targets are.
	Missed int
}

// The tables that have targets.
const (
	partsTitle   = "Parts"
	coldTitle    = "From the start of the process to the first answer: " // of what
	webhookTitle = "Running: webhook, one invocation"
	batchTitle   = "Running: processor, a batch of ten documents of 15 KB"
	tenTitle     = "Running: a batch of ten documents against one"
	largestTitle = "Running: the processor with ten documents of 8 MB, three times"
	sizesTitle   = "Size of the binary, and zipped"
)

// targets are what the medians of ratios must not exceed, by table and row.
var targets = map[string]map[string]float64{
	partsTitle:            {"verify a signature, HMAC reused": 3, "body to verified event, HMAC made anew": 1.5},
	coldTitle + "webhook": {"128 MB, floor": 0.15, "unthrottled, floor": 0.80},
	webhookTitle:          {"p50, floor": 1.5},
	batchTitle:            {"CPU, floor": 2.2},
	tenTitle:              {"ours, 100ms upstream, unthrottled": 1.05, "ours, 100ms upstream, 256 MB": 1.3},
	largestTitle:          {"peak memory against MemorySize": 0.9},
	sizesTitle: {
		"WebhookFunction, arm64": 1.25, "ProcessorFunction, arm64": 1.45, "ReconcilerFunction, arm64": 1.45,
		"WebhookFunction, x86_64": 1.25, "ProcessorFunction, x86_64": 1.45, "ReconcilerFunction, x86_64": 1.45,
	},
}

// ratios returns a table of comparisons, still empty.
func ratios(title string) *Table {
	return &Table{Title: title, Headers: []string{"what", "ours", "compared", "ratio", "quartiles", "target", ""}}
}

// compare adds a row: the medians of two figures that were measured in turns, and the
// ratios of their rounds.
func (t *Table) compare(what string, ours, theirs figure) {
	var paired figure
	for i := range min(len(ours.values), len(theirs.values)) {
		paired.values = append(paired.values, ours.values[i]/theirs.values[i])
	}
	ratio := paired.percentile(0.5)
	target, verdict := "", ""
	if limit, ok := targets[t.Title][what]; ok {
		target, verdict = "≤ "+strconv.FormatFloat(limit, 'f', -1, 64), "missed"
		if ratio <= limit {
			verdict = "met"
		} else {
			t.Missed++
		}
	}
	spread := fmt.Sprintf("%.2f–%.2f", paired.percentile(0.25), paired.percentile(0.75))
	t.Rows = append(t.Rows, []string{what, ours.String(), theirs.String(), fmt.Sprintf("%.2f", ratio), spread, target, verdict})
}

// unmeasured returns the targets that no row has, sorted.
func (t *Table) unmeasured() (names []string) {
	for name := range targets[t.Title] {
		if !slices.ContainsFunc(t.Rows, func(row []string) bool { return row[0] == name }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// A figure is what was measured of one subject, a value a round.
type figure struct {
	values []float64
	text   func(float64) string // nil for a time in nanoseconds
}

func (f *figure) add(d time.Duration) { f.values = append(f.values, float64(d)) }

// memory is a figure that was taken once, in bytes.
func memory(bytes int64) figure {
	return figure{[]float64{float64(bytes)}, func(b float64) string { return fmt.Sprintf("%.0f MB", b/1e6) }}
}

// String is the median.
func (f *figure) String() string {
	if f.text == nil {
		return duration(f.percentile(0.5))
	}
	return f.text(f.percentile(0.5))
}

// percentile returns the value below which a share of the values lies, between
// neighbours in proportion. Nothing has none: NaN.
func (f *figure) percentile(share float64) float64 {
	if len(f.values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(f.values))
	place := share * float64(len(sorted)-1)
	below := int(place)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
}

func duration(nanoseconds float64) string {
	switch d := time.Duration(nanoseconds); {
	case d < time.Microsecond:
		return fmt.Sprintf("%.0f ns", nanoseconds)
	case d < time.Millisecond:
		return fmt.Sprintf("%.1f µs", nanoseconds/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", nanoseconds/1e6)
	default:
		return fmt.Sprintf("%.2f s", nanoseconds/1e9)
	}
}

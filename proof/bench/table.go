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

// A comparison is a table of ratios in the making.
type comparison struct {
	title string
	rows  []row
}

// A row compares ours with theirs, which were measured in turns.
type row struct {
	what         string
	ours, theirs string // medians, with their units
	ratio        quartiles
	target       float64 // what the ratio shall not exceed; 0 when there is none
}

type quartiles struct{ first, median, third float64 }

func quartilesOf(values []float64) quartiles {
	return quartiles{percentile(values, 0.25), percentile(values, 0.5), percentile(values, 0.75)}
}

// add adds rows.
func (c *comparison) add(rows ...row) { c.rows = append(c.rows, rows...) }

// percentile returns the value below which a share of the values lies, between
// neighbours in proportion.
func percentile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	place := share * float64(len(sorted)-1)
	below := int(place)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
}

func median(values []float64) float64 { return percentile(values, 0.5) }

// A series holds what was measured of one subject, a value a round.
type series []float64

func (s *series) add(d time.Duration) { *s = append(*s, float64(d)) }

// compare pairs the rounds of two series of durations.
func compare(what string, ours, theirs series, target float64) row {
	return row{
		what:   what,
		ours:   duration(median(ours)),
		theirs: duration(median(theirs)),
		ratio:  ratios(ours, theirs),
		target: target,
	}
}

func ratios(ours, theirs series) quartiles {
	paired := make([]float64, min(len(ours), len(theirs)))
	for i := range paired {
		paired[i] = ours[i] / theirs[i]
	}
	return quartilesOf(paired)
}

// compareBytes pairs two figures that were taken once.
func compareBytes(what string, ours, theirs int64, target float64) row {
	megabytes := func(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }
	return row{what, megabytes(ours), megabytes(theirs), quartilesOf([]float64{float64(ours) / float64(theirs)}), target}
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

func (r row) met() bool { return r.ratio.median <= r.target }

func (r row) cells() []string {
	target, verdict := "", ""
	if r.target != 0 {
		target, verdict = "≤ "+strconv.FormatFloat(r.target, 'f', -1, 64), "met"
		if !r.met() {
			verdict = "missed"
		}
	}
	spread := fmt.Sprintf("%.2f–%.2f", r.ratio.first, r.ratio.third)
	return []string{r.what, r.ours, r.theirs, fmt.Sprintf("%.2f", r.ratio.median), spread, target, verdict}
}

func (c *comparison) table(notes ...string) Table {
	t := Table{Title: c.title, Headers: []string{"what", "ours", "compared", "ratio", "quartiles", "target", ""}, Notes: notes}
	for _, r := range c.rows {
		t.Rows = append(t.Rows, r.cells())
		if r.target != 0 && !r.met() {
			t.Missed++
		}
	}
	return t
}

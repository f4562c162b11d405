// Package cost computes what a million documents a month cost on AWS, and what
// changes it. Most of it is arithmetic on things that the code decides: the size of
// a row, the number of calls, the bytes of log lines.
package cost

import "fmt"

// sizes are those of documents, in bytes of JSON: a short receipt, an invoice of
// one page, one of ten.
var sizes = []int{5_000, 15_000, 150_000}

// A Table has a column for each size.
type Table struct {
	Title   string
	Headers []string
	Rows    [][]string
}

// add adds a row of figures, one for each size.
func (t *Table) add(name, format string, figures []float64) {
	row := []string{name}
	for _, figure := range figures {
		row = append(row, fmt.Sprintf(format, figure))
	}
	t.Rows = append(t.Rows, row)
}

var levers = []struct {
	name   string
	change func(*Setup, *Prices)
}{
	{"batches of ten (documents come in bursts)", func(s *Setup, _ *Prices) { s.Batch = 10 }},
	{"webhook with 512 MB", func(s *Setup, _ *Prices) { s.WebhookMemory = 512 }},
	{"processor with 512 MB", func(s *Setup, _ *Prices) { s.ProcessorMemory = 512 }},
	{"x86_64", func(_ *Setup, p *Prices) { p.LambdaGBSecond = x86GBSecond }},
	{"no reconciler (ReconcileEnabled=false)", func(s *Setup, _ *Prices) { s.ReconcileReads = 0 }},
	{"ReconcileWindowHours=4", func(s *Setup, _ *Prices) { s.ReconcileReads = 4 }},
	{"document.enriched after each document", func(s *Setup, _ *Prices) { s.Enriched = true }},
	{"Lambda's own log lines (SystemLogLevel)", func(s *Setup, _ *Prices) { s.SystemLogs = true }},
	{"no point-in-time recovery", func(s *Setup, _ *Prices) { s.Backup = false }},
	{"table class Standard-IA", func(_ *Setup, p *Prices) { p.infrequentAccess() }},
	{"all documents gzipped (not offered: nobody can query them)", func(s *Setup, _ *Prices) { s.Gzipped = true }},
}

// Tables returns the bill by part, and what each lever changes in its sum.
func Tables(s Setup, p Prices) ([]Table, error) {
	parts := Table{Title: "What a million documents cost, by part", Headers: []string{"US dollars for a million documents a month"}}
	changes := Table{Title: "What a lever does to it", Headers: []string{"what it changes the sum by"}}
	bills := make([]Bill, len(sizes))
	sums := make([]float64, len(sizes))
	for i, size := range sizes {
		var err error
		if bills[i], err = PerMillion(size, s, p); err != nil {
			return nil, err
		}
		sums[i] = bills[i].Total()
		column := fmt.Sprintf("%d KB", size/1000)
		parts.Headers, changes.Headers = append(parts.Headers, column), append(changes.Headers, column)
	}
	figures := make([]float64, len(sizes))
	for n, part := range bills[0] {
		for i, bill := range bills {
			figures[i] = bill[n].Dollars
		}
		parts.add(part.Name, "%.2f", figures)
	}
	parts.add("in all", "%.2f", sums)
	for _, lever := range levers {
		s, p := s, p
		lever.change(&s, &p)
		for i, size := range sizes {
			bill, err := PerMillion(size, s, p)
			if err != nil {
				return nil, err
			}
			figures[i] = bill.Total() - sums[i]
		}
		changes.add(lever.name, "%+.2f", figures)
	}
	return []Table{parts, changes}, nil
}

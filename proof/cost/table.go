// Package cost computes what a million documents a month cost on AWS, and what
// changes it. Most of it is arithmetic on things that the code decides: the size of
// a row, the number of calls, the bytes of log lines.
package cost

import "fmt"

// sizes are those of documents, in bytes of JSON: a short receipt, an invoice of
// one page, one of ten.
var sizes = []int{5_000, 15_000, 150_000}

// Parts returns a table of the bill by part, a column for each size.
func Parts(s Setup, p Prices) (headers []string, rows [][]string, err error) {
	headers = []string{"US dollars for a million documents a month"}
	bills := make([]Bill, len(sizes))
	for i, size := range sizes {
		if bills[i], err = PerMillion(size, s, p); err != nil {
			return nil, nil, err
		}
		headers = append(headers, fmt.Sprintf("%d KB", size/1000))
	}
	for _, part := range []struct {
		name string
		of   func(Bill) float64
	}{
		{"requests (API Gateway, Lambda)", func(b Bill) float64 { return b.Requests }},
		{"compute (Lambda)", func(b Bill) float64 { return b.Compute }},
		{"SQS", func(b Bill) float64 { return b.SQS }},
		{"DynamoDB, writing", func(b Bill) float64 { return b.Writes }},
		{"DynamoDB, reading", func(b Bill) float64 { return b.Reads }},
		{"DynamoDB, a month of keeping", func(b Bill) float64 { return b.Storage }},
		{"logs", func(b Bill) float64 { return b.Logs }},
		{"secret", func(b Bill) float64 { return b.Secret }},
		{"metrics, alarms, dashboard", func(b Bill) float64 { return b.Signals }},
		{"in all", Bill.Total},
	} {
		row := []string{part.name}
		for _, bill := range bills {
			row = append(row, fmt.Sprintf("%.2f", part.of(bill)))
		}
		rows = append(rows, row)
	}
	return headers, rows, nil
}

// Levers returns a table of what a change makes of the total, a column for each
// size.
func Levers(s Setup, p Prices) (headers []string, rows [][]string, err error) {
	headers = []string{"what it changes the sum by"}
	for _, size := range sizes {
		headers = append(headers, fmt.Sprintf("%d KB", size/1000))
	}
	change := func(change func(*Setup)) Setup {
		changed := s
		change(&changed)
		return changed
	}
	for _, lever := range []struct {
		name   string
		setup  Setup
		prices Prices
	}{
		{"batches of ten (documents come in bursts)", change(func(s *Setup) { s.Batch = 10 }), p},
		{"webhook with 512 MB", change(func(s *Setup) { s.WebhookMemory = 512 }), p},
		{"processor with 512 MB", change(func(s *Setup) { s.ProcessorMemory = 512 }), p},
		{"x86_64", s, p.x86()},
		{"no reconciler (ReconcileEnabled=false)", change(func(s *Setup) { s.ReconcileReads = 0 }), p},
		{"ReconcileWindowHours=4", change(func(s *Setup) { s.ReconcileReads = 4 }), p},
		{"Lambda's own log lines (SystemLogLevel)", change(func(s *Setup) { s.SystemLogs = true }), p},
		{"no point-in-time recovery", change(func(s *Setup) { s.Backup = false }), p},
		{"table class Standard-IA", s, p.infrequentAccess()},
		{"all documents gzipped (not offered: nobody can query them)", change(func(s *Setup) { s.Gzipped = true }), p},
	} {
		row := []string{lever.name}
		for _, size := range sizes {
			before, err := PerMillion(size, s, p)
			if err != nil {
				return nil, nil, err
			}
			after, err := PerMillion(size, lever.setup, lever.prices)
			if err != nil {
				return nil, nil, err
			}
			row = append(row, fmt.Sprintf("%+.2f", after.Total()-before.Total()))
		}
		rows = append(rows, row)
	}
	return headers, rows, nil
}

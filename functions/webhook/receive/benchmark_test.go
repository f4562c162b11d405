package receive

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// BenchmarkForged measures how many times as long as a flat body a forged one of the
// largest size takes to be refused, all in one run. signature.BenchmarkWorst looks for the
// worst one.
func BenchmarkForged(b *testing.B) {
	fill := func(head, unit, tail string) string {
		s := head + strings.Repeat(unit, (maxBody-len(head)-len(tail))/len(unit)) + tail
		return s + strings.Repeat(" ", maxBody-len(s))
	}
	f := newFixture()
	f.Log = slog.New(slog.DiscardHandler)
	refuse := func(body string) float64 {
		request := requestWith(body, strings.Repeat("A", 43)+"=")
		least := time.Hour
		for range 7 {
			start := time.Now()
			resp, err := f.Handle(b.Context(), request)
			if err != nil || resp.StatusCode != 401 {
				b.Fatalf("status %d, %v", resp.StatusCode, err)
			}
			least = min(least, time.Since(start))
		}
		return least.Seconds()
	}
	for b.Loop() {
		flat := refuse(fill(`{"data":{"id":1,"error":"`, "a", `"}}`))
		b.ReportMetric(refuse(fill(`{"data":`+strings.Repeat(`{"":0,"":`, 990)+`"`+"\u061d", "\x7f", `"`+strings.Repeat("}", 991)))/flat, "nested/flat")
		b.ReportMetric(refuse(fill(`{"data":[0`, ",5e-324", "]}"))/flat, "small-numbers/flat")
	}
}

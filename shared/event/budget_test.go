//go:build !race

package event

import (
	"testing"

	"veryfi-intake/shared/signature"
)

// TestAllocationsKeepTheirBudget has what the webhook does for each request, and
// the processor for each message. The race detector changes what is allocated, so
// this runs without it.
func TestAllocationsKeepTheirBudget(t *testing.T) {
	header, err := signature.Sign([]byte(benchmarkData), benchmarkSecret)
	if err != nil {
		t.Fatal(err)
	}
	key := signature.NewKey(benchmarkSecret)
	body := []byte(benchmarkBody)
	message := benchmarkMessage.Encode()
	for name, test := range map[string]struct {
		budget float64
		run    func()
	}{
		"body to verified event": {4, func() { verifiedEvent(t, body, header, key) }},
		"encode a message":       {5, func() { benchmarkMessage.Encode() }},
		"decode a message": {9, func() {
			if _, err := DecodeMessage(message); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		if got := testing.AllocsPerRun(100, test.run); got > test.budget {
			t.Errorf("%s: %v allocations, the budget is %v", name, got, test.budget)
		}
	}
}

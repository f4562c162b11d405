//go:build !race

package signature

import "testing"

// TestVerificationAllocatesNothing keeps the webhook free of garbage.
func TestVerificationAllocatesNothing(t *testing.T) {
	header := sign(t, `{"id":63184393,"created":"2022-03-28 21:12:14"}`)
	key := NewKey(secret)
	var p Payload
	allocations := testing.AllocsPerRun(100, func() {
		if err := p.Parse(benchmarkBody); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(header, key); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

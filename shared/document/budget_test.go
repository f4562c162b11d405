//go:build !race

package document

import "testing"

// TestAllocationsDoNotGrowWithTheDocument keeps the conversion to one pass into
// one buffer.
func TestAllocationsDoNotGrowWithTheDocument(t *testing.T) {
	const budget = 8
	for _, size := range sizes {
		body := synthetic(size)
		got := testing.AllocsPerRun(10, func() {
			if _, err := Read(body, 1); err != nil {
				t.Fatal(err)
			}
		})
		if got > budget {
			t.Errorf("%d bytes: %v allocations, the budget is %d", size, got, budget)
		}
	}
}

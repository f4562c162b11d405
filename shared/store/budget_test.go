//go:build !race

package store

import (
	"testing"

	"veryfi-intake/local/standin"
	"veryfi-intake/shared/document"
)

// TestAllocationsOfARowKeepTheirBudget does not depend on the size of the document.
func TestAllocationsOfARowKeepTheirBudget(t *testing.T) {
	const budget = 15
	for _, size := range []int{2_000, 150_000} {
		d, err := document.Read(standin.Large(1, size), 1)
		if err != nil {
			t.Fatal(err)
		}
		row := Row{ID: "1", Status: Processed, Event: "document.created", Created: "2026-06-25 14:03:04", Document: d}
		got := testing.AllocsPerRun(10, func() {
			if _, err := putItemBody("documents", row, State{}, true); err != nil {
				t.Fatal(err)
			}
		})
		if got > budget {
			t.Errorf("%d bytes: %v allocations, the budget is %d", size, got, budget)
		}
	}
}

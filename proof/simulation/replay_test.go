package simulation

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSeedReplaysExactly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		first := storyOf(t, seed+1)
		second := storyOf(t, seed+1)
		// What happens at the same instant may be told in another order.
		slices.Sort(first)
		slices.Sort(second)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatalf("seed %d (-first +second):\n%s", seed+1, diff)
		}
	}
}

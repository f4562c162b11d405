package veryfi

import "testing"

func TestProcessorsAndReconcilersStayBelowTheLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		processors int
		rate       float64
		fits       bool
	}{{5, 11, true}, {5, 11.19, true}, {5, 11.2, false}, {8, 7, false}, {2, 28, false}, {2, 27.9, true}, {50, 1.2, false}} {
		if Fits(test.processors, test.rate) != test.fits {
			t.Errorf("%d processors with %v requests a second: fits is not %t", test.processors, test.rate, test.fits)
		}
	}
	if Reconcilers*ReconcilerRequestsPerSecond > ListsPerSecond {
		t.Error("two runs of the reconciler ask for more lists than Veryfi answers")
	}
}

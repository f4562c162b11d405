package veryfi

// Veryfi's limits for a client. The rest gets 429.
const (
	RequestsPerSecond = 60
	ListsPerSecond    = 5
)

// LeastRequestsPerSecond is the slowest that a client can be.
const LeastRequestsPerSecond = 0.001

// The reconciler's share: two runs together, a scheduled one and one by hand.
const (
	Reconcilers                 = 2
	ReconcilerRequestsPerSecond = 2
)

// Fits reports whether so many processors, each with that many requests a second, stay
// within Veryfi's limit together with the reconciler: the product must be below 56. It must
// not be 56: all can start in the same instant, and then the first and the last request of a
// second both count.
func Fits(processors int, requestsPerSecond float64) bool {
	return float64(processors)*requestsPerSecond+Reconcilers*ReconcilerRequestsPerSecond < RequestsPerSecond
}

package receive

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

const (
	// manyMessages is the number of messages from which on a call is remembered: a call of
	// a thousand ids would become another thousand messages each time it is repeated.
	manyMessages = 11
	// rememberFor is how long a call is remembered.
	rememberFor = time.Minute
	// maxRemembered bounds how many calls are remembered.
	maxRemembered = 64
)

// recentCalls are the calls of many messages that this environment acknowledged in the last
// minute. The zero value is ready for use.
type recentCalls struct {
	mu    sync.Mutex
	calls []call // the oldest first
}

type call struct {
	hash [sha256.Size]byte
	at   time.Time // of the wall clock
}

// newCall returns a call, identified by its event's name and the signed text.
func newCall(event string, text []byte, at time.Time) call {
	return call{sha256.Sum256(append([]byte(event+"\x00"), text...)), at.Round(0)}
}

func (r *recentCalls) has(c call) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.calls, func(known call) bool {
		return known.hash == c.hash && c.at.Sub(known.at).Abs() < rememberFor
	})
}

func (r *recentCalls) add(c call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) == maxRemembered {
		r.calls = slices.Delete(r.calls, 0, 1)
	}
	r.calls = append(r.calls, c)
}

package veryfi

import (
	"context"
	"errors"
	"time"
)

// leastTime is what must be left of the context for a request to be sent. One
// that is cut off may have cost the document: Veryfi may delete it after the
// first request.
const leastTime = 2 * time.Second

// ErrNoTime means that a request's turn would come too short before the context's
// end, or after it. Nothing was sent.
var ErrNoTime = errors.New("no time was left for the request")

// A pacer spaces requests. It counts from when a request really goes: after a
// pause of the process (Lambda gives a function a part of a CPU) those that are
// late do not go all at once, as a token bucket would let them.
type pacer struct {
	interval time.Duration
	now      func() time.Time
	turn     chan struct{} // holds one token: that of the request to go next
	next     time.Time     // when it may go; owned by whoever has the turn
}

// newPacer returns a pacer that lets the first request go an interval from now.
func newPacer(interval time.Duration, now func() time.Time) *pacer {
	return &pacer{interval: interval, now: now, turn: make(chan struct{}, 1), next: now().Add(interval)}
}

// wait returns nil when a request may go. The other result is [ErrNoTime].
func (p *pacer) wait(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ErrNoTime
	}
	defer func() { <-p.turn }()
	delay := max(0, p.next.Sub(p.now()))
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(p.now()) < delay+leastTime {
		return ErrNoTime
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ErrNoTime
	}
	p.next = p.now().Add(p.interval)
	return nil
}

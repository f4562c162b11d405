package veryfi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"veryfi-intake/shared/failure"
)

const (
	// leastTime is what must be left of the context for a request to be sent. One
	// that is cut off may have cost the document: Veryfi may delete it after the
	// first request.
	leastTime = 2 * time.Second
	// defaultPause is how long a 429 stops requests when it does not say, and
	// maxPause the longest that it does: then one request finds out.
	defaultPause = 10 * time.Second
	maxPause     = 15 * time.Minute
	// patience is how many requests in a row may fail at full pace. With each
	// failure after these the interval doubles, up to slowest.
	patience = 10
	slowest  = 5 * time.Second
)

// ErrNoTime means that a request's turn would come too short before the context's
// end, or after it. Nothing was sent.
var ErrNoTime = failure.OutOfTime.New("no time was left for the request")

// A pacer spaces requests. It counts from when a request really goes: after a
// pause of the process (Lambda gives a function a part of a CPU) those that are
// late do not go all at once, as a token bucket would let them.
//
// While Veryfi is down or asks to wait, the pacer holds back those who wait for
// their turn. So a function keeps its batch, and the queue its backlog: messages
// that are handed back to wait count as in flight, and of these SQS allows a
// queue about 120,000.
type pacer struct {
	interval time.Duration
	now      func() time.Time
	turn     chan struct{} // holds one token: that of the request to go next

	mu       sync.Mutex
	next     time.Time // when the next request may go
	paused   time.Time // until when a 429 stops all
	failures int       // in a row
}

// newPacer returns a pacer that lets the first request go an interval from now.
func newPacer(interval time.Duration, now func() time.Time) *pacer {
	return &pacer{interval: interval, now: now, turn: make(chan struct{}, 1), next: now().Add(interval)}
}

// wait returns nil when a request may go. The other results are [ErrNoTime] and,
// in a pause that outlasts ctx, an [*Error] of the class [failure.Throttled]: that comes
// only when ctx is about to end.
func (p *pacer) wait(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ErrNoTime
	}
	defer func() { <-p.turn }()
	for {
		due, paused := p.due()
		delay := max(0, due.Sub(p.now()))
		deadline, ok := ctx.Deadline()
		left := deadline.Sub(p.now()) - leastTime
		noTime := ok && left < delay
		switch {
		case noTime && !paused:
			return ErrNoTime
		case noTime:
			delay = max(0, left)
		case delay == 0:
			p.mu.Lock()
			p.next = p.now().Add(p.spacing())
			p.mu.Unlock()
			return nil
		}
		if !sleep(ctx, delay) {
			return ErrNoTime
		}
		if noTime {
			return p.stopped()
		}
	}
}

// due returns when a request may go, and whether a pause is what it waits for.
// That changes while it waits, as answers to earlier requests come.
func (p *pacer) due() (t time.Time, paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused.After(p.next) {
		return p.paused, true
	}
	return p.next, false
}

// stopped is the error of a request that a pause keeps from going.
func (p *pacer) stopped() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &Error{
		Class:      failure.Throttled,
		Status:     http.StatusTooManyRequests,
		RetryAfter: max(0, p.paused.Sub(p.now())),
		detail:     "to another request, this one was not sent",
	}
}

// note takes account of how a request went.
func (p *pacer) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var answer *Error
	if !errors.As(err, &answer) {
		if err == nil {
			p.failures = 0
		}
		return // the caller's time was up: that says nothing of Veryfi
	}
	switch answer.Class {
	case failure.NotFound, failure.Refused, failure.TooLarge: // of this document only
		p.failures = 0
	default:
		p.failures++
	}
	if answer.Status == http.StatusTooManyRequests {
		pause := answer.RetryAfter
		if pause == 0 {
			pause = defaultPause
		}
		if until := p.now().Add(min(pause, maxPause)); until.After(p.paused) {
			p.paused = until
		}
	}
}

// spacing is the interval, grown while requests fail.
func (p *pacer) spacing() time.Duration {
	grown := p.interval
	for range p.failures - patience {
		if grown *= 2; grown >= slowest {
			return max(p.interval, slowest)
		}
	}
	return grown
}

// sleep reports whether it slept for so long, and ctx did not end first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

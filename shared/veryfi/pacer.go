package veryfi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"veryfi-intake/shared/failure"
)

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

const (
	// leastTime must be left of the context, or no request is sent. One that is cut off
	// could lose the document: Veryfi may delete it after the first request.
	leastTime = 2 * time.Second
	// defaultPause is how long a 429 stops requests if it does not say, maxPause the
	// longest: then one request finds out.
	defaultPause = 10 * time.Second
	maxPause     = 15 * time.Minute
	// patience is how many requests in a row may fail at full pace. Each further failure
	// doubles the interval, up to slowest.
	patience = 10
	slowest  = 5 * time.Second
)

// ErrNoTime means that the context ends before a request's turn, or too soon after it.
// Nothing was sent.
var ErrNoTime = failure.OutOfTime.New("no time was left for the request")

// A pacer spaces requests. It counts from when a request is really sent: after a pause of
// the process (Lambda gives a function part of a CPU) late ones do not go together, as a
// token bucket would let them.
//
// While Veryfi is down or asks to wait, requests wait for their turn here. So a function
// keeps its batch, and the queue its backlog: messages that are handed back to wait count as
// in flight, and SQS allows a queue about 120,000 of these.
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

// wait returns nil when a request may go, [ErrNoTime], or an [*Error] of the class
// [failure.Throttled] when a pause lasts longer than ctx: only when ctx is about to end.
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

// due returns when a request may go, and whether it waits for a pause. Both change as
// answers to earlier requests come.
func (p *pacer) due() (t time.Time, paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused.After(p.next) {
		return p.paused, true
	}
	return p.next, false
}

// stopped is the error of a request that was not sent because of a pause.
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

// note notes how a request ended.
func (p *pacer) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var answer *Error
	if !errors.As(err, &answer) {
		if err == nil {
			p.failures = 0
		}
		return // the caller's time was up, which says nothing about Veryfi
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

// sleep reports whether it slept for d before ctx ended.
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

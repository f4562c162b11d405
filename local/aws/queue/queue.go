// Package queue is SQS in memory: one queue with its dead-letter queue. It keeps what
// SQS promises, and no more: a message comes at least once, in any order, and is
// hidden for a time each time it comes. A test holds it to ElasticMQ
// (proof/simulation).
package queue

import (
	"container/heap"
	"fmt"
	"sync"
	"time"
)

// DeadLetterURL is the URL of the dead-letter queue. All others are the queue's.
const DeadLetterURL = "DeadLetterQueue"

// Options of a queue. A nil function chooses the first, says no, and notes nothing.
type Options struct {
	Visibility  time.Duration // how long a message that was received is hidden
	MaxReceives int           // a message that was received so often is a dead letter next time
	InFlight    int           // how many messages are hidden at once, at most

	Choose func(about string, n int) int // which of n messages is next
	Again  func() bool                   // whether a message comes again while it is in flight
	// Subject returns what messages have in common that must not come in one batch.
	Subject func(body string) string
	Note    func(format string, arguments ...any) // gets what the queue does by itself
}

// A Message is one in a queue.
type Message struct {
	ID, Body string
	Receipt  string // of the last receive
	Sent     time.Time
	Receives int
	// Rounds is how often the chain of messages that this one ends has gone from the
	// queue through a function into the queue.
	Rounds int

	subject string
	visible time.Time
	hidden  bool
	index   int // among the visible or the hidden ones
}

// A Queue is safe for concurrent use.
type Queue struct {
	Options

	mu        sync.Mutex
	visible   []*Message
	hidden    hiddenMessages
	byReceipt map[string]*Message
	dead      []*Message
	stats     Stats
	changed   chan struct{} // closed when there is something new
}

// Stats count what has happened to a queue.
type Stats struct {
	Sent      int // messages, dead letters too
	InFlight  int // at once, at most
	MostOften int // receives of one message
}

// New returns an empty queue.
func New(options Options) *Queue {
	if options.Choose == nil {
		options.Choose = func(string, int) int { return 0 }
	}
	if options.Again == nil {
		options.Again = func() bool { return false }
	}
	if options.Subject == nil {
		options.Subject = func(body string) string { return body }
	}
	if options.Note == nil {
		options.Note = func(string, ...any) {}
	}
	return &Queue{Options: options, byReceipt: map[string]*Message{}, changed: make(chan struct{})}
}

// hiddenMessages is a heap with the message on top that will be visible first.
type hiddenMessages []*Message

func (h *hiddenMessages) Len() int           { return len(*h) }
func (h *hiddenMessages) Less(i, j int) bool { return (*h)[i].visible.Before((*h)[j].visible) }
func (h *hiddenMessages) Swap(i, j int) {
	(*h)[i], (*h)[j] = (*h)[j], (*h)[i]
	(*h)[i].index, (*h)[j].index = i, j
}

func (h *hiddenMessages) Push(x any) {
	m := x.(*Message) //nolint:errcheck // the heap holds nothing else
	m.index = len(*h)
	*h = append(*h, m)
}

func (h *hiddenMessages) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (q *Queue) show(m *Message) {
	m.hidden, m.index = false, len(q.visible)
	q.visible = append(q.visible, m)
}

func (q *Queue) hideUntil(m *Message, t time.Time) {
	q.take(m)
	m.visible, m.hidden = t, true
	heap.Push(&q.hidden, m)
}

// take removes a message from where it is.
func (q *Queue) take(m *Message) {
	if m.hidden {
		heap.Remove(&q.hidden, m.index)
		return
	}
	last := q.visible[len(q.visible)-1]
	q.visible[m.index], last.index = last, m.index
	q.visible = q.visible[:len(q.visible)-1]
}

// update shows the messages whose time has come, and moves those to the
// dead-letter queue that were received often enough.
func (q *Queue) update() {
	for now := time.Now(); len(q.hidden) > 0 && !q.hidden[0].visible.After(now); {
		m := q.hidden[0]
		q.take(m)
		if m.Receives < q.MaxReceives {
			q.show(m)
			continue
		}
		q.Note("%s is moved to the dead-letter queue", m.ID)
		delete(q.byReceipt, m.Receipt)
		q.dead = append(q.dead, m)
	}
}

func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Send adds a message to the queue, or to its dead-letter queue.
func (q *Queue) Send(url, body string, rounds int) Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stats.Sent++
	m := &Message{ID: fmt.Sprint("m", q.stats.Sent), Body: body, Sent: time.Now(), Rounds: rounds, subject: q.Subject(body)}
	if url == DeadLetterURL {
		q.dead = append(q.dead, m)
		return *m
	}
	q.show(m)
	q.wake()
	return *m
}

// Receive returns up to most messages that are visible, and hides them. Two of the
// same subject come apart: what becomes of them in one batch would depend on which
// goroutine runs first.
func (q *Queue) Receive(most int) (received []Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	together := map[string]bool{}
	var apart []*Message
	for len(q.visible) > 0 && len(received) < most && len(q.hidden) < q.InFlight {
		m := q.visible[q.Choose("receive", len(q.visible))]
		if together[m.subject] {
			q.take(m)
			apart = append(apart, m)
			continue
		}
		together[m.subject] = true
		received = append(received, q.deliver(m))
	}
	for _, m := range apart {
		q.show(m)
	}
	if len(received) > 0 && len(received) < most && q.Again() {
		m := q.hidden[q.Choose("again", len(q.hidden))]
		if m.Receives < q.MaxReceives && !together[m.subject] {
			q.Note("%s is delivered twice", m.ID)
			received = append(received, q.deliver(m))
		}
	}
	q.stats.InFlight = max(q.stats.InFlight, len(q.hidden))
	return received
}

func (q *Queue) deliver(m *Message) Message {
	m.Receives++
	q.stats.MostOften = max(q.stats.MostOften, m.Receives)
	delete(q.byReceipt, m.Receipt)
	m.Receipt = fmt.Sprint(m.ID, "/", m.Receives)
	q.byReceipt[m.Receipt] = m
	q.hideUntil(m, time.Now().Add(q.Visibility))
	return *m
}

// Delete removes a message. The receipt of an earlier receive removes nothing.
func (q *Queue) Delete(receipt string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m := q.byReceipt[receipt]; m != nil {
		delete(q.byReceipt, receipt)
		q.take(m)
		q.wake()
	}
}

// Hide keeps a message hidden for d from now on. It returns false when the message is
// not in flight.
func (q *Queue) Hide(receipt string, d time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	m := q.byReceipt[receipt]
	if m == nil || !m.hidden {
		return false
	}
	q.hideUntil(m, time.Now().Add(d))
	q.wake()
	return true
}

// Redrive moves all dead letters back and returns how many. They are as new.
func (q *Queue) Redrive() (moved int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	for _, m := range q.dead {
		m.Receives, m.Receipt, m.Sent = 0, "", time.Now()
		q.show(m)
	}
	moved, q.dead = len(q.dead), nil
	q.wake()
	return moved
}

// Left returns how many messages the queue holds, in flight or not.
func (q *Queue) Left() int {
	visible, hidden := q.Count()
	return visible + hidden
}

// Count returns how many messages can be received, and how many are in flight.
func (q *Queue) Count() (visible, hidden int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	return len(q.visible), len(q.hidden)
}

// Bodies returns the bodies of the messages that nobody has received, as they were sent.
func (q *Queue) Bodies() (bodies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.visible {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// DeadLetters returns the bodies of the dead letters.
func (q *Queue) DeadLetters() (bodies []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.dead {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// Stats returns what has happened so far.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}

// Next returns when there may be a message to receive, and a channel that is closed when
// that changes. It is not ok when no message is there to wait for.
func (q *Queue) Next() (at time.Time, ok bool, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	switch {
	case len(q.visible) > 0 && len(q.hidden) < q.InFlight:
		return time.Now(), true, q.changed
	case len(q.hidden) > 0:
		return q.hidden[0].visible, true, q.changed
	default:
		return time.Time{}, false, q.changed
	}
}

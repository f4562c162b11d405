package simulation

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/shared/event"
)

// A message is one in a queue.
type message struct {
	id, body string
	about    string // what messages about the same document have in common
	receipt  string // of the last receive
	sent     time.Time
	visible  time.Time
	receives int
	// rounds is how often the chain of messages that this one ends has gone from the
	// queue through a function into the queue.
	rounds int
	index  int // among the visible or the hidden ones
	hidden bool
}

// A sqsModel is a queue with its dead-letter queue, as SQS has them: a message
// comes at least once, in any order, and is hidden for a time each time it comes.
// After so many receives it is moved instead. No more than so many are in flight.
type sqsModel struct {
	visibility  time.Duration
	maxReceives int
	ceiling     int
	choose      func(about string, n int) int // any of n
	again       func() bool                   // deliver one that is in flight
	note        func(format string, arguments ...any)

	mu          sync.Mutex
	visible     []*message
	hidden      hiddenMessages
	byReceipt   map[string]*message
	dead        []*message
	sent        int
	inFlightMax int
	mostOften   int           // receives of one message
	changed     chan struct{} // closed when there is something new
}

func newSQS(visibility time.Duration, maxReceives, ceiling int) *sqsModel {
	return &sqsModel{
		visibility: visibility, maxReceives: maxReceives, ceiling: ceiling,
		choose: func(string, int) int { return 0 }, again: func() bool { return false }, note: func(string, ...any) {},
		byReceipt: map[string]*message{}, changed: make(chan struct{}),
	}
}

// hiddenMessages is a heap, the one that will be visible first on top.
type hiddenMessages []*message

func (h *hiddenMessages) Len() int           { return len(*h) }
func (h *hiddenMessages) Less(i, j int) bool { return (*h)[i].visible.Before((*h)[j].visible) }
func (h *hiddenMessages) Swap(i, j int) {
	(*h)[i], (*h)[j] = (*h)[j], (*h)[i]
	(*h)[i].index, (*h)[j].index = i, j
}

func (h *hiddenMessages) Push(x any) {
	m := x.(*message) //nolint:errcheck // the heap holds nothing else
	m.index = len(*h)
	*h = append(*h, m)
}

func (h *hiddenMessages) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (q *sqsModel) show(m *message) {
	m.hidden, m.index = false, len(q.visible)
	q.visible = append(q.visible, m)
}

func (q *sqsModel) hideUntil(m *message, t time.Time) {
	q.take(m)
	m.visible, m.hidden = t, true
	heap.Push(&q.hidden, m)
}

// take removes a message from where it is.
func (q *sqsModel) take(m *message) {
	if m.hidden {
		heap.Remove(&q.hidden, m.index)
		return
	}
	last := q.visible[len(q.visible)-1]
	q.visible[m.index], last.index = last, m.index
	q.visible = q.visible[:len(q.visible)-1]
}

// update shows the messages whose time has come, and moves those to the
// dead-letter queue that have come often enough.
func (q *sqsModel) update() {
	for now := time.Now(); len(q.hidden) > 0 && !q.hidden[0].visible.After(now); {
		m := q.hidden[0]
		q.take(m)
		if m.receives < q.maxReceives {
			q.show(m)
			continue
		}
		q.note("%s is moved to the dead-letter queue", m.id)
		delete(q.byReceipt, m.receipt)
		q.dead = append(q.dead, m)
	}
}

func (q *sqsModel) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// send adds a message.
func (q *sqsModel) send(body string, rounds int) *message {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.newMessage(body)
	m.rounds = rounds
	q.show(m)
	q.wake()
	return m
}

// sendDead adds a message to the dead-letter queue.
func (q *sqsModel) sendDead(body string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dead = append(q.dead, q.newMessage(body))
}

func (q *sqsModel) newMessage(body string) *message {
	q.sent++
	m := &message{id: fmt.Sprint("m", q.sent), body: body, about: body, sent: time.Now()}
	if decoded, err := event.DecodeMessage(body); err == nil {
		m.about = strconv.FormatInt(decoded.ID, 10)
	}
	return m
}

// receive returns up to most messages that are visible, as they are now, and hides
// them. Two about the same come apart: in one batch, what becomes of them would
// depend on which goroutine is the first to run.
func (q *sqsModel) receive(most int) (received []message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	together := map[string]bool{}
	var apart []*message
	for len(q.visible) > 0 && len(received) < most && len(q.hidden) < q.ceiling {
		m := q.visible[q.choose("receive", len(q.visible))]
		if together[m.about] {
			q.take(m)
			apart = append(apart, m)
			continue
		}
		together[m.about] = true
		received = append(received, q.deliver(m))
	}
	for _, m := range apart {
		q.show(m)
	}
	if len(received) > 0 && len(received) < most && q.again() {
		m := q.hidden[q.choose("again", len(q.hidden))]
		if m.receives < q.maxReceives && !together[m.about] {
			q.note("%s is delivered twice", m.id)
			received = append(received, q.deliver(m))
		}
	}
	q.inFlightMax = max(q.inFlightMax, len(q.hidden))
	return received
}

func (q *sqsModel) deliver(m *message) message {
	m.receives++
	q.mostOften = max(q.mostOften, m.receives)
	delete(q.byReceipt, m.receipt)
	m.receipt = fmt.Sprint(m.id, "/", m.receives)
	q.byReceipt[m.receipt] = m
	q.hideUntil(m, time.Now().Add(q.visibility))
	return *m
}

// delete removes a message. The receipt of an earlier receive removes nothing.
func (q *sqsModel) delete(receipt string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if m := q.byReceipt[receipt]; m != nil {
		delete(q.byReceipt, receipt)
		q.take(m)
		q.wake()
	}
}

var errNotInFlight = errors.New("the message is not in flight")

// hide keeps a received message hidden for d from now on.
func (q *sqsModel) hide(receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	m := q.byReceipt[receipt]
	if m == nil || !m.hidden {
		return errNotInFlight
	}
	q.hideUntil(m, time.Now().Add(d))
	q.wake()
	return nil
}

// redrive moves all dead letters back, as StartMessageMoveTask does: as new.
func (q *sqsModel) redrive() (moved int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	for _, m := range q.dead {
		m.receives, m.receipt, m.sent = 0, "", time.Now()
		q.show(m)
	}
	moved, q.dead = len(q.dead), nil
	q.wake()
	return moved
}

// left returns how many messages the queue holds.
func (q *sqsModel) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	return len(q.visible) + len(q.hidden)
}

// most returns how many messages were in flight at once.
func (q *sqsModel) most() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.inFlightMax
}

// next returns when there may be a message to receive, and what tells of a change
// before that.
func (q *sqsModel) next() (at time.Time, some bool, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.update()
	switch {
	case len(q.visible) > 0 && len(q.hidden) < q.ceiling:
		return time.Now(), true, q.changed
	case len(q.hidden) > 0:
		return q.hidden[0].visible, true, q.changed
	default:
		return time.Time{}, false, q.changed
	}
}

// A sqsClient is SQS as an environment sees it. It is the client of
// [veryfi-intake/shared/queue.Queue].
type sqsClient struct {
	w *World
	e *environment
}

const (
	documentQueue   = "DocumentQueue"
	deadLetterQueue = "DeadLetterQueue"
)

func (c sqsClient) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	out := &sqs.SendMessageBatchOutput{}
	url := aws.ToString(in.QueueUrl)
	effect, err := c.w.call(ctx, c.e, queues, "send to "+url+": "+*in.Entries[0].MessageBody)
	if effect {
		for _, entry := range in.Entries {
			// Now and then SQS takes some messages of a batch and not the others.
			if err == nil && c.w.draw(c.e.name+" entry "+*entry.MessageBody).part(whether) < c.w.plan().failures[queues]/4 {
				out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: entry.Id, Code: aws.String("InternalError")})
				continue
			}
			if len(*entry.MessageBody) > 1<<20 {
				c.w.violate("a message of %d bytes is sent", len(*entry.MessageBody))
			}
			if url == deadLetterQueue {
				c.w.sqs.sendDead(*entry.MessageBody)
			} else {
				m := c.w.sqs.send(*entry.MessageBody, c.e.nextRound())
				c.w.story("%s sends %s: %.80s", c.e.name, m.id, m.body)
			}
			out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: entry.Id})
		}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c sqsClient) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	effect, err := c.w.call(ctx, c.e, queues, "hide "+*in.ReceiptHandle)
	if effect {
		c.w.story("%s hides %s for %d s", c.e.name, *in.ReceiptHandle, in.VisibilityTimeout)
		if in.VisibilityTimeout > 43_200 {
			c.w.violate("a message is hidden for more than twelve hours")
		}
		if hidden := c.w.sqs.hide(*in.ReceiptHandle, time.Duration(in.VisibilityTimeout)*time.Second); err == nil {
			err = hidden
		}
	}
	return &sqs.ChangeMessageVisibilityOutput{}, err
}

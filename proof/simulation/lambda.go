package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/local/aws/queue"
	"veryfi-intake/shared/reconciliation"
)

const (
	coldStart         = 150 * time.Millisecond
	webhookTimeout    = 15 * time.Second
	processorTimeout  = time.Minute
	reconcilerTimeout = 15 * time.Minute
	batchSize         = 10
	// maxRounds is how often a message may go from a queue through a function into
	// the same queue: Lambda drops the event of the next round.
	maxRounds = 16
)

// lambda runs the functions: the webhook on request, the processor for the
// queue's messages.
type lambda struct {
	w    *World
	stop context.CancelFunc
	done sync.WaitGroup
	born atomic.Int64 // environments

	mu   sync.Mutex
	idle []*environment // of the webhook
}

func (l *lambda) name(function string) string { return fmt.Sprint(function, l.born.Add(1)) }

// post gives a request to the webhook and returns the answer's status, or 0 when
// there is none.
func (l *lambda) post(ctx context.Context, body, signature, requestID string) int {
	l.mu.Lock()
	var e *environment
	for last := len(l.idle) - 1; last >= 0 && (e == nil || e.isDead()); last-- { // its background work may have killed it
		e, l.idle = l.idle[last], l.idle[:last]
	}
	l.mu.Unlock()
	if e == nil || e.isDead() {
		sleep(ctx, coldStart)
		e = l.w.newEnvironment(l.name("webhook"))
		e.receiver = e.webhook()
	}
	request := events.APIGatewayV2HTTPRequest{Body: body, Headers: map[string]string{"x-veryfi-signature": signature}}
	request.RequestContext.HTTP.Method = "POST"
	request.RequestContext.RequestID = requestID
	response, ok := invoke(e, webhookTimeout, func(ctx context.Context) (events.APIGatewayV2HTTPResponse, error) {
		return e.receiver.Handle(ctx, request)
	})
	if !ok {
		return 0
	}
	l.mu.Lock()
	l.idle = append(l.idle, e)
	l.mu.Unlock()
	return response.StatusCode
}

// reconcile runs the reconciler once. It is not ok when the run failed.
func (l *lambda) reconcile(payload string) (result reconciliation.Result, ok bool) {
	e := l.w.newEnvironment(l.name("reconciler"))
	handler := e.reconciler()
	return invoke(e, reconcilerTimeout, func(ctx context.Context) (reconciliation.Result, error) {
		return handler.Handle(ctx, json.RawMessage(payload))
	})
}

// startPollers starts the event source mapping.
func (l *lambda) startPollers() {
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = func() { cancel(); l.done.Wait() }
	for number := range l.w.plan().concurrency {
		l.done.Go(func() { l.poll(ctx, fmt.Sprint("poller ", number)) })
	}
}

// poll receives batches and has them processed, one at a time.
func (l *lambda) poll(ctx context.Context, name string) {
	var e *environment
	var handle processing
	for {
		batch := l.receive(ctx, name)
		if batch == nil {
			return
		}
		if e == nil || e.isDead() {
			sleep(ctx, coldStart)
			e = l.w.newEnvironment(l.name("processor"))
			handle = e.processor().Handle
		}
		if !l.process(e, handle, batch) { //nolint:contextcheck // a batch ends when polling does not
			e = nil
		}
	}
}

// receive waits for messages. It returns none when ctx has ended.
func (l *lambda) receive(ctx context.Context, name string) []queue.Message {
	for {
		if outage := l.w.plan().outage(atSQS); outage != nil && !sleep(ctx, time.Until(outage.to)) {
			return nil
		}
		at, some, changed := l.w.sqs.Next()
		if some && !at.After(time.Now()) {
			if !sleep(ctx, l.w.draw(name).latency()) {
				return nil
			}
			if batch := l.w.sqs.Receive(batchSize); batch != nil {
				return batch
			}
			continue
		}
		wait := time.Hour
		if some {
			wait = time.Until(at)
		}
		select {
		case <-time.After(wait):
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// processing is [processor.Handler.Handle].
type processing func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)

// process reports whether the environment lives on. What it does not answer for
// comes again.
func (l *lambda) process(e *environment, handle processing, batch []queue.Message) (alive bool) {
	var event events.SQSEvent
	var receipts = map[string]string{}
	rounds := 0
	for _, m := range batch {
		if m.Rounds >= maxRounds {
			l.w.violate("message %s is dropped in its round %d", m.ID, m.Rounds)
		}
		rounds = max(rounds, m.Rounds)
		receipts[m.ID] = m.Receipt
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body,
			Attributes: map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(m.Receives), "SentTimestamp": strconv.FormatInt(m.Sent.UnixMilli(), 10),
			},
		})
		l.w.story("%s receives %s, the %d. time", e.name, m.ID, m.Receives)
	}
	e.rounds.Store(int64(rounds))
	response, ok := invoke(e, processorTimeout, func(ctx context.Context) (events.SQSEventResponse, error) {
		return handle(ctx, event)
	})
	if !ok {
		return false
	}
	for _, failure := range response.BatchItemFailures {
		if _, known := receipts[failure.ItemIdentifier]; !known {
			l.w.violate("a failure names %q", failure.ItemIdentifier)
			return true // and nothing is deleted
		}
		delete(receipts, failure.ItemIdentifier)
	}
	for _, m := range batch { // in this order, each time
		if receipt, done := receipts[m.ID]; done {
			l.w.story("%s is done", m.ID)
			l.w.sqs.Delete(receipt)
		}
	}
	return true
}

// invoke runs a handler as Lambda does. It is not ok when the handler fails, when
// the environment dies first, or when the function's time is up, which also
// kills it.
func invoke[T any](e *environment, timeout time.Duration, handle func(context.Context) (T, error)) (result T, ok bool) {
	type end struct {
		result T
		err    error
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ends := make(chan end, 1)
	go func() {
		result, err := handle(ctx)
		ends <- end{result, err}
	}()
	select {
	case <-e.life.Done():
		return result, false
	case end := <-ends:
		if end.err != nil {
			return result, false
		}
		result = end.result
	case <-ctx.Done():
		e.w.violate("%s does not answer before its timeout", e.name)
		e.die()
	}
	return result, !e.isDead()
}

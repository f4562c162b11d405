// Package queue puts messages into SQS queues and keeps them waiting there.
package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/shared/warmup"
)

const (
	maxBatchEntries = 10 // SQS's limit
	// maxCalls is how many calls run side by side: a thousand messages are a
	// hundred calls, and go in seven rounds.
	maxCalls = 16
	// maxRounds is how often an entry is sent that SQS refuses for a reason of its own.
	// The SDK retries the calls themselves.
	maxRounds  = 4
	firstPause = 50 * time.Millisecond
	// MaxDelay is the longest delay. SQS hides a message for at most 12 hours after it
	// was received.
	MaxDelay = 11 * time.Hour
)

// MaxBody is the longest body, in bytes. It stays below SQS's limit of 1 MiB for
// all messages of a call.
const MaxBody = 1_000_000

// Client is the part of [sqs.Client] that is used here.
type Client interface {
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
}

// A Queue is one SQS queue. It is safe for concurrent use.
type Queue struct {
	client Client
	url    string
}

// New returns the queue with that URL.
func New(client Client, url string) *Queue {
	return &Queue{client: client, url: url}
}

// Connect opens a connection for the next call, if it can.
func (q *Queue) Connect(ctx context.Context) {
	nothing := types.SendMessageBatchRequestEntry{Id: aws.String("0"), MessageBody: aws.String("{}")}
	_, _ = q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{
		QueueUrl: &q.url, Entries: []types.SendMessageBatchRequestEntry{nothing},
	}, func(o *sqs.Options) {
		o.HTTPClient, o.Retryer = warmup.ConnectOnly(o.HTTPClient), aws.NopRetryer{}
	})
}

// Send returns nil only after SQS has accepted every message. After an error, some of them
// may be in the queue: send all again, and expect duplicates. A body must be ASCII and at
// most [MaxBody] bytes long.
func (q *Queue) Send(ctx context.Context, bodies ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	free := make(chan struct{}, maxCalls)
	for batch := range batches(bodies) {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if err := q.sendBatch(ctx, batch); err != nil {
				cancel(err) // the first error counts, and ends the other calls
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// batches yields the bodies in groups that fit into one call.
func batches(bodies []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		start, size := 0, 0
		for i, body := range bodies {
			if i > start && (i-start == maxBatchEntries || size+len(body) > MaxBody) {
				if !yield(bodies[start:i]) {
					return
				}
				start, size = i, 0
			}
			size += len(body)
		}
		if start < len(bodies) {
			yield(bodies[start:])
		}
	}
}

// sendBatch sends messages in one call. What SQS does not accept, it sends again.
func (q *Queue) sendBatch(ctx context.Context, bodies []string) error {
	waiting := make([]types.SendMessageBatchRequestEntry, len(bodies))
	for i := range bodies {
		waiting[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &bodies[i]}
	}
	for round, pause := 1, firstPause; ; round, pause = round+1, 2*pause {
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: waiting})
		if err != nil {
			return fmt.Errorf("send to the queue: %w", err)
		}
		for _, refused := range out.Failed {
			if refused.SenderFault {
				return fmt.Errorf("send to the queue: SQS refuses a message: %s", aws.ToString(refused.Code))
			}
		}
		waiting = slices.DeleteFunc(waiting, func(e types.SendMessageBatchRequestEntry) bool {
			return slices.ContainsFunc(out.Successful, func(s types.SendMessageBatchResultEntry) bool {
				return aws.ToString(s.Id) == *e.Id
			})
		})
		if len(waiting) == 0 {
			return nil
		}
		if round == maxRounds {
			return fmt.Errorf("send to the queue: %d messages were refused %d times", len(waiting), maxRounds)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Delay hides a received message for d, rounded up to seconds, at most [MaxDelay]. The
// message stays hidden when the function that received it reports it as failed.
func (q *Queue) Delay(ctx context.Context, receiptHandle string, d time.Duration) error {
	d = min(max(0, d), MaxDelay)
	seconds := int32((d + time.Second - 1) / time.Second)
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: &receiptHandle, VisibilityTimeout: seconds,
	})
	if err != nil {
		return fmt.Errorf("delay the message: %w", err)
	}
	return nil
}

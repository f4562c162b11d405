// Package poller moves messages from an SQS queue to a function as Lambda's
// event source mapping does.
//
// Source of what it imitates: Lambda developer guide, "Using Lambda with Amazon
// SQS" and "Handling errors for an SQS event source in Lambda".
package poller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/local/aws/lambda"
)

const (
	// longPoll is how long one receive waits for a message. Lambda's is 20 s; this
	// one is short because Stop waits for it: no message is received and then dropped.
	longPoll = time.Second
	// receiveMax is SQS's limit for one receive and one delete.
	receiveMax = 10
	// receivePause is the time from a failed receive to the next.
	receivePause = 500 * time.Millisecond
	// windowPoll is the time between two receives that do not wait.
	windowPoll = 50 * time.Millisecond
	// deleteTimeout bounds one delete, with the tries of the SDK.
	deleteTimeout = 10 * time.Second
)

// A Queue is what the poller needs of SQS.
type Queue interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// Config is an event source mapping.
type Config struct {
	Queue    Queue
	QueueURL string
	QueueARN string
	Region   string
	// BatchSize is the most messages in one event.
	BatchSize int
	// Window is how long a batch that is not full waits for more messages,
	// from its first message on.
	Window time.Duration
	// MaxConcurrency is how many invocations run at a time.
	MaxConcurrency int
	// ReportBatchItemFailures says that the function names the messages that
	// failed; else its response is ignored.
	ReportBatchItemFailures bool
	// Invoke calls the function.
	Invoke func(ctx context.Context, event []byte) ([]byte, error)
	// Problem gets in a sentence what went wrong: a failed invocation, a response
	// that makes no sense, a queue that does not answer.
	Problem func(string)
}

// A Poller polls until it is stopped.
type Poller struct {
	config     Config
	slots      chan struct{} // one for each invocation that may run
	stop, kill context.CancelFunc
	done       chan struct{}
}

// Start starts polling.
func Start(config Config) *Poller {
	running, kill := context.WithCancel(context.Background())
	receiving, stop := context.WithCancel(running)
	p := &Poller{config: config, slots: make(chan struct{}, config.MaxConcurrency), stop: stop, kill: kill, done: make(chan struct{})}
	go p.run(receiving, running)
	return p
}

// Stop receives no more messages and waits until those received are through.
func (p *Poller) Stop() {
	p.stop()
	<-p.done
}

// Kill stops without waiting: those received come back after their visibility timeout.
func (p *Poller) Kill() {
	p.kill()
	<-p.done
}

func (p *Poller) run(receiving, running context.Context) {
	defer close(p.done)
	var invocations sync.WaitGroup
	defer invocations.Wait()
	for p.acquire(receiving) {
		batch := p.collect(running)
		p.release()
		for _, part := range split(p.config, batch) {
			p.slots <- struct{}{}
			invocations.Go(func() {
				defer p.release()
				p.process(running, part)
			})
		}
	}
}

// acquire waits until an invocation may start, so that no message waits here,
// invisible to others, for its turn. It reports false when the poller stops.
func (p *Poller) acquire(receiving context.Context) bool {
	if receiving.Err() != nil {
		return false
	}
	select {
	case p.slots <- struct{}{}:
		return true
	case <-receiving.Done():
		return false
	}
}

func (p *Poller) release() { <-p.slots }

// collect receives a batch: what there is, up to the batch size, and what comes
// within the window. It returns none when one long poll brought none.
func (p *Poller) collect(ctx context.Context) (batch []types.Message) {
	var windowEnd time.Time
	wait := longPoll
	for len(batch) < p.config.BatchSize {
		messages, err := p.receive(ctx, min(receiveMax, p.config.BatchSize-len(batch)), wait)
		if err != nil {
			if ctx.Err() == nil {
				p.config.Problem(fmt.Sprintf("receive from %s: %v", p.config.QueueURL, err))
				sleep(ctx, receivePause)
			}
			return batch
		}
		if len(batch) == 0 {
			if len(messages) == 0 {
				return nil
			}
			windowEnd = time.Now().Add(p.config.Window)
		}
		batch = append(batch, messages...)
		left := time.Until(windowEnd)
		if left <= 0 {
			return batch
		}
		// SQS waits whole seconds; the rest is short polls.
		if wait = min(longPoll, left.Truncate(time.Second)); wait == 0 && len(messages) == 0 {
			sleep(ctx, min(windowPoll, left))
		}
	}
	return batch
}

func (p *Poller) receive(ctx context.Context, count int, wait time.Duration) ([]types.Message, error) {
	output, err := p.config.Queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &p.config.QueueURL,
		MaxNumberOfMessages:         int32(count),
		WaitTimeSeconds:             int32(wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, err
	}
	return output.Messages, nil
}

// process invokes the function with one event and deletes what is done. What
// failed is left as it is: it comes back after its visibility timeout.
func (p *Poller) process(ctx context.Context, batch []types.Message) {
	response, err := p.config.Invoke(ctx, newEvent(p.config, batch))
	if ctx.Err() != nil {
		return // killed
	}
	succeeded := batch
	if err == nil && p.config.ReportBatchItemFailures {
		succeeded, err = withoutFailures(batch, response)
	}
	if err != nil {
		p.config.Problem(fmt.Sprintf("a batch of %d comes back after its visibility timeout: %v", len(batch), err))
		return
	}
	for done := range slices.Chunk(succeeded, receiveMax) {
		if err := p.delete(ctx, done); err != nil {
			p.config.Problem(fmt.Sprintf("%d messages that are done come back after their visibility timeout: %v", len(done), err))
		}
	}
}

func (p *Poller) delete(ctx context.Context, messages []types.Message) error {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	var entries []types.DeleteMessageBatchRequestEntry
	for i, m := range messages {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
	}
	output, err := p.config.Queue.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &p.config.QueueURL, Entries: entries})
	if err != nil {
		return err
	}
	if len(output.Failed) > 0 {
		return fmt.Errorf("SQS refused to delete %d of %d: %s", len(output.Failed), len(messages), aws.ToString(output.Failed[0].Message))
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// newEvent returns the messages as a function gets them.
func newEvent(config Config, messages []types.Message) []byte {
	var event events.SQSEvent
	for _, m := range messages {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId:              aws.ToString(m.MessageId),
			ReceiptHandle:          aws.ToString(m.ReceiptHandle),
			Body:                   aws.ToString(m.Body),
			Md5OfBody:              aws.ToString(m.MD5OfBody),
			Md5OfMessageAttributes: aws.ToString(m.MD5OfMessageAttributes),
			Attributes:             m.Attributes,
			MessageAttributes:      attributes(m.MessageAttributes),
			EventSourceARN:         config.QueueARN,
			EventSource:            "aws:sqs",
			AWSRegion:              config.Region,
		})
	}
	text, err := json.Marshal(event)
	if err != nil {
		panic(err) // strings, bytes, slices and maps of them only
	}
	return text
}

func attributes(values map[string]types.MessageAttributeValue) map[string]events.SQSMessageAttribute {
	attributes := map[string]events.SQSMessageAttribute{}
	for name, v := range values {
		attributes[name] = events.SQSMessageAttribute{
			StringValue:      v.StringValue,
			BinaryValue:      v.BinaryValue,
			StringListValues: []string{},
			BinaryListValues: [][]byte{},
			DataType:         aws.ToString(v.DataType),
		}
	}
	return attributes
}

// split cuts a batch so that each part's event is within Lambda's limit. A
// message alone is always below it.
func split(config Config, batch []types.Message) (parts [][]types.Message) {
	size := 0
	for i := range batch {
		// Each event of one counts the frame of the records, too: the sum is an upper bound.
		alone := len(newEvent(config, batch[i:i+1]))
		if size += alone; size > lambda.MaxPayload || len(parts) == 0 {
			parts = append(parts, nil)
			size = alone
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], batch[i])
	}
	return parts
}

// withoutFailures returns the messages of a batch that the response does not
// name as failed. An empty or null response, like an empty or null list, names
// none. A response that Lambda cannot read, or that names a message without
// saying which of the batch, is an error: then the whole batch has failed.
func withoutFailures(batch []types.Message, response []byte) (succeeded []types.Message, err error) {
	failed, err := failedIDs(response)
	if err != nil {
		return nil, err
	}
	for _, m := range batch {
		id := aws.ToString(m.MessageId)
		if !failed[id] {
			succeeded = append(succeeded, m)
		}
		delete(failed, id)
	}
	for id := range failed {
		return nil, fmt.Errorf("batchItemFailures names %q, which is not in the batch", id)
	}
	return succeeded, nil
}

func failedIDs(response []byte) (map[string]bool, error) {
	if len(bytes.TrimSpace(response)) == 0 {
		return nil, nil
	}
	var list struct {
		BatchItemFailures []map[string]json.RawMessage `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(response, &list); err != nil {
		return nil, fmt.Errorf("the response has no list batchItemFailures that can be read: %w", err)
	}
	failed := map[string]bool{}
	for i, item := range list.BatchItemFailures {
		var id string
		if err := json.Unmarshal(item["itemIdentifier"], &id); err != nil || id == "" {
			return nil, fmt.Errorf("batchItemFailures[%d] has no itemIdentifier", i)
		}
		failed[id] = true
	}
	return failed, nil
}

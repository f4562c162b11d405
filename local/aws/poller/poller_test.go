package poller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// A queue is an SQS queue with no visibility time-out: what is received stays
// away until it is deleted. A message's first letter is its name.
type queue struct {
	mu       sync.Mutex
	waiting  []types.Message
	deleted  []string
	failNext error
}

func (q *queue) send(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, body := range bodies {
		q.waiting = append(q.waiting, types.Message{
			MessageId:     aws.String("id-" + body[:1]),
			ReceiptHandle: aws.String("receipt-" + body[:1]),
			Body:          aws.String(body),
			MD5OfBody:     aws.String("md5"),
			Attributes:    map[string]string{"ApproximateReceiveCount": "1"},
			MessageAttributes: map[string]types.MessageAttributeValue{
				"kind": {DataType: aws.String("String"), StringValue: aws.String("k")},
			},
		})
	}
}

func (q *queue) ReceiveMessage(ctx context.Context, input *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if input.MaxNumberOfMessages < 1 || input.MaxNumberOfMessages > 10 {
		return nil, fmt.Errorf("MaxNumberOfMessages is %d", input.MaxNumberOfMessages)
	}
	end := time.Now().Add(time.Duration(input.WaitTimeSeconds) * time.Second)
	for {
		q.mu.Lock()
		if err := q.failNext; err != nil {
			q.failNext = nil
			q.mu.Unlock()
			return nil, err
		}
		n := min(int(input.MaxNumberOfMessages), len(q.waiting))
		messages := slices.Clone(q.waiting[:n])
		q.waiting = q.waiting[n:]
		q.mu.Unlock()
		if n > 0 || !time.Now().Before(end) {
			return &sqs.ReceiveMessageOutput{Messages: messages}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (q *queue) DeleteMessageBatch(_ context.Context, input *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, entry := range input.Entries {
		q.deleted = append(q.deleted, strings.TrimPrefix(*entry.ReceiptHandle, "receipt-"))
	}
	return &sqs.DeleteMessageBatchOutput{}, nil
}

func (q *queue) isDeleted() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	slices.Sort(q.deleted)
	return strings.Join(q.deleted, " ")
}

// A function answers every event with the same and remembers the batches.
type function struct {
	mu       sync.Mutex
	response string
	err      error
	takes    time.Duration
	batches  []string
	last     []byte
	running  int
	peak     int
}

func (f *function) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var event events.SQSEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, err
	}
	var bodies []string
	for _, record := range event.Records {
		bodies = append(bodies, record.Body)
	}
	f.mu.Lock()
	f.batches = append(f.batches, strings.Join(bodies, " "))
	f.last = payload
	f.running++
	f.peak = max(f.peak, f.running)
	f.mu.Unlock()
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return []byte(f.response), f.err
}

func config(q *queue, f *function) Config {
	return Config{
		Queue: q, QueueURL: "http://127.0.0.1/000000000000/Q", QueueARN: "arn:aws:sqs:us-east-1:000000000000:Q", Region: "us-east-1",
		BatchSize: 3, Window: time.Second, MaxConcurrency: 2, ReportBatchItemFailures: true,
		Invoke: f.invoke, Problem: func(string) {},
	}
}

// pollFor polls for a while of fake time, then stops.
func pollFor(t *testing.T, d time.Duration, config Config) {
	t.Helper()
	p := Start(config)
	time.Sleep(d)
	p.Stop()
}

func TestOnlyMessagesNotNamedAreDeleted(t *testing.T) {
	t.Parallel()
	const all, none = "a b c", ""
	for name, test := range map[string]struct {
		response string
		want     string
	}{
		"one failed":         {`{"batchItemFailures":[{"itemIdentifier":"id-b"}]}`, "a c"},
		"all failed":         {`{"batchItemFailures":[{"itemIdentifier":"id-a"},{"itemIdentifier":"id-b"},{"itemIdentifier":"id-c"}]}`, none},
		"named twice":        {`{"batchItemFailures":[{"itemIdentifier":"id-b"},{"itemIdentifier":"id-b"}]}`, "a c"},
		"empty list":         {`{"batchItemFailures":[]}`, all},
		"null list":          {`{"batchItemFailures":null}`, all},
		"empty object":       {`{}`, all},
		"null":               {`null`, all},
		"nothing":            {``, all},
		"not JSON":           {`{"batchItemFailures":[`, none},
		"a string":           {`"done"`, none},
		"a number for list":  {`{"batchItemFailures":1}`, none},
		"unknown identifier": {`{"batchItemFailures":[{"itemIdentifier":"id-x"}]}`, none},
		"empty identifier":   {`{"batchItemFailures":[{"itemIdentifier":""}]}`, none},
		"null identifier":    {`{"batchItemFailures":[{"itemIdentifier":null}]}`, none},
		"number identifier":  {`{"batchItemFailures":[{"itemIdentifier":1}]}`, none},
		"bad key":            {`{"batchItemFailures":[{"ItemIdentifier":"id-b"}]}`, none},
		"no key":             {`{"batchItemFailures":[{}]}`, none},
		"null item":          {`{"batchItemFailures":[null]}`, none},
		"a bad one, too":     {`{"batchItemFailures":[{"itemIdentifier":"id-b"},{"itemIdentifier":""}]}`, none},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, f := &queue{}, &function{response: test.response}
				q.send("a", "b", "c")
				pollFor(t, time.Second, config(q, f))
				if got := q.isDeleted(); got != test.want {
					t.Errorf("deleted %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestWhatIsDoneIsDeletedAndWhatIsNotIsAProblem(t *testing.T) {
	t.Parallel()
	failed := errors.New("as told")
	for name, test := range map[string]struct {
		queue         *queue
		function      *function
		ignored       bool // the function's response
		want, problem string
	}{
		"a failed invocation":              {&queue{}, &function{err: failed}, false, "", "as told"},
		"a response that is not looked at": {&queue{}, &function{response: `{"batchItemFailures":[{"itemIdentifier":"id-b"}]}`}, true, "a b c", ""},
		"a queue that fails once":          {&queue{failNext: failed}, &function{}, false, "a b c", "as told"},
		"a batch that Stop waits for":      {&queue{}, &function{takes: 20 * time.Second}, false, "a b c", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.queue.send("a", "b", "c")
				var problems []string
				c := config(test.queue, test.function)
				c.ReportBatchItemFailures = !test.ignored
				c.Problem = func(problem string) { problems = append(problems, problem) }
				pollFor(t, time.Second, c)
				if got := test.queue.isDeleted(); got != test.want {
					t.Errorf("deleted %q, want %q", got, test.want)
				}
				if all := strings.Join(problems, "\n"); len(problems) > 1 || all == "" != (test.problem == "") || !strings.Contains(all, test.problem) {
					t.Errorf("problems are %q", problems)
				}
			})
		})
	}
}

func TestBatchWaitsForItsWindowAndNotLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, f := &queue{}, &function{}
		p := Start(config(q, f))
		q.send("a")
		time.Sleep(700 * time.Millisecond)
		q.send("b")
		time.Sleep(600 * time.Millisecond)
		q.send("c")
		time.Sleep(2 * time.Second)
		p.Stop()
		if got := strings.Join(f.batches, ", "); got != "a b, c" {
			t.Errorf("batches are %q", got)
		}
	})
}

func TestFullBatchDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, f := &queue{}, &function{}
		q.send("a", "b", "c", "d")
		p := Start(config(q, f))
		time.Sleep(100 * time.Millisecond)
		f.mu.Lock()
		got := strings.Join(f.batches, ", ")
		f.mu.Unlock()
		if got != "a b c" {
			t.Errorf("batches are %q", got)
		}
		p.Stop()
	})
}

func TestNoMoreThanMaxConcurrencyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, f := &queue{}, &function{takes: time.Second}
		q.send(strings.Fields("a b c d e f g h i j k l m n o")...)
		pollFor(t, 5*time.Second, config(q, f))
		if f.peak != 2 || len(f.batches) != 5 {
			t.Errorf("%d batches, %d at a time; want 5 and 2", len(f.batches), f.peak)
		}
	})
}

func TestKillLeavesABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, f := &queue{}, &function{takes: time.Hour}
		q.send("a", "b", "c")
		p := Start(config(q, f))
		time.Sleep(time.Second)
		start := time.Now()
		p.Kill()
		if took := time.Since(start); took != 0 {
			t.Errorf("stopped after %v", took)
		}
		if got := q.isDeleted(); got != "" {
			t.Errorf("deleted %q", got)
		}
	})
}

func TestEventIsAsLambdaSendsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, f := &queue{}, &function{}
		q.send("a")
		pollFor(t, 2*time.Second, config(q, f))
		want := `{"Records":[{"messageId":"id-a","receiptHandle":"receipt-a","body":"a","md5OfBody":"md5","md5OfMessageAttributes":"",` +
			`"attributes":{"ApproximateReceiveCount":"1"},` +
			`"messageAttributes":{"kind":{"stringValue":"k","stringListValues":[],"binaryListValues":[],"dataType":"String"}},` +
			`"eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:Q","eventSource":"aws:sqs","awsRegion":"us-east-1"}]}`
		if string(f.last) != want {
			t.Errorf("got  %s\nwant %s", f.last, want)
		}
	})
}

func TestEventOverLambdasLimitIsSplit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, f := &queue{}, &function{}
		large := strings.Repeat("x", 1<<20)
		for i := range 9 {
			q.send(fmt.Sprint(i) + large)
		}
		c := config(q, f)
		c.BatchSize = 9
		pollFor(t, time.Second, c)
		if len(f.batches) != 2 || len(q.deleted) != 9 {
			t.Errorf("%d events, %d messages deleted; want 2 and 9", len(f.batches), len(q.deleted))
		}
	})
}

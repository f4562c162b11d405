package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"veryfi-intake/local/machine"
	"veryfi-intake/local/stack"
	"veryfi-intake/shared/document"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
)

// The models must behave as what they stand for. Each test below does the same to
// a model and to an emulator.

func startStack(t *testing.T) *stack.Stack {
	t.Helper()
	if testing.Short() {
		t.Skip("no emulators with -short")
	}
	root, err := machine.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), stack.Options{Root: root, Credentials: secret.Credentials{ClientSecret: "s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.StopPoller()
	return s
}

func TestModelsAgreeWithTheEmulators(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	t.Run("queue", func(t *testing.T) {
		var together sync.WaitGroup // most of the time they wait
		for seed := range uint64(24) {
			operations := queueOperations(rand.New(rand.NewPCG(seed, 1)))
			var want []string
			synctest.Test(t, func(*testing.T) {
				m := &modelled{newSQS(queueVisibility, queueReceives, 100)}
				want = m.run(operations)
			})
			queue := newEmulated(t, s, fmt.Sprint("conformance", seed))
			together.Go(func() {
				got, err := queue.run(operations)
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%v: %v (-model +ElasticMQ):\n%s", operations, err, diff)
				}
			})
		}
		together.Wait()
	})
	t.Run("table", func(t *testing.T) {
		t.Parallel()
		for seed := range uint64(4) {
			compareTables(t, s, seed)
		}
	})
}

const (
	queueVisibility = 2 * time.Second
	queueReceives   = 3
	pause           = queueVisibility + 300*time.Millisecond
)

// queueOperations draws what is done to a queue: "send 3", "receive", "delete 3",
// "hide 3", "show 3", "wait", "redrive".
func queueOperations(r *rand.Rand) (operations []string) {
	sent := 0
	for waits := 0; waits < 4; {
		operation := pick(r, "send", "receive", "receive", "delete", "hide", "show", "wait", "redrive")
		switch operation {
		case "send":
			if sent == 10 { // all that a receive returns
				continue
			}
			sent++
			operation = fmt.Sprint("send ", sent)
		case "delete", "hide", "show":
			operation = fmt.Sprint(operation, " ", 1+r.IntN(max(1, sent)))
		case "wait":
			waits++
			operations = append(operations, "receive")
		case "redrive":
			operations = append(operations, "receive") // which moves what is due
		}
		operations = append(operations, operation)
	}
	return append(operations, "receive")
}

// A modelled queue is the model.
type modelled struct{ *sqsModel }

func (m *modelled) run(operations []string) (seen []string) {
	receipts := map[string]string{}
	for _, operation := range operations {
		verb, body, _ := strings.Cut(operation, " ")
		receipt := receipts[body]
		switch verb {
		case "send":
			m.send(body, 0)
		case "receive":
			counts := map[string]int{}
			for _, r := range m.receive(10) {
				counts[r.body], receipts[r.body] = r.receives, r.receipt
			}
			seen = append(seen, fmt.Sprint(counts, " dead ", len(m.dead)))
		case "delete":
			m.delete(receipt)
			delete(receipts, body)
		case "hide", "show":
			if receipt != "" {
				_ = m.hide(receipt, map[string]time.Duration{"hide": queueVisibility}[verb])
			}
			if verb == "show" {
				delete(receipts, body)
			}
		case "wait":
			time.Sleep(pause)
			clear(receipts)
		case "redrive":
			m.redrive()
		}
	}
	return seen
}

// An emulated queue is ElasticMQ's.
type emulated struct {
	client    *sqs.Client
	url, dead string
}

func newEmulated(t *testing.T, s *stack.Stack, name string) *emulated {
	t.Helper()
	create := func(name string, attributes map[string]string) string {
		out, err := s.SQS.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		return *out.QueueUrl
	}
	dead := create(name+"-dead", nil)
	url := create(name, map[string]string{
		"VisibilityTimeout": strconv.Itoa(int(queueVisibility / time.Second)),
		"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn": %q, "maxReceiveCount": %d}`, arn(name+"-dead"), queueReceives),
	})
	return &emulated{s.SQS, url, dead}
}

func arn(queue string) string { return "arn:aws:sqs:elasticmq:000000000000:" + queue }

func (q *emulated) run(operations []string) (seen []string, failed error) {
	ctx := context.Background()
	must := func(err error) { failed = errors.Join(failed, err) }
	receipts := map[string]string{}
	for _, operation := range operations {
		verb, body, _ := strings.Cut(operation, " ")
		receipt := receipts[body]
		switch verb {
		case "send":
			_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body})
			must(err)
		case "receive":
			out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
				QueueUrl: &q.url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
			})
			if err != nil {
				return seen, err
			}
			counts := map[string]int{}
			for _, m := range out.Messages {
				n, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
				must(err)
				counts[*m.Body], receipts[*m.Body] = n, *m.ReceiptHandle
			}
			attributes, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.dead, AttributeNames: []types.QueueAttributeName{"ApproximateNumberOfMessages"}})
			if err != nil {
				return seen, err
			}
			seen = append(seen, fmt.Sprint(counts, " dead ", attributes.Attributes["ApproximateNumberOfMessages"]))
		case "delete":
			if receipt != "" {
				_, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &receipt})
				must(err)
			}
			delete(receipts, body)
		case "hide", "show":
			if receipt != "" {
				seconds := map[string]int32{"hide": int32(queueVisibility / time.Second)}[verb]
				_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &q.url, ReceiptHandle: &receipt, VisibilityTimeout: seconds})
				must(err)
			}
			if verb == "show" {
				delete(receipts, body)
			}
		case "wait":
			time.Sleep(pause)
			clear(receipts)
		case "redrive":
			_, err := q.client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(q.arnOf(q.dead)), DestinationArn: aws.String(q.arnOf(q.url))})
			must(err)
			time.Sleep(300 * time.Millisecond) // the task is quick, and not at once
		}
	}
	return seen, failed
}

func (q *emulated) arnOf(url string) string { return arn(url[strings.LastIndexByte(url, '/')+1:]) }

// compareTables writes rows of every status over each other.
func compareTables(t *testing.T, s *stack.Stack, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	emulated, reader, model := store.New(s.DynamoDB, s.TableName), store.NewReader(s.DynamoDB, s.TableName), newTable()
	client := tableClient{newWorld(seed, plan{}, nil), &environment{w: nil, name: "e"}}
	client.w.table = model
	ids := []string{fmt.Sprint("a", seed), fmt.Sprint("b", seed), fmt.Sprint("c", seed)}
	for step := range 150 {
		id := pick(r, ids...)
		seen, err := emulated.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(model.get(id), seen); diff != "" {
			t.Fatalf("seed %d, step %d (-model +DynamoDB):\n%s", seed, step, diff)
		}
		if r.IntN(3) == 0 {
			seen.Version = pick(r, "", "2026-01-02T03:04:05.000Z", model.get(pick(r, ids...)).Version)
		}
		row := store.Row{
			ID: id, Status: pick(r, store.Processed, store.Processed, store.Failed, store.Retrying, store.Error, store.Unsupported),
			Event: "document.created", Created: fmt.Sprint("t", r.IntN(3)), Attempts: r.IntN(9), ParentID: int64(r.IntN(2)), NotFound: r.IntN(3),
			ReceivedAt: time.Unix(1_700_000_000, 0).UTC(), UpdatedAt: time.Unix(1_700_000_000+int64(step), 0).UTC(), RequestID: "r",
		}
		if row.Status == store.Processed {
			if row.Document, err = document.Read([]byte(`{"id": 7, "total": 1.50}`), 7); err != nil {
				t.Fatal(err)
			}
		} else {
			row.Error = fmt.Sprint("because ", step)
		}
		want, got := model.put(row, seen), emulated.Put(t.Context(), row, seen)
		if errors.Is(want, store.ErrSuperseded) != errors.Is(got, store.ErrSuperseded) || (want == nil) != (got == nil) {
			t.Fatalf("seed %d, step %d: the model says %v, DynamoDB %v", seed, step, want, got)
		}
	}
	wantStates, err := client.GetAll(t.Context(), append(ids, "none"))
	if err != nil {
		t.Fatal(err)
	}
	gotStates, err := emulated.GetAll(t.Context(), append(ids, "none"))
	if diff := cmp.Diff(wantStates, gotStates); diff != "" || err != nil {
		t.Errorf("%v (-model +DynamoDB):\n%s", err, diff)
	}
	wantStates, err = client.States(t.Context(), append(ids, "none"))
	if err != nil {
		t.Fatal(err)
	}
	gotStates, err = reader.States(t.Context(), append(ids, "none"))
	if diff := cmp.Diff(wantStates, gotStates); diff != "" || err != nil {
		t.Errorf("%v (-model +DynamoDB):\n%s", err, diff)
	}
	before := time.Unix(1_700_000_000+int64(r.IntN(200)), 0)
	wantStale, err := client.Stale(t.Context(), before, 10)
	if err != nil {
		t.Fatal(err)
	}
	gotStale, err := reader.Stale(t.Context(), before, 10)
	if diff := cmp.Diff(wantStale, gotStale, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("%v (-model +DynamoDB):\n%s", err, diff)
	}
	for _, id := range ids { // for the next seed
		if model.get(id).Status != store.Processed {
			if err := emulated.Put(t.Context(), store.Row{ID: id, Status: store.Failed, Error: "e"}, model.get(id)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"veryfi-intake/local/aws/queue"
	"veryfi-intake/local/aws/table"
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
				m := &modelled{queue.New(queue.Options{Visibility: queueVisibility, MaxReceives: queueReceives, InFlight: 100})}
				want = m.run(operations)
			})
			emulated := newEmulated(t, s, fmt.Sprint("conformance", seed))
			together.Go(func() {
				got, err := emulated.run(operations)
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
type modelled struct{ *queue.Queue }

func (m *modelled) run(operations []string) (seen []string) {
	receipts := map[string]string{}
	for _, operation := range operations {
		verb, body, _ := strings.Cut(operation, " ")
		receipt := receipts[body]
		switch verb {
		case "send":
			m.Send("", body, 0)
		case "receive":
			counts := map[string]int{}
			for _, r := range m.Receive(10) {
				counts[r.Body], receipts[r.Body] = r.Receives, r.Receipt
			}
			seen = append(seen, fmt.Sprint(counts, " dead ", len(m.DeadLetters())))
		case "delete":
			m.Delete(receipt)
			delete(receipts, body)
		case "hide", "show":
			if receipt != "" {
				m.Hide(receipt, map[string]time.Duration{"hide": queueVisibility}[verb])
			}
			if verb == "show" {
				delete(receipts, body)
			}
		case "wait":
			time.Sleep(pause)
			clear(receipts)
		case "redrive":
			m.Redrive()
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
			time.Sleep(300 * time.Millisecond) // the task is quick, but not immediate
		}
	}
	return seen, failed
}

func (q *emulated) arnOf(url string) string { return arn(url[strings.LastIndexByte(url, '/')+1:]) }

// A dynamoDB has the calls that are made here without [store].
type dynamoDB interface {
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

func text(s string) *dynamo.AttributeValueMemberS { return &dynamo.AttributeValueMemberS{Value: s} }

// change updates or deletes a row of that version, and returns the row after it.
func change(ctx context.Context, db dynamoDB, name, id, version, how, now string) (table.Item, error) {
	key, condition, values := table.Item{"id": text(id)}, aws.String("updated_at = :version"), table.Item{":version": text(version)}
	var err error
	switch how {
	case "enrich":
		values[":enrichments"], values[":now"] = &dynamo.AttributeValueMemberL{Value: []dynamo.AttributeValue{text("a"), text(now)}}, text(now)
		_, err = db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &name, Key: key, ConditionExpression: condition, ExpressionAttributeValues: values,
			UpdateExpression: aws.String("SET enrichments = :enrichments, updated_at = :now"),
		})
	case "mark":
		values[":error"] = text("taken up at " + now)
		_, err = db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &name, Key: key, ConditionExpression: condition, ExpressionAttributeValues: values,
			UpdateExpression: aws.String("SET #error = :error"), ExpressionAttributeNames: map[string]string{"#error": "error"},
		})
	case "delete":
		_, err = db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &name, Key: key, ConditionExpression: condition, ExpressionAttributeValues: values})
	}
	if _, refused := errors.AsType[*dynamo.ConditionalCheckFailedException](err); err != nil && !refused {
		return nil, err
	}
	out, failed := db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &name, Key: key, ConsistentRead: aws.Bool(true),
		ProjectionExpression: aws.String("id, #status, #error, enrichments, updated_at"), ExpressionAttributeNames: map[string]string{"#status": "status", "#error": "error"},
	})
	if failed != nil {
		return nil, failed
	}
	return out.Item, err
}

// drain deletes the rows of the index problems with that status, page by page, and returns
// their ids.
func drain(ctx context.Context, db dynamoDB, name, status string) (ids []string, err error) {
	query := &dynamodb.QueryInput{
		TableName: &name, IndexName: aws.String("problems"), KeyConditionExpression: aws.String("problem = :status"),
		ExpressionAttributeValues: table.Item{":status": text(status)}, Limit: aws.Int32(1),
	}
	for {
		page, err := db.Query(ctx, query)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			id := table.Text(item, "id")
			ids = append(ids, id)
			if left, err := change(ctx, db, name, id, table.Text(item, "updated_at"), "delete", ""); err != nil || left != nil {
				return nil, fmt.Errorf("row %s is not deleted: %w", id, err)
			}
		}
		if query.ExclusiveStartKey = page.LastEvaluatedKey; len(page.LastEvaluatedKey) == 0 {
			return ids, nil
		}
	}
}

// compareTables writes rows of every status over each other, in the model and in
// DynamoDB Local.
func compareTables(t *testing.T, s *stack.Stack, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	memory, name := table.New(map[string]string{"problems": "updated_at"}), s.TableName
	type services struct {
		*store.Table
		*store.Reader
		db dynamoDB
	}
	model := services{store.New(memory, name), store.NewReader(memory, name), memory}
	emulated := services{store.New(s.DynamoDB, name), store.NewReader(s.DynamoDB, name), s.DynamoDB}
	agree := func(what string, ask func(services) (any, error)) {
		t.Helper()
		want, err1 := ask(model)
		got, err2 := ask(emulated)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), valuesOnly); diff != "" || (err1 == nil) != (err2 == nil) {
			t.Fatalf("seed %d, %s: the model says %v, DynamoDB %v (-model +DynamoDB):\n%s", seed, what, err1, err2, diff)
		}
	}
	ids := []string{fmt.Sprint("a", seed), fmt.Sprint("b", seed), fmt.Sprint("c", seed), fmt.Sprint("d", seed), fmt.Sprint("e", seed)}
	versionOf := func(id string) string {
		state, err := model.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return state.Version
	}
	for step := range 150 {
		id := pick(r, ids...)
		agree("get", func(s services) (any, error) { return s.Get(t.Context(), id) })
		seen := store.State{Version: versionOf(id)}
		if r.IntN(3) == 0 {
			seen.Version = pick(r, "", "2026-01-02T03:04:05.000Z", versionOf(pick(r, ids...)))
		}
		now := time.Unix(1_700_000_000+int64(step), 0).UTC()
		if how := pick(r, "put", "put", "put", "enrich", "mark", "delete"); how != "put" {
			agree(fmt.Sprint("step ", step, ": ", how), func(s services) (any, error) {
				return change(t.Context(), s.db, name, id, seen.Version, how, now.Format(store.TimeFormat))
			})
			continue
		}
		row := store.Row{
			ID: id, Status: pick(r, store.Processed, store.Processed, store.Failed, store.Retrying, store.Error, store.Unsupported),
			Event: "document.created", Created: fmt.Sprint("t", r.IntN(3)), Attempts: r.IntN(9), ParentID: int64(r.IntN(2)), NotFound: r.IntN(3),
			ReceivedAt: time.Unix(1_700_000_000, 0).UTC(), UpdatedAt: now, RequestID: "r",
		}
		if row.Status == store.Processed {
			var err error
			if row.Document, err = document.Read([]byte(`{"id": 7, "total": 1.50}`), 7); err != nil {
				t.Fatal(err)
			}
		} else {
			row.Error = fmt.Sprint("because ", step)
		}
		agree(fmt.Sprint("step ", step), func(s services) (any, error) {
			err := s.Put(t.Context(), row, seen)
			return errors.Is(err, store.ErrSuperseded), err
		})
	}
	all := slices.Concat(ids, []string{"none"})
	before := time.Unix(1_700_000_000+int64(r.IntN(200)), 0)
	agree("get all", func(s services) (any, error) { return s.GetAll(t.Context(), all) })
	agree("states", func(s services) (any, error) { return s.States(t.Context(), all) })
	agree("stale", func(s services) (any, error) { return s.Stale(t.Context(), before, 2) })
	agree("problems", func(s services) (any, error) { return s.Problems(t.Context(), store.Failed, 2) })
	for _, status := range []store.Status{store.Failed, store.Retrying, store.Error, store.Unsupported} { // and the next seed finds none
		agree("drain", func(s services) (any, error) { return drain(t.Context(), s.db, name, string(status)) })
	}
	agree("get all", func(s services) (any, error) { return s.GetAll(t.Context(), all) })
}

// valuesOnly compares what items hold.
var valuesOnly = cmpopts.IgnoreUnexported(dynamo.AttributeValueMemberS{}, dynamo.AttributeValueMemberL{})

// Package pipeline_test drives the functions as they are deployed: the real
// binaries with the emulators and the stand-in for Veryfi, on one machine.
package pipeline_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/demo"
	"veryfi-intake/local/machine"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
	"veryfi-intake/proof/rowcheck"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/secret"
)

const (
	created  = "2026-01-02 03:04:05"
	patience = 60 * time.Second
)

var credentials = secret.Credentials{
	ClientID: "pipeline-client", ClientSecret: "pipeline-client-secret", Username: "pipeline.user", APIKey: "pipeline-api-key",
}

// private is what no log line may hold.
var private = []string{credentials.ClientSecret, credentials.APIKey, "confidential"}

var (
	pipeline *stack.Stack
	written  demo.Logs
	nextID   atomic.Int64
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		return m.Run() // lists, and runs none
	}
	if testing.Short() {
		fmt.Println("skipped: the pipeline is not started with -short")
		return 0
	}
	// These tests wait for the pipeline more than they compute.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	root, err := machine.FindRoot()
	if err == nil {
		pipeline, err = stack.Start(context.Background(), stack.Options{
			Root: root, Credentials: credentials, Log: written.Add,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer pipeline.Stop()
	nextID.Store(1_000_000)
	code := m.Run()
	for _, word := range private {
		for _, line := range written.Containing(word) {
			fmt.Fprintf(os.Stderr, "FAIL: %q is in the log: %s\n", word, line)
			code = 1
		}
	}
	return code
}

// newID returns an id that no other test uses.
func newID() int64 { return nextID.Add(1) }

// receipt has Veryfi hold a new document.
func receipt() int64 {
	id := newID()
	pipeline.Veryfi.Put(standin.Documents, id, standin.Receipt(id))
	return id
}

// requestsFor returns how often Veryfi was asked for a document.
func requestsFor(id int64) int { return len(pipeline.Veryfi.RequestsFor(standin.Documents, id)) }

// until waits for something that must come, and reports whether it came in time.
func until(came func() bool) bool {
	for end := time.Now().Add(patience); !came(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func sign(t *testing.T, name, data string) webhook.Webhook {
	t.Helper()
	webhook, err := webhook.Sign(name, data, credentials.ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
	return webhook
}

// post sends a webhook once and returns the answer's status.
func post(t *testing.T, webhook webhook.Webhook) int {
	t.Helper()
	answer := standin.NewSender(time.Second).Post(t.Context(), pipeline.WebhookURL, webhook)
	if answer.Err != nil {
		t.Fatal(answer.Err)
	}
	return answer.Status
}

// announce says that documents are ready, or whatever the event's name says.
func announce(t *testing.T, name, created string, ids ...int64) {
	t.Helper()
	list, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	if status := post(t, sign(t, name, fmt.Sprintf(`{"id": %s, "created": %q}`, list, created))); status != 200 {
		t.Fatalf("status %d", status)
	}
}

// row returns the row of an id, or of a key, as soon as it has the status.
func row(t *testing.T, id any, status string) (item map[string]types.AttributeValue) {
	t.Helper()
	if !until(func() bool { item = get(t, id); return text(item["status"]) == status }) {
		t.Fatalf("row %v is not %s but %s: %s", id, status, text(item["status"]), text(item["error"]))
	}
	return item
}

func get(t *testing.T, id any) map[string]types.AttributeValue {
	t.Helper()
	out, err := pipeline.DynamoDB.GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: &pipeline.TableName, ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: fmt.Sprint(id)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Item
}

func text(value types.AttributeValue) string {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberL:
		var all []string
		for _, element := range v.Value {
			all = append(all, text(element))
		}
		return strings.Join(all, ", ")
	default:
		return ""
	}
}

// exactFields returns the names and texts of a row's attributes, documents without
// their value.
func exactFields(item map[string]types.AttributeValue) map[string]string {
	f := map[string]string{}
	for name, value := range item {
		f[name] = text(value)
	}
	return f
}

// fields is exactFields without the values of times.
func fields(item map[string]types.AttributeValue) map[string]string {
	f := exactFields(item)
	for name := range f {
		if strings.HasSuffix(name, "_at") {
			if _, err := time.Parse(time.RFC3339, f[name]); err == nil {
				f[name] = "a time"
			}
		}
	}
	if f["request_id"] != "" {
		f["request_id"] = "an id"
	}
	return f
}

func TestEveryKindOfWebhookBecomesItsRow(t *testing.T) {
	t.Parallel()
	ready, lost, child, set, failedSet := newID(), newID(), newID(), newID(), newID()
	pipeline.Veryfi.Put(standin.Documents, ready, fmt.Appendf(nil, `{"id": %d, "status": "reviewed", "external_id": "order 66", "document_type": "receipt"}`, ready))
	pipeline.Veryfi.Put(standin.BankStatements, child, standin.BankStatement(child))
	tests := []struct {
		event, data, id string
		want            map[string]string
	}{
		{
			"document.created", fmt.Sprintf(`{"id": %d, "created": %q}`, ready, created), fmt.Sprint(ready),
			map[string]string{
				"status": "processed", "retrieved_at": "a time", "document": "", "external_id": "order 66", "document_type": "receipt",
			},
		},
		{
			"document.failed", fmt.Sprintf(`{"id": %d, "created": %q, "error": "Couldn't read it: confidential"}`, lost, created), fmt.Sprint(lost),
			map[string]string{"status": "failed", "problem": "failed", "error": "Couldn't read it: confidential"},
		},
		{
			"bank_statement_set.created", fmt.Sprintf(`{"parent_id": %d, "id": [%d], "created": %q}`, set, child, created), fmt.Sprint("bank_statement#", child),
			map[string]string{"currency_code": "CHF", "external_id": "account-0/2026-01", "status": "processed", "retrieved_at": "a time", "document": "", "parent_id": fmt.Sprint(set)},
		},
		{
			"bank_statement_set.failed", fmt.Sprintf(`{"parent_id": %d, "id": [], "created": %q}`, failedSet, created), fmt.Sprint("bank_statement_set#", failedSet),
			map[string]string{"status": "failed", "problem": "failed", "error": "Veryfi could not process it and gave no reason", "parent_id": fmt.Sprint(failedSet)},
		},
		{
			// printf "{'id': 5, 'created': '2026-01-02 03:04:05', 'x': 'é'}" | sha256sum
			"contract.created", `{"id": 5, "created": "2026-01-02 03:04:05", "x": "\u00e9"}`, "unsupported#534242fcea9d8a3a",
			map[string]string{
				"status": "unsupported", "problem": "unsupported", "error": "this version does not know the event; its data is kept here (version 2)",
				"data": `{"id": 5, "created": "2026-01-02 03:04:05", "x": "\u00e9"}`, "events": "contract.created",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.event, func(t *testing.T) {
			t.Parallel()
			if status := post(t, sign(t, test.event, test.data)); status != 200 {
				t.Fatalf("status %d", status)
			}
			got := fields(row(t, test.id, test.want["status"]))
			maps.Copy(test.want, map[string]string{
				"id": test.id, "event": test.event, "created": created, "received_at": "a time", "updated_at": "a time",
				"attempts": "1", "request_id": "an id",
			})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestProblemsAreListed asks the index as README does.
func TestProblemsAreListed(t *testing.T) {
	t.Parallel()
	failed, stored := newID(), receipt()
	announce(t, "document.failed", created, failed)
	announce(t, "document.created", created, stored)
	row(t, failed, "failed")
	row(t, stored, "processed")
	listed := map[string]bool{}
	pages := dynamodb.NewQueryPaginator(pipeline.DynamoDB, &dynamodb.QueryInput{
		TableName: &pipeline.TableName, IndexName: aws.String("problems"), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression:    aws.String("problem = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: "failed"}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			listed[text(item["id"])] = text(item["error"]) != "" && item["document"] == nil
		}
	}
	if !listed[fmt.Sprint(failed)] || listed[fmt.Sprint(stored)] {
		t.Errorf("the failed one is listed: %v, the stored one: %v", listed[fmt.Sprint(failed)], listed[fmt.Sprint(stored)])
	}
}

// TestDocumentsAreStoredExactly stores documents of every form, and real ones
// where they are at hand, and compares them number by number.
func TestDocumentsAreStoredExactly(t *testing.T) {
	t.Parallel()
	type stored struct {
		kind   standin.Kind
		prefix string
		id     int64
		body   []byte
	}
	var documents []stored
	of := func(format string) func(int64) []byte {
		return func(id int64) []byte { return fmt.Appendf(nil, format, id) }
	}
	nested := func(levels int) func(int64) []byte {
		return of(`{"id": %d, "deep": ` + strings.Repeat("[", levels) + "1" + strings.Repeat("]", levels) + "}")
	}
	large := func(size int) func(int64) []byte {
		return func(id int64) []byte { return standin.Large(id, size) }
	}
	for _, newDocument := range []func(int64) []byte{
		standin.Receipt, standin.Invoice, numbers, large(300 << 10), large(800 << 10), nested(30), nested(31),
		of(`{"id": %d, "": 1}`), of(`{"id": %d, "a": 1, "a": 2}`), of(`{"id": %d, "n": 1e126, "m": 123456789012345678901234567890123456789}`),
		of(`{"id": %d, "s": "\ud800"}`), of("{\"id\": %d, \"s\": \"\xff\"}"), of(" {\"id\" : \"%d\", \"s\": \"\\u0000 \\/ é 😀 \u007f\"}\n"),
	} {
		id := newID()
		documents = append(documents, stored{standin.Documents, "", id, newDocument(id)})
	}
	root, err := machine.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "..", "shared", "documents", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, isStatement := strings.CutPrefix(strings.TrimSuffix(filepath.Base(file), ".json"), "bank_statement_")
		id, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		d := stored{standin.Documents, "", id, body}
		if isStatement {
			d.kind, d.prefix = standin.BankStatements, "bank_statement#"
		}
		documents = append(documents, d)
	}
	for _, d := range documents {
		pipeline.Veryfi.Put(d.kind, d.id, d.body)
		name := "document.created"
		if d.kind == standin.BankStatements {
			name = "bank_statement_set.created"
		}
		announce(t, name, created, d.id)
	}
	for _, d := range documents {
		if diff := rowcheck.Difference(row(t, d.prefix+fmt.Sprint(d.id), "processed"), d.body); diff != "" {
			t.Errorf("%d: %s", d.id, diff)
		}
	}
}

// numbers returns a document with numbers of all sizes.
func numbers(id int64) []byte {
	random := rand.New(rand.NewPCG(uint64(id), 0))
	b := fmt.Appendf(nil, `{"id": %d, "numbers": [12.10, 0, -0.0, 0e9, 1234567890123456789, 0.00000000000000000000000000000000000001, 1E5, 1e+5, -1.5e-7`, id)
	for range 300 {
		digits := []byte{'1' + byte(random.IntN(9))}
		for range random.IntN(38) {
			digits = append(digits, '0'+byte(random.IntN(10)))
		}
		exponent := random.IntN(251) - 125
		if random.IntN(2) == 0 {
			exponent = random.IntN(20) - 10
		}
		sign := []string{"", "-"}[random.IntN(2)]
		b = fmt.Appendf(b, `, %s%s.%se%d`, sign, digits[:1], append(digits[1:], '0'), exponent)
	}
	return append(b, "]}"...)
}

func TestForgedWebhookLeavesNoTrace(t *testing.T) {
	t.Parallel()
	id := receipt()
	genuine := sign(t, "document.created", fmt.Sprintf(`{"id": %d}`, newID()))
	forged := genuine
	forged.Data = fmt.Sprintf(`{"id": %d}`, id)
	unsigned := forged
	unsigned.Signature = ""
	for _, webhook := range []webhook.Webhook{forged, unsigned} {
		if status := post(t, webhook); status != 401 {
			t.Errorf("status %d", status)
		}
	}
	time.Sleep(3 * time.Second) // longer than a webhook takes to its row
	if get(t, id) != nil || requestsFor(id) != 0 {
		t.Error("the forged id has left a trace")
	}
}

// TestDuplicatesInParallelLeaveOneDocument also deletes the document after the
// first request, as Veryfi does with auto_delete.
func TestDuplicatesInParallelLeaveOneDocument(t *testing.T) {
	t.Parallel()
	id := newID()
	body := standin.Invoice(id)
	pipeline.Veryfi.PutAutoDelete(standin.Documents, id, body)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { announce(t, "document.created", created, id) })
	}
	wg.Wait()
	row(t, id, "processed")
	time.Sleep(2 * time.Second)
	announce(t, "document.failed", "2027-01-01 00:00:00", id)
	requests := requestsFor(id)
	announce(t, "document.created", created, id)
	time.Sleep(3 * time.Second)
	item := row(t, id, "processed")
	if diff := rowcheck.Difference(item, body); diff != "" || item["problem"] != nil {
		t.Errorf("row %v: %s", fields(item), diff)
	}
	if now := requestsFor(id); now != requests {
		t.Errorf("a stored document was requested again: %d, then %d", requests, now)
	}
}

func TestFailuresOfVeryfiEndWithTheDocument(t *testing.T) {
	t.Parallel()
	for name, behaviours := range map[string][]standin.Behaviour{
		"busy":        {standin.RetryAfter(429, 1), standin.RetryAfter(503, 1)},
		"in progress": {standin.InProgress()},
		"cut short":   {standin.Truncated()},
		"another id":  {standin.OtherID()},
		"a web page":  {standin.NotJSON()},
		"redirect":    {standin.Redirect(pipeline.VeryfiURL)},
		"too early":   {standin.Status(404)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := receipt()
			pipeline.Veryfi.Then(id, behaviours...)
			announce(t, "document.created", created, id)
			if item := row(t, id, "retrying"); item["problem"] == nil || item["document"] != nil || text(item["error"]) == "" {
				t.Errorf("row %v", fields(item))
			}
			item := row(t, id, "processed")
			if want := fmt.Sprint(len(behaviours) + 1); text(item["attempts"]) != want {
				t.Errorf("%s attempts, want %s", text(item["attempts"]), want)
			}
			if item["problem"] != nil || item["error"] != nil {
				t.Errorf("row %v", fields(item))
			}
		})
	}
}

// TestBrokenConnectionsEndWithTheDocument does not count tries: net/http repeats a
// request by itself when it was sent on a kept connection.
func TestBrokenConnectionsEndWithTheDocument(t *testing.T) {
	t.Parallel()
	id := receipt()
	pipeline.Veryfi.Then(id, standin.Reset(), standin.Reset())
	announce(t, "document.created", created, id)
	row(t, id, "processed")
}

// TestWhatIsGivenUpIsInTheDeadLetterQueue is the only test that reads that queue.
func TestWhatIsGivenUpIsInTheDeadLetterQueue(t *testing.T) {
	t.Parallel()
	refused, huge, known, neighbour := newID(), newID(), newID(), receipt()
	pipeline.Veryfi.Then(refused, standin.Status(400))
	pipeline.Veryfi.Put(standin.Documents, huge, incompressible(huge, 600<<10))
	announce(t, "document.created", created, refused, huge)
	malformed := []string{
		`{"version":1,"event":"document.created","id":"x"}`, `no JSON`, `[]`, `"x"`, `{}`, `{"version":0,"event":"x","data":"{}"}`,
		strings.Repeat("x", 1<<20), strings.Repeat("[", 100_000), // as long as a message can be, and as deep
		fmt.Sprintf(`{"version":1,"event":"document.created","id":%d,"created":1}`, known),
	}
	good := event.Message{Version: 1, Event: event.DocumentCreated, ID: neighbour, Created: created}
	for _, body := range append(malformed, good.Encode()) {
		if _, err := pipeline.SQS.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &pipeline.QueueURL, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	for id, reason := range map[int64]string{refused: "refused: Veryfi answered 400", huge: "too large: ", known: "malformed: "} {
		if item := row(t, id, "error"); !strings.HasPrefix(text(item["error"]), reason) || text(item["problem"]) != "error" {
			t.Errorf("row %v", fields(item))
		}
	}
	row(t, neighbour, "processed")
	var letters []string
	until(func() bool {
		out, err := pipeline.SQS.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &pipeline.DeadLetterQueueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Messages {
			if message, err := event.DecodeMessage(*m.Body); err == nil {
				if message.ID == lastTryID {
					continue
				}
				letters = append(letters, fmt.Sprint(message.ID))
			} else {
				letters = append(letters, *m.Body)
			}
		}
		return len(letters) >= len(malformed)+2
	})
	want := slices.Concat(malformed, []string{fmt.Sprint(refused), fmt.Sprint(huge)})
	slices.Sort(want)
	slices.Sort(letters)
	if diff := cmp.Diff(want, letters); diff != "" {
		t.Error(diff)
	}
}

func incompressible(id int64, size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[random.IntN(64)]
	}
	return fmt.Appendf(nil, `{"id": %d, "noise": %q}`, id, noise)
}

// lastTryID is the document whose message the processor itself gives up.
const lastTryID = 999_999

func TestLastTryWritesError(t *testing.T) {
	t.Parallel()
	const id int64 = lastTryID
	pipeline.Veryfi.Then(id, standin.Status(503))
	m := event.Message{Version: 1, Event: event.DocumentCreated, ID: id, Created: created}
	payload, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "m", ReceiptHandle: "not a real one", Body: m.Encode(),
		Attributes: map[string]string{
			"ApproximateReceiveCount": "60", "SentTimestamp": strconv.FormatInt(time.Now().Add(-49*time.Hour).UnixMilli(), 10),
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := pipeline.Processor.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	if string(answer) != `{"batchItemFailures":[]}` {
		t.Errorf("answer %s", answer)
	}
	if item := row(t, id, "error"); !strings.Contains(text(item["error"]), "given up after 60 tries") || text(item["attempts"]) != "60" {
		t.Errorf("row %v", fields(item))
	}
}

// TestAThousandIDsAreAcknowledgedInTime announces failures, which cost Veryfi
// nothing.
func TestAThousandIDsAreAcknowledgedInTime(t *testing.T) {
	t.Parallel()
	var ids []int64
	for range 1000 {
		ids = append(ids, newID())
	}
	start := time.Now()
	announce(t, "document.failed", created, ids...)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v, and Veryfi waits 10 s", took)
	}
	for _, id := range ids {
		row(t, id, "failed")
	}
}

// TestVeryfiIsAskedSixtyTimesASecondAtMost counts the requests of all tests that run at
// the same time.
func TestVeryfiIsAskedSixtyTimesASecondAtMost(t *testing.T) {
	t.Parallel()
	var ids []int64
	for range 200 {
		ids = append(ids, receipt())
	}
	stall := watchForStalls(t)
	announce(t, "document.created", created, ids...)
	for _, id := range ids {
		row(t, id, "processed")
	}
	requests := pipeline.Veryfi.Requests()
	most, first := 0, 0
	for last := range requests {
		for requests[last].Time.Sub(requests[first].Time) >= time.Second {
			first++
		}
		most = max(most, last-first+1)
	}
	// A machine that stalls delays requests, so that they come together with the next ones.
	const environments, interval = 5, time.Second / 11
	late := int(environments * stall() / interval)
	t.Logf("at most %d requests in a second, %d of them late", most, late)
	if most-late > 60 {
		t.Errorf("%d requests in a second, %d of them late", most, late)
	}
}

// watchForStalls returns the longest time by which this machine has been late to
// run something since.
func watchForStalls(t *testing.T) (longest func() time.Duration) {
	t.Helper()
	var stall atomic.Int64
	go func() {
		for before := time.Now(); t.Context().Err() == nil; before = time.Now() {
			time.Sleep(time.Millisecond)
			stall.Store(max(stall.Load(), int64(time.Since(before)-time.Millisecond)))
		}
	}()
	return func() time.Duration { return time.Duration(stall.Load()) }
}

// TestOutages takes services down, one after the other. It runs before the parallel
// tests.
func TestOutages(t *testing.T) {
	down := func(service endpoint.Service) (up func()) {
		pipeline.AWS.SetIntercept(endpoint.Down(service))
		up = func() { pipeline.AWS.SetIntercept(nil) }
		t.Cleanup(up)
		return up
	}
	id := receipt()
	webhook := sign(t, "document.created", fmt.Sprintf(`{"id": %d, "created": %q}`, id, created))

	up := down(endpoint.SQS)
	if status := post(t, webhook); status != 503 {
		t.Errorf("SQS is down: status %d", status)
	}
	up()

	up = down(endpoint.SecretsManager)
	if status := post(t, webhook); status != 200 {
		t.Errorf("Secrets Manager is down, and the secret is known: status %d", status)
	}
	pipeline.Webhook.Kill()
	if status := post(t, webhook); status != 503 {
		t.Errorf("Secrets Manager is down, and the secret is not known: status %d", status)
	}
	up()
	if answers := standin.NewSender(2*time.Second).Deliver(t.Context(), pipeline.WebhookURL, webhook); !answers[len(answers)-1].Accepted() {
		t.Errorf("Secrets Manager is up again: %+v", answers)
	}
	row(t, id, "processed")

	up = down(endpoint.DynamoDB)
	id = receipt()
	announce(t, "document.created", created, id)
	time.Sleep(4 * time.Second) // the batch's window, and the SDK's retries
	if n := requestsFor(id); n != 0 {
		t.Errorf("the table is down, and the document was retrieved %d times", n)
	}
	up()
	row(t, id, "processed")
}

// TestRotation changes the client secret and the API key. It runs before the
// parallel tests.
func TestRotation(t *testing.T) {
	rotated := credentials
	rotated.ClientSecret, rotated.APIKey = "pipeline-rotated-secret", "pipeline-rotated-key"
	set := func(c secret.Credentials) {
		t.Helper()
		value, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		pipeline.Veryfi.SetCredentials(c)
		pipeline.Secrets.Put(string(value))
	}
	ids := []int64{receipt(), receipt(), receipt()}
	announce(t, "document.created", created, ids[0]) // both functions know the secret
	row(t, ids[0], "processed")
	set(rotated)
	newer, err := webhook.Sign("document.created", fmt.Sprintf(`{"id": %d}`, ids[1]), rotated.ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
	if status := post(t, newer); status != 200 {
		t.Errorf("signed with the new secret: status %d", status)
	}
	announce(t, "document.created", created, ids[2]) // signed with the previous one
	for _, id := range ids {
		row(t, id, "processed")
	}
	set(credentials)
	pipeline.Webhook.Kill()
	pipeline.Processor.Kill()
}

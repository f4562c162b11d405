package retrieve

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	sqs "veryfi-intake/local/aws/queue"
	"veryfi-intake/local/aws/table"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

var errDown = errors.New("down")

func isDown(context.Context) error { return errDown }

// memoryTable is the real table on DynamoDB's model.
type memoryTable struct {
	*store.Table

	mu sync.Mutex
	// rows are those that the table has, as they were written.
	rows map[string]store.Row
	// get and put are called first, when they are set.
	get func(context.Context) error
	put func(context.Context, store.Row) error
	// getAll is called with what several rows are known by, when it is set.
	getAll func(map[string]store.State) error
	// reads has the ids of each call that reads.
	reads [][]string
	// history has the status of each row that the handler wrote, in order.
	history []store.Status
}

func (m *memoryTable) Get(ctx context.Context, id string) (store.State, error) {
	if err := m.read(ctx, id); err != nil {
		return store.State{}, err
	}
	return m.Table.Get(ctx, id)
}

func (m *memoryTable) GetAll(ctx context.Context, ids []string) (map[string]store.State, error) {
	if err := m.read(ctx, ids...); err != nil {
		return nil, err
	}
	states, err := m.Table.GetAll(ctx, ids)
	if m.getAll != nil {
		err = failure.Table.Of(m.getAll(states))
	}
	return states, err
}

// read begins a call that reads.
func (m *memoryTable) read(ctx context.Context, ids ...string) (err error) {
	m.mu.Lock()
	m.reads = append(m.reads, ids)
	m.mu.Unlock()
	if m.get != nil {
		err = m.get(ctx)
	}
	return failure.Table.Of(cmp.Or(err, ctx.Err()))
}

func (m *memoryTable) Put(ctx context.Context, row store.Row, seen store.State) (err error) {
	if m.put != nil {
		err = m.put(ctx, row)
	}
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return failure.Table.Of(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err = m.Table.Put(ctx, row, seen); err == nil {
		m.rows[row.ID] = row
		m.history = append(m.history, row.Status)
	}
	return err
}

func (m *memoryTable) NoteEnrichment(ctx context.Context, id string, seen store.State, requests []time.Time, now time.Time) (store.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state, err := m.Table.NoteEnrichment(ctx, id, seen, requests, now)
	if row := m.rows[id]; err == nil {
		row.Enrichments, row.UpdatedAt = requests, state.UpdatedAt()
		m.rows[id] = row
	}
	return state, err
}

// seed writes a row over what is there, as another environment does. Its clock is a second
// ahead, unless the row says when it was written.
func (m *memoryTable) seed(t *testing.T, row store.Row) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	row.UpdatedAt = cmp.Or(row.UpdatedAt, time.Now().Add(time.Second))
	if err := m.Table.Put(t.Context(), row, m.rows[row.ID].State()); err != nil {
		t.Error(err)
	}
	m.rows[row.ID] = row
}

// memoryVeryfi has documents in memory.
type memoryVeryfi struct {
	mu sync.Mutex
	// answer says what a request gets; it is nil where every id has a document.
	answer   func(ctx context.Context, id int64) ([]byte, error)
	requests []string
	// get refuses a request, when it is set.
	get func(veryfi.Resource, int64) error
}

// Get answers a request in 5 ms, by the clock that is told.
func (v *memoryVeryfi) Get(ctx context.Context, resource veryfi.Resource, id int64) ([]byte, []veryfi.Answer, error) {
	v.mu.Lock()
	v.requests = append(v.requests, fmt.Sprintf("%s/%d", resource, id))
	v.mu.Unlock()
	body, err := v.serve(ctx, resource, id)
	answer := veryfi.Answer{Status: http.StatusOK, Took: 5 * time.Millisecond}
	if err != nil {
		answer.Status = 0
	}
	if e, ok := errors.AsType[*veryfi.Error](err); ok {
		answer.Status = e.Status
	}
	return body, []veryfi.Answer{answer}, err
}

func (v *memoryVeryfi) serve(ctx context.Context, resource veryfi.Resource, id int64) ([]byte, error) {
	if v.answer != nil {
		return v.answer(ctx, id)
	}
	if v.get != nil {
		if err := v.get(resource, id); err != nil {
			return nil, err
		}
	}
	return documentJSON(id), nil
}

func documentJSON(id int64) []byte {
	return fmt.Appendf(nil, `{"id": %d, "status": "processed", "external_id": "x-%d", "total": 12.10}`, id, id)
}

// memoryQueue is a real queue on SQS's model.
type memoryQueue struct {
	*queue.Queue

	// send and delay are called first, when they are set.
	send, delay func(context.Context) error

	mu     sync.Mutex
	delays map[string]time.Duration // by receipt
}

func (q *memoryQueue) Send(ctx context.Context, bodies ...string) error {
	if q.send != nil {
		if err := q.send(ctx); err != nil {
			return err
		}
	}
	return q.Queue.Send(ctx, bodies...)
}

func (q *memoryQueue) Delay(ctx context.Context, receipt string, d time.Duration) error {
	if q.delay != nil {
		if err := q.delay(ctx); err != nil {
			return err
		}
	}
	if err := cmp.Or(ctx.Err(), q.Queue.Delay(ctx, receipt, d)); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.delays[receipt] = d
	return nil
}

// fixture is a handler with all it needs in memory.
type fixture struct {
	*Handler
	veryfi      *memoryVeryfi
	table       *memoryTable
	queue       *memoryQueue
	deadLetters *memoryQueue
	sqs         *sqs.Queue
	receiving   sync.Mutex
	receipts    map[string]string // of the last delivery of each body
	logs        *bytes.Buffer
}

const maxTries = 60

func newFixture() *fixture {
	inMemory := sqs.New(sqs.Options{
		Visibility: 6 * time.Minute, MaxReceives: 2, InFlight: 1000,
		Choose: func(_ string, n int) int { return n - 1 }, // the one that was sent last
	})
	f := &fixture{
		sqs: inMemory, receipts: map[string]string{},
		veryfi:      &memoryVeryfi{},
		table:       &memoryTable{Table: store.New(table.New(nil), "table"), rows: map[string]store.Row{}},
		queue:       &memoryQueue{Queue: queue.New(inMemory, "DocumentQueue"), delays: map[string]time.Duration{}},
		deadLetters: &memoryQueue{Queue: queue.New(inMemory, sqs.DeadLetterURL)},
		logs:        &bytes.Buffer{},
	}
	f.Handler = &Handler{
		Veryfi: f.veryfi, Table: f.table, Queue: f.queue, DeadLetters: f.deadLetters,
		MaxTries: maxTries,
		Metrics:  metrics.New("test", time.Now),
		Now:      time.Now,
		Random:   func() float64 { return 0 },
		Log:      slog.New(slog.NewJSONHandler(f.logs, nil)),
	}
	return f
}

// message returns a message about a document, as the webhook writes it.
func message(name string, id int64, created string) event.Message {
	return event.Message{
		Version: event.VersionOf(name), Event: name, ID: id, Created: created, RequestID: "request",
		ReceivedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func ready(id int64) event.Message {
	return message(event.DocumentCreated, id, "2026-01-02 03:04:05")
}

// record returns the record of a delivery of a message that was sent half a minute ago.
func record(body string, receiveCount int) events.SQSMessage {
	return sent(body, receiveCount, 30*time.Second)
}

// sent returns the record of a delivery of a message that was sent some time ago.
func sent(body string, receiveCount int, age time.Duration) events.SQSMessage {
	return events.SQSMessage{
		Body: body,
		Attributes: map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(receiveCount),
			"SentTimestamp":           milliseconds(time.Now().Add(-age)),
		},
	}
}

// milliseconds is how SQS writes a time.
func milliseconds(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// deliver gives messages to the handler, in their nth delivery, and returns
// whether each of them is done.
func (f *fixture) deliver(t *testing.T, receiveCount int, messages ...event.Message) []bool {
	t.Helper()
	var records []events.SQSMessage
	for _, m := range messages {
		records = append(records, record(m.Encode(), receiveCount))
	}
	return f.handle(t.Context(), t, records...)
}

// handle receives the messages of a batch and gives them to the handler.
func (f *fixture) handle(ctx context.Context, t *testing.T, records ...events.SQSMessage) (done []bool) {
	t.Helper()
	f.receiving.Lock()
	for i := range records {
		r := &records[i]
		f.sqs.Send("DocumentQueue", r.Body, 0)
		received := f.sqs.Receive(1)[0]
		r.MessageId, r.ReceiptHandle, f.receipts[r.Body] = received.ID, received.Receipt, received.Receipt
	}
	f.receiving.Unlock()
	resp, err := f.Handle(ctx, events.SQSEvent{Records: records})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		f.sqs.Delete(r.ReceiptHandle)
		done = append(done, !slices.Contains(resp.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: r.MessageId}))
	}
	return done
}

// delay returns how long a message has to wait.
func (f *fixture) delay(m event.Message) time.Duration {
	return f.queue.delays[f.receipts[m.Encode()]]
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

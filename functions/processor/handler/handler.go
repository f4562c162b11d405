// Package handler processes what the queue brings: it looks at the row, retrieves
// the document, stores it, or decides when to try again.
package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// Parts of the function's time-out that are kept free, each cut to a quarter of
// what is left where the time-out is short.
const (
	answerReserve = time.Second      // to hand back the batch
	storeReserve  = 12 * time.Second // to keep what was retrieved, or to write why there is nothing
)

// callTimeout bounds one call to the table or a queue with its repetitions by the
// SDK. While one of them hangs, there is time left for the other.
const callTimeout = 5 * time.Second

// Secrets hands out the credentials of the Veryfi profile.
type Secrets interface {
	// Get returns what is known.
	Get(context.Context) (*secret.Secret, error)
	// Reload reads it again, but not at the pace of whoever asks.
	Reload(context.Context) (*secret.Secret, error)
}

// Veryfi has the documents.
type Veryfi interface {
	// Get retrieves a document with one request, within the limit of requests a
	// second.
	Get(context.Context, secret.Credentials, veryfi.Resource, int64) ([]byte, error)
}

// Table keeps the rows.
type Table interface {
	// Get returns what a decision about a row needs to know.
	Get(ctx context.Context, id string) (store.State, error)
	// GetAll does so for several rows in one call. It may leave some of them out.
	GetAll(ctx context.Context, ids []string) (map[string]store.State, error)
	// Put writes a row over what was seen of it, or returns [store.ErrSuperseded].
	Put(ctx context.Context, row store.Row, seen store.State) error
}

// Queue is where the messages come from.
type Queue interface {
	// Send returns nil only after every message is in the queue.
	Send(ctx context.Context, bodies ...string) error
	// Delay keeps a message from coming again for a time.
	Delay(ctx context.Context, receiptHandle string, d time.Duration) error
}

// DeadLetters takes copies of messages that are given up.
type DeadLetters interface {
	Send(ctx context.Context, bodies ...string) error
}

// A Handler processes batches of messages.
type Handler struct {
	Secrets         Secrets
	Veryfi          Veryfi
	Table           Table
	Queue           Queue
	DeadLetters     DeadLetters
	MaxReceiveCount int           // the queue's: after so many tries SQS gives a message up
	Retention       time.Duration // how long the table keeps a document, 0 for ever
	Metrics         metrics.Recorder
	Now             func() time.Time
	Random          func() float64 // from 0 to below 1
	Log             *slog.Logger
}

// Handle processes the records of a batch side by side, and reports those that
// are not done. It answers before the function's time-out, whatever they do.
func (h *Handler) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	late, cancel := h.reserve(ctx, answerReserve/2)
	defer cancel()
	ctx, cancel = h.reserve(ctx, answerReserve)
	defer cancel()

	ends := make(chan end, len(batch.Records))
	go h.records(ctx, batch.Records, ends)
	done := make([]bool, len(batch.Records))
	for left := len(batch.Records); left > 0 && late.Err() == nil; {
		select {
		case e := <-ends:
			done[e.record] = e.done
			left--
		case <-late.Done():
			h.Log.ErrorContext(ctx, "records did not end in time, they will be tried again", slog.Int("records", left))
		}
	}
	failures := []events.SQSBatchItemFailure{}
	for i, record := range batch.Records {
		if !done[i] {
			failures = append(failures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return events.SQSEventResponse{BatchItemFailures: failures}, nil
}

// An end says of a record, by its number, whether its message is done.
type end struct {
	record int
	done   bool
}

// records processes records side by side; then, one after another and in any
// order, those during whose earlier tries the function has died more than once.
// The one that it dies of so takes no other with it time after time.
func (h *Handler) records(ctx context.Context, records []events.SQSMessage, ends chan<- end) {
	tries := make([]*try, len(records))
	for i, record := range records {
		tries[i] = h.newTry(record)
	}
	h.lookTogether(ctx, tries)
	postponed := make([]bool, len(tries))
	var together sync.WaitGroup
	for i, t := range tries {
		together.Go(func() {
			done, err := h.record(ctx, t)
			if postponed[i] = errors.Is(err, errPostponed); !postponed[i] {
				ends <- end{i, done}
			}
		})
	}
	together.Wait()
	for _, i := range h.shuffled(len(tries)) {
		if postponed[i] && ctx.Err() == nil {
			tries[i].alone, tries[i].looked = true, false
			done, _ := h.record(ctx, tries[i])
			ends <- end{i, done}
		}
	}
}

// shuffled returns the numbers from 0 to below n in any order.
func (h *Handler) shuffled(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		j := int(h.Random() * float64(i+1))
		numbers[i], numbers[j] = numbers[j], i
	}
	return numbers
}

// reserve returns a context that ends before ctx, by d or by a quarter of what is
// left.
func (h *Handler) reserve(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(d, deadline.Sub(h.Now())/4)))
}

// brief returns a context for one call.
func (h *Handler) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithTimeout(ctx, min(callTimeout, deadline.Sub(h.Now())/2))
	}
	return context.WithTimeout(ctx, callTimeout)
}

// A try is one delivery of a message.
type try struct {
	message      event.Message
	unreadable   error // why there is no message
	body         string
	receipt      string
	receiveCount int         // this delivery counted in
	queued       time.Time   // when the message came into the queue, the last time it was redriven
	seen         store.State // what is known of the row
	looked       bool        // seen is what the row is now
	alone        bool        // no other record is processed beside it
	counted      []metrics.Value
	log          *slog.Logger
}

// count adds to what the try's last log line counts.
func (t *try) count(values ...metrics.Value) { t.counted = append(t.counted, values...) }

func (h *Handler) newTry(r events.SQSMessage) *try {
	t := &try{body: r.Body, receipt: r.ReceiptHandle, receiveCount: receiveCount(r)}
	t.message, t.unreadable = event.DecodeMessage(r.Body)
	t.queued = queuedAt(r, t.message)
	t.log = h.Log.With(
		slog.String("request_id", t.message.RequestID),
		slog.String("document_id", t.key()),
		slog.String("message_id", r.MessageId),
		slog.Int("receive_count", t.receiveCount),
	)
	return t
}

// record processes one record and settles what has become of it. It reports
// whether the message is done and can be deleted. The only error is
// [errPostponed].
func (h *Handler) record(ctx context.Context, t *try) (done bool, err error) {
	if err = t.unreadable; err == nil {
		err = h.process(ctx, t)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errPostponed):
		return false, err
	default:
		return h.settle(ctx, t, err), nil
	}
}

func receiveCount(r events.SQSMessage) int {
	n, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return n
}

// queuedAt returns when a message came into the queue. That is when its webhook came,
// but for one that was redriven.
func queuedAt(r events.SQSMessage, m event.Message) time.Time {
	milliseconds, err := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return m.ReceivedAt
	}
	return time.UnixMilli(milliseconds)
}

// key returns the key of the row, or nothing when the message does not tell.
func (t *try) key() string {
	if t.message.Task() == event.KeepData && t.message.Data == "" {
		return ""
	}
	return t.message.Key()
}

// errPanic hides what a panic says: it may hold a part of the document.
var errPanic = errors.New("the function failed on this record")

// process is the way of a message: look at the row, retrieve the document unless
// it is there, keep it. A panic is an error of this record only.
func (h *Handler) process(ctx context.Context, t *try) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.log.ErrorContext(ctx, "panic", slog.String("type", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			err = errPanic
		}
	}()
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	if err := h.look(working, t); err != nil {
		return err
	}
	if t.settledBy(t.seen) {
		h.nothingToDo(ctx, t)
		return nil
	}
	row := t.row()
	switch t.message.Task() {
	case event.KeepData:
		row.Status, row.Data = store.Unsupported, string(t.message.Data)
		row.Error = unsupportedError(t.message)
		err = h.store(ctx, t, row)
	case event.RecordFailure:
		row.Status, row.Error = store.Failed, failedError(t.message)
		err = h.store(ctx, t, row)
	case event.RetrieveDocument, event.RetrieveBankStatement:
		row.Status = store.Processed
		row.Document, row.RetrievedAt, err = h.document(veryfi.WithObserver(working, t.observe), t)
		if veryfi.ClassOf(err) == veryfi.NotFound && t.isKept() {
			t.log.InfoContext(ctx, "nothing to do, Veryfi has the document no more, and it is kept", slog.String("row", string(t.seen.Status)), h.Metrics.Of(t.counted...))
			return nil
		}
		if err == nil {
			err = h.keep(ctx, t, row)
		}
	}
	return err
}

func (h *Handler) nothingToDo(ctx context.Context, t *try) {
	t.log.InfoContext(ctx, "nothing to do, the document is stored", h.Metrics.Of(t.counted...))
}

// lookTogether reads the rows of a batch in one call, which takes a fraction of the
// time of many. Where it fails, each record looks for itself.
func (h *Handler) lookTogether(ctx context.Context, tries []*try) {
	var ids []string
	for _, t := range tries {
		if id := t.key(); t.unreadable == nil && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) < 2 {
		return
	}
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	brief, cancel := h.brief(working)
	defer cancel()
	states, err := h.Table.GetAll(brief, ids)
	if err != nil {
		h.Log.WarnContext(ctx, "the rows could not be read together, they are read one by one", slog.String("error", err.Error()))
		return
	}
	for _, t := range tries {
		t.seen, t.looked = states[t.key()]
	}
}

// look reads what the table knows of the document, unless it was read just now.
func (h *Handler) look(ctx context.Context, t *try) (err error) {
	brief, cancel := h.brief(ctx)
	defer cancel()
	if !t.looked {
		if t.seen, err = h.Table.Get(brief, t.key()); err != nil {
			return err
		}
	}
	if signed := t.message.SignedKey(); signed != "" {
		// Perhaps somebody sends a caught webhook under another name.
		row, err := h.Table.Get(brief, signed)
		if err != nil {
			return err
		}
		if t.settledBy(row) {
			t.seen = row
		}
	}
	return h.mark(ctx, t)
}

// settledBy reports whether the row in the table leaves nothing to do: a stored
// document is replaced by nothing but the document of a later notification.
func (t *try) settledBy(row store.State) bool {
	if row.Status != store.Processed {
		return false
	}
	if t.message.Task() == event.RecordFailure {
		return true
	}
	now, ok := event.CreatedTime(t.message.Created)
	before, okBefore := event.CreatedTime(row.Created)
	return !ok || !okBefore || !now.After(before)
}

// document returns the document and when it was retrieved: out of the message,
// when an earlier try has put it there, or from Veryfi.
func (h *Handler) document(ctx context.Context, t *try) (d *document.Document, retrievedAt time.Time, err error) {
	m := t.message
	if len(m.Document) > 0 {
		if d, err = document.ReadGzip(m.Document, m.ID); err != nil {
			err = fmt.Errorf("%w: %w", event.ErrMalformed, err)
		}
		return d, m.RetrievedAt, err
	}
	if d, err = h.retrieve(ctx, m); err == nil {
		t.count(metrics.Retrieved.One())
	}
	return d, h.Now(), err
}

// observe counts an answer of Veryfi.
func (t *try) observe(status int, took time.Duration) {
	t.count(metrics.OfStatus(status).One(), metrics.VeryfiLatency.Took(took))
}

// retrieve gets the document from Veryfi. Credentials that are refused may have
// been replaced: then the new ones are tried at once.
func (h *Handler) retrieve(ctx context.Context, m event.Message) (*document.Document, error) {
	resource := veryfi.Documents
	if m.Task() == event.RetrieveBankStatement {
		resource = veryfi.BankStatements
	}
	known, err := h.credentials(ctx, h.Secrets.Get)
	if err != nil {
		return nil, err
	}
	json, err := h.Veryfi.Get(ctx, known, resource, m.ID)
	if veryfi.ClassOf(err) == veryfi.CredentialsRefused {
		if fresh, reloadErr := h.credentials(ctx, h.Secrets.Reload); reloadErr == nil && fresh != known {
			json, err = h.Veryfi.Get(ctx, fresh, resource, m.ID)
		}
	}
	if err != nil {
		return nil, err
	}
	return document.Read(json, m.ID)
}

func (h *Handler) credentials(ctx context.Context, secrets func(context.Context) (*secret.Secret, error)) (secret.Credentials, error) {
	known, err := secrets(ctx)
	if err != nil {
		return secret.Credentials{}, fmt.Errorf("%w: %w", errNoSecret, err)
	}
	if err := known.Retrieves(); err != nil {
		return secret.Credentials{}, err
	}
	return known.Credentials, nil
}

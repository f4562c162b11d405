// Package handler processes what the queue brings: it looks at the row, retrieves
// the document, stores it, or decides when to try again.
package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// Parts of the function's time-out that are kept free, each cut to a quarter of
// what is left where the time-out is short.
const (
	answerReserve = time.Second     // to hand back the batch
	storeReserve  = 4 * time.Second // to store what was retrieved, or to write why it was not
)

// storePause is the time between two tries to store a document.
const storePause = 200 * time.Millisecond

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
	// Put writes a row over what was seen of it, or returns [store.ErrSuperseded].
	Put(ctx context.Context, row store.Row, seen store.State) error
}

// Queue is where the messages come from.
type Queue interface {
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
	MaxReceiveCount int // the queue's: after so many tries SQS gives a message up
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

	ends := make(chan int, len(batch.Records)) // the numbers of records that end
	done := make([]bool, len(batch.Records))   // each written before its end is sent
	for i, record := range batch.Records {
		go func() {
			done[i] = h.record(ctx, record)
			ends <- i
		}()
	}
	finished := make(map[int]bool, len(batch.Records))
	for len(finished) < len(batch.Records) && late.Err() == nil {
		select {
		case i := <-ends:
			finished[i] = done[i]
		case <-late.Done():
			h.Log.ErrorContext(ctx, "records did not end in time, they will be tried again", slog.Int("records", len(batch.Records)-len(finished)))
		}
	}
	failures := []events.SQSBatchItemFailure{}
	for i, record := range batch.Records {
		if !finished[i] {
			failures = append(failures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return events.SQSEventResponse{BatchItemFailures: failures}, nil
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

// A try is one delivery of a message.
type try struct {
	message      event.Message
	body         string
	receipt      string
	receiveCount int         // this delivery counted in
	seen         store.State // what is known of the row
	log          *slog.Logger
}

// record processes one record and settles what has become of it. It reports
// whether the message is done and can be deleted.
func (h *Handler) record(ctx context.Context, r events.SQSMessage) (done bool) {
	t := &try{body: r.Body, receipt: r.ReceiptHandle, receiveCount: receiveCount(r)}
	var err error
	t.message, err = event.DecodeMessage(r.Body)
	t.log = h.Log.With(
		slog.String("request_id", t.message.RequestID),
		slog.String("document_id", t.key()),
		slog.String("message_id", r.MessageId),
		slog.Int("receive_count", t.receiveCount),
	)
	if err == nil {
		err = h.process(ctx, t)
	}
	if err == nil {
		return true
	}
	return h.settle(ctx, t, err)
}

func receiveCount(r events.SQSMessage) int {
	n, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return n
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
// it is there, store it. A panic is an error of this record only.
func (h *Handler) process(ctx context.Context, t *try) (err error) {
	defer func() {
		if p := recover(); p != nil {
			t.log.ErrorContext(ctx, "panic", slog.String("type", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			err = errPanic
		}
	}()
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	if t.seen, err = h.Table.Get(working, t.key()); err != nil {
		return err
	}
	if t.settledBy(t.seen) {
		t.log.InfoContext(ctx, "nothing to do, the document is stored")
		return nil
	}
	row := t.row()
	switch t.message.Task() {
	case event.KeepData:
		row.Status, row.Data = store.Unsupported, string(t.message.Data)
		row.Error = unsupportedError(t.message)
	case event.RecordFailure:
		row.Status, row.Error = store.Failed, failedError(t.message)
	case event.RetrieveDocument, event.RetrieveBankStatement:
		row.Status = store.Processed
		row.Document, err = h.retrieve(working, t.message)
		row.RetrievedAt = h.Now()
	}
	if err != nil {
		return err
	}
	if err := h.put(ctx, t, row); err != nil {
		return err
	}
	t.log.InfoContext(ctx, "stored", slog.String("status", string(row.Status)), slog.Int("attempts", row.Attempts))
	return nil
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

// put writes a row, or finds that the table holds a document which this row must
// not replace; t.seen then says which. A retrieved document may exist nowhere else
// any more, so the table is tried until time is up.
func (h *Handler) put(ctx context.Context, t *try, row store.Row) error {
	for {
		row.UpdatedAt = h.Now()
		err := h.Table.Put(ctx, row, t.seen)
		superseded := errors.Is(err, store.ErrSuperseded)
		if superseded {
			t.seen, err = h.Table.Get(ctx, t.key())
		}
		switch {
		case superseded && err == nil && (row.Document == nil || t.settledBy(t.seen)):
			return nil
		case superseded && err == nil:
			continue // over the older version, as it is now
		case err == nil, row.Document == nil, errors.Is(err, store.ErrTooLarge):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(storePause):
		}
	}
}

package retrieve

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// A delivery is one delivery of a message.
type delivery struct {
	number     int // of the record in its batch
	message    event.Message
	unreadable error // why there is no message
	key        string
	body       string
	receipt    string
	receives   int       // this delivery counted in
	queued     time.Time // when the message came into the queue, the last time it was redriven
	// firstReceived is when it came out of the queue for the first time since then, zero
	// when SQS does not tell.
	firstReceived time.Time
	log           *slog.Logger
}

func (h *Handler) delivery(ctx context.Context, number int, r events.SQSMessage) delivery {
	d := delivery{number: number, body: r.Body, receipt: r.ReceiptHandle, receives: receiveCount(r)}
	d.unreadable = guarded(ctx, h.Log, func() (err error) {
		d.message, err = event.DecodeMessage(r.Body)
		d.key = keyOf(d.message)
		return err
	})
	d.queued, d.firstReceived = timeOf(r, "SentTimestamp"), timeOf(r, "ApproximateFirstReceiveTimestamp")
	if d.queued.IsZero() {
		d.queued = d.message.ReceivedAt
	}
	d.log = h.Log.With(
		slog.String("request_id", d.message.RequestID),
		slog.String("document_id", d.key),
		slog.String("message_id", r.MessageId),
		slog.Int("receive_count", d.receives),
	)
	return d
}

func receiveCount(r events.SQSMessage) int {
	n, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return n
}

// timeOf returns an attribute that is a time, zero when it is not there.
func timeOf(r events.SQSMessage, attribute string) time.Time {
	milliseconds, err := strconv.ParseInt(r.Attributes[attribute], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// keyOf returns the key of the row, or nothing when the message does not tell.
func keyOf(m event.Message) string {
	if m.Task() == event.KeepData && m.Data == "" {
		return ""
	}
	return m.Key()
}

// hasDocument reports whether the message has its document with it.
func (d delivery) hasDocument() bool { return len(d.message.Document) > 0 }

func (d delivery) retrieves() bool {
	task := d.message.Task()
	return task == event.RetrieveDocument || task == event.RetrieveBankStatement
}

// nothingToDo says why the rows leave nothing to do for a message, or nothing.
//
// A stored document is replaced by nothing but the document of a later notification.
// What Veryfi is known not to give is asked for again by a redrive of the message that
// has found that out, by a later notification, and by the reconciler; and where the
// reconciler has found it out, by anybody: it may have come too early. A message that
// hasDocument its document is done only when one is stored: nobody else may have it.
func (d delivery) nothingToDo(seen view) string {
	m, row := d.message, seen.own
	isLater, isReconciled := m.IsLater(row.Created), m.Event == event.Reconciled
	isNews := isLater && d.retrieves()
	switch {
	case d.unreadable != nil:
		return ""
	case row.Status == store.Processed && !isNews:
		return "the document is stored"
	case d.hasDocument():
		return ""
	case row.Status == store.Unsupported && m.Task() == event.KeepData &&
		(slices.Contains(row.Events, m.Event) || len(row.Events) >= store.MaxEvents):
		return "the event is kept"
	case row.Status == store.Retrying && row.Class == failure.Rescued && !isNews && !isReconciled:
		return "the document is in the queue"
	case isUnretrievable(row) && !isLater && !isReconciled && row.Event != event.Reconciled && row.RequestID != m.RequestID:
		return "Veryfi does not give the document"
	case row.Status != store.Retrying && d.isSwapped(seen) && !d.hasGivenUp(row):
		return "the document is stored under the key of another kind"
	}
	return ""
}

// isUnretrievable reports whether the row says that another request will get nothing else.
func isUnretrievable(row store.State) bool {
	isFinal := row.NotFound >= notFoundTries || row.Class == failure.Refused || row.Class == failure.TooLarge
	return row.Status == store.Error && isFinal
}

// isSwapped reports whether the message seems to be a caught call under another
// event's name: what was signed is stored, just as it was created then.
func (d delivery) isSwapped(seen view) bool {
	return !d.hasDocument() && seen.signed.Status == store.Processed && d.message.IsOf(seen.signed.Created)
}

// hasGivenUp reports whether the row says that this very message was given up: it is
// still there, so its dead letter could not be sent. One that was redriven is newer.
func (d delivery) hasGivenUp(row store.State) bool {
	return row.Status == store.Error && row.RequestID == d.message.RequestID && d.queued.Before(row.UpdatedAt())
}

// row returns what every row of a message has that is written over another one.
func (d delivery) row(over store.State) store.Row {
	m := d.message
	row := store.Row{
		ID:         d.key,
		Event:      m.Event,
		Created:    m.Created,
		ParentID:   m.ParentID,
		ReceivedAt: m.ReceivedAt,
		// The row counts on when a message comes back from the dead-letter queue, whose
		// receive count begins anew; the message knows where there is no row.
		Attempts:  max(over.Attempts+1, m.Attempts+d.receives),
		RequestID: m.RequestID,
	}
	if over.Status != store.Error || d.hasGivenUp(over) { // otherwise it begins anew
		row.NotFound = over.NotFound
	}
	return row
}

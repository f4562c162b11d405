package retrieve

import (
	"cmp"
	"context"
	"errors"
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
	receives   int       // with this delivery
	queued     time.Time // when the message was sent to the queue, or redriven
	// firstReceived is when it was first received since then, zero when SQS does not say.
	firstReceived time.Time
	log           *slog.Logger
}

func (h *Handler) delivery(ctx context.Context, number int, r events.SQSMessage) delivery {
	d := delivery{number: number, body: r.Body, receipt: r.ReceiptHandle, receives: receiveCount(r)}
	d.unreadable = guarded(ctx, h.Log, func() (err error) {
		if d.message, err = event.DecodeMessage(r.Body); err == nil {
			err = h.Kinds.Check(d.message)
		}
		d.key = h.keyOf(d.message, err)
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

// isMovedBack reports whether the message is not fresh from its webhook, which has nine
// seconds to send it: somebody has moved it back from the dead letters, or the reconciler
// has taken it up.
func (d delivery) isMovedBack() bool { return d.queued.Sub(d.message.ReceivedAt) > time.Minute }

func receiveCount(r events.SQSMessage) int {
	n, err := strconv.Atoi(r.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 1
	}
	return n
}

// timeOf returns a time among the attributes, or zero.
func timeOf(r events.SQSMessage, attribute string) time.Time {
	milliseconds, err := strconv.ParseInt(r.Attributes[attribute], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// keyOf returns the key of the row, or "" when the message does not have it. A kind that is
// not known here has a key like any other.
func (h *Handler) keyOf(m event.Message, err error) string {
	_, isKnown := h.Kinds.Of(m.Event)
	switch {
	case m.Task() == event.KeepData && m.Data == "":
		return ""
	case m.Task() != event.KeepData && !isKnown && !errors.Is(err, event.ErrUnknownKind):
		return ""
	default:
		return m.Key()
	}
}

// hasDocument reports whether the message carries its document.
func (d delivery) hasDocument() bool { return len(d.message.Document) > 0 }

func (d delivery) retrieves() bool { return d.message.Task() == event.Retrieve }

// nothingToDo says why the rows leave nothing to do for a message; "" if they do not.
//
// Only the document of a later notification replaces a stored one, or one that was asked
// for again. A document that Veryfi
// does not give is asked for again by a redrive of the message that found that out, by a
// later notification, and by the reconciler; by anybody if the reconciler found it out: it
// may have come too early. A message that carries its document is done only when a document
// is stored: nobody else may have it.
func (d delivery) nothingToDo(seen view) string {
	m, row := d.message, seen.own
	isLater, isReconciled, asksAgain := m.IsLater(row.Created), m.IsReconciled(), d.asksAgain(row)
	isNews := isLater && d.retrieves()
	switch {
	case d.unreadable != nil:
		return ""
	case row.Status == store.Processed && !isNews && !asksAgain,
		row.Status == store.Processed && asksAgain && d.hasDocument() && !isNewer(m.RetrievedAt, row):
		return "the document is stored"
	case d.hasDocument():
		return ""
	case row.Status == store.Unsupported && m.Task() == event.KeepData &&
		(slices.Contains(row.Events, m.Event) || len(row.Events) >= store.MaxEvents):
		return "the event is kept"
	case row.Status == store.Retrying && row.Class == failure.Rescued && !isNews && !isReconciled && !asksAgain:
		return "the document is in the queue"
	case isUnretrievable(row) && !isLater && !isReconciled && !event.IsReconciled(row.Event) && row.RequestID != m.RequestID:
		return "Veryfi does not give the document"
	case row.Status != store.Retrying && d.isSwapped(seen) && !d.hasGivenUp(row):
		return "the document is stored under the key of another kind"
	}
	return ""
}

// isUnretrievable reports whether the row says that another request would fail, too.
func isUnretrievable(row store.State) bool {
	isFinal := row.NotFound >= notFoundTries || row.Class == failure.Refused || row.Class == failure.TooLarge
	return row.Status == store.Error && isFinal
}

// isKept reports whether the document is stored, or waits in the queue.
func isKept(row store.State) bool {
	return row.Status == store.Processed || row.Status == store.Retrying && row.Class == failure.Rescued
}

// isSwapped reports whether the message seems to be a caught call sent under another
// event's name: a document of another kind with the same number and the same time of
// creation is stored.
func (d delivery) isSwapped(seen view) bool {
	isOf := func(other store.State) bool { return other.Status == store.Processed && d.message.IsOf(other.Created) }
	return !d.hasDocument() && !d.message.IsReconciled() && slices.ContainsFunc(seen.others, isOf)
}

// hasGivenUp reports whether the row says that this message was given up: since it is still
// in the queue, its dead letter could not be sent. A redriven one is newer than the row.
func (d delivery) hasGivenUp(row store.State) bool {
	return row.Status == store.Error && row.RequestID == d.message.RequestID && d.queued.Before(row.UpdatedAt())
}

// row returns what every row of a message has, when it replaces another row.
func (d delivery) row(over store.State) store.Row {
	m := d.message
	row := store.Row{
		ID:         d.key,
		Event:      m.Event,
		Created:    m.CreatedOr(over.Created),
		ParentID:   cmp.Or(m.ParentID, over.ParentID),
		ReceivedAt: m.ReceivedAt,
		// A redriven message's receive count begins anew, the row's does not. Without a
		// row the message knows.
		Attempts:    max(over.Attempts+1, m.Attempts+d.receives),
		RequestID:   m.RequestID,
		Enrichments: over.Enrichments,
	}
	if over.Status != store.Error || d.hasGivenUp(over) { // otherwise the count begins anew
		row.NotFound = over.NotFound
	}
	return row
}

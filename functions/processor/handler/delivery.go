package handler

import (
	"cmp"
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

// A delivery is one delivery of a message. It does not change.
type delivery struct {
	number     int // of the record in its batch
	message    event.Message
	unreadable error // why there is no message
	key        string
	body       string
	receipt    string
	receives   int       // this delivery counted in
	queued     time.Time // when the message came into the queue, the last time it was redriven
	log        *slog.Logger
}

func (h *Handler) delivery(ctx context.Context, number int, r events.SQSMessage) delivery {
	d := delivery{number: number, body: r.Body, receipt: r.ReceiptHandle, receives: receiveCount(r)}
	d.unreadable = guarded(ctx, h.Log, func() (err error) {
		d.message, err = event.DecodeMessage(r.Body)
		d.key = keyOf(d.message)
		return err
	})
	d.queued = queuedAt(r, d.message)
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

// queuedAt returns when a message came into the queue. That is when its webhook came,
// but for one that was redriven.
func queuedAt(r events.SQSMessage, m event.Message) time.Time {
	milliseconds, err := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return m.ReceivedAt
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

// A piece of work are the deliveries of a batch that are about one row.
type piece []delivery

// rows returns the keys of the rows that the piece depends on, its own one first.
func (p piece) rows() (keys []string) {
	for _, key := range []string{p[0].key, p[0].message.SignedKey()} {
		if key != "" && p[0].unreadable == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// byRow puts the deliveries about one row together, and in order: first what brings
// its document along, then what asks for the latest, failures last. So what follows
// the first one asks for nothing more than it did.
func byRow(deliveries []delivery) (pieces []piece) {
	places := map[[2]string]int{}
	for _, d := range deliveries {
		// Copies have both keys in common; a swapped name has a piece of its own.
		place := [2]string{d.key, d.message.SignedKey()}
		i, known := places[place]
		if !known || d.key == "" || d.unreadable != nil {
			i = len(pieces)
			pieces = append(pieces, nil)
			if d.unreadable == nil {
				places[place] = i
			}
		}
		pieces[i] = append(pieces[i], d)
	}
	for _, p := range pieces {
		slices.SortStableFunc(p, func(a, b delivery) int {
			return cmp.Or(b.urgency()-a.urgency(), later(b, a))
		})
	}
	return pieces
}

func (d delivery) urgency() int {
	switch {
	case len(d.message.Document) > 0:
		return 2
	case d.retrieves():
		return 1
	default:
		return 0
	}
}

func later(a, b delivery) int {
	switch {
	case a.message.IsLater(b.message.Created):
		return 1
	case b.message.IsLater(a.message.Created):
		return -1
	default:
		return 0
	}
}

func (d delivery) retrieves() bool {
	task := d.message.Task()
	return task == event.RetrieveDocument || task == event.RetrieveBankStatement
}

// A fate is what has become of a message, and of its row.
type fate struct {
	done   bool
	again  time.Duration // until it comes again, if it is not done
	row    store.State
	failed bool // why does not matter to another message about the document
}

// shares reports whether a delivery has the fate of the first one of its piece,
// because it asks for the same.
func (d delivery) shares(first delivery, of fate) bool {
	asksForTheSame := d.retrieves() && len(d.message.Document) == 0 && !d.message.IsLater(first.message.Created)
	return of.failed && asksForTheSame && (!of.done || len(first.message.Document) == 0)
}

// share ends a delivery as the one before it has ended.
func (h *Handler) share(ctx context.Context, d delivery, f fate) fate {
	if f.done {
		d.log.InfoContext(ctx, "nothing to do, another message about the document was given up just now")
		return f
	}
	d.log.InfoContext(ctx, "not asked for, another message about the document has failed just now")
	h.delay(ctx, d, f.again)
	return f
}

// nothingToDo says why the rows leave nothing to do for a message, or nothing.
//
// A stored document is replaced by nothing but the document of a later notification.
// A document that a message brings along is stored over all else: nobody else may have
// it any more.
// What Veryfi is known not to have is asked for again by a redrive of the message
// that has found that out, by a later notification, and by the reconciler.
func (d delivery) nothingToDo(rows rows) string {
	m, row := d.message, rows.own
	isLater, isReconciled := m.IsLater(row.Created), m.Event == event.Reconciled
	isNews := isLater && d.retrieves()
	switch {
	case row.Status == store.Processed && !isNews:
		return "the document is stored"
	case len(m.Document) > 0:
		return ""
	case row.Status == store.Unsupported && m.Task() == event.KeepData &&
		(slices.Contains(row.Events, m.Event) || len(row.Events) >= store.MaxEvents):
		return "the event is kept"
	case row.Status == store.Retrying && row.Class == failure.Rescued && !isNews && !isReconciled:
		return "the document is in the queue"
	case row.Status == store.Error && row.Class == failure.NotFound && !isLater && !isReconciled && row.RequestID != m.RequestID:
		return "Veryfi does not have the document"
	case row.Status != store.Retrying && d.isSwapped(rows):
		return "the document is stored under the key of another kind"
	}
	return ""
}

// isSwapped reports whether the message seems to be a caught call under another
// event's name: what was signed is stored, just as it was created then.
func (d delivery) isSwapped(rows rows) bool {
	return len(d.message.Document) == 0 && rows.signed.Status == store.Processed && d.message.IsOf(rows.signed.Created)
}

// isUntraced reports whether the row knows nothing of the try before this one.
func (d delivery) isUntraced(row store.State) bool {
	return d.receives > 1 && row.Attempts < d.message.Attempts+d.receives-1
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
	// What was given up begins anew, but for the message that has given it up just now and
	// is still there: its dead letter could not be sent.
	if over.Status != store.Error || over.RequestID == m.RequestID && d.queued.Before(over.UpdatedAt()) {
		row.NotFound = over.NotFound
	}
	return row
}

package retrieve

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
	case d.brings():
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

// brings reports whether the message has its document with it.
func (d delivery) brings() bool { return len(d.message.Document) > 0 }

func (d delivery) retrieves() bool {
	task := d.message.Task()
	return task == event.RetrieveDocument || task == event.RetrieveBankStatement
}

// A fate is what has become of a message, and of its row.
type fate struct {
	done  bool
	again time.Duration // until it comes again, if it is not done
	row   store.State
	// meets is set when the try has failed for a reason that another message about the
	// document would meet, too.
	meets bool
}

// shares reports whether a delivery has the fate of the first one of its piece,
// because it asks for the same.
func (d delivery) shares(first delivery, of fate) bool {
	asksForTheSame := d.retrieves() && !d.brings() && !d.message.IsLater(first.message.Created)
	return of.meets && asksForTheSame && (!of.done || !first.brings())
}

// share ends a delivery as the one before it has ended.
func (h *Handler) share(ctx context.Context, d delivery, f fate) {
	if f.done {
		d.log.InfoContext(ctx, "nothing to do, another message about the document was given up just now")
		return
	}
	d.log.InfoContext(ctx, "not asked for, another message about the document has failed just now")
	_ = guarded(ctx, d.log, func() error {
		h.delay(ctx, d, f.again)
		return nil
	}) // it is not done either way
}

// nothingToDo says why the rows leave nothing to do for a message, or nothing.
//
// A stored document is replaced by nothing but the document of a later notification.
// What Veryfi is known not to give is asked for again by a redrive of the message that
// has found that out, by a later notification, and by the reconciler; and where the
// reconciler has found it out, by anybody: it may have come too early. A message that
// brings its document is done only when one is stored: nobody else may have it.
func (d delivery) nothingToDo(seen view) string {
	m, row := d.message, seen.own
	isLater, isReconciled := m.IsLater(row.Created), m.Event == event.Reconciled
	isNews := isLater && d.retrieves()
	switch {
	case d.unreadable != nil:
		return ""
	case row.Status == store.Processed && !isNews:
		return "the document is stored"
	case d.brings():
		return ""
	case row.Status == store.Unsupported && m.Task() == event.KeepData &&
		(slices.Contains(row.Events, m.Event) || len(row.Events) >= store.MaxEvents):
		return "the event is kept"
	case row.Status == store.Retrying && row.Class == failure.Rescued && !isNews && !isReconciled:
		return "the document is in the queue"
	case isHopeless(row) && !isLater && !isReconciled && row.Event != event.Reconciled && row.RequestID != m.RequestID:
		return "Veryfi does not give the document"
	case row.Status != store.Retrying && d.isSwapped(seen) && !d.hasGivenUp(row):
		return "the document is stored under the key of another kind"
	}
	return ""
}

// isHopeless reports whether the row says that another request will get nothing else.
func isHopeless(row store.State) bool {
	isFinal := row.NotFound >= notFoundTries || row.Class == failure.Refused || row.Class == failure.TooLarge
	return row.Status == store.Error && isFinal
}

// isSwapped reports whether the message seems to be a caught call under another
// event's name: what was signed is stored, just as it was created then.
func (d delivery) isSwapped(seen view) bool {
	return !d.brings() && seen.signed.Status == store.Processed && d.message.IsOf(seen.signed.Created)
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

// Package retrieve processes the messages of the queue: it looks at the row, retrieves the
// document, stores it, or decides when to try again.
//
// Read [Handler.process] first, the way of one message. Its steps have a file each:
// interrupted.go (did the function die on an earlier try?), find.go (what should the row
// say?), enrich.go (may Veryfi be asked for a stored document again?), keep.go (store that)
// and fail.go (what does an error mean?). Before it comes batch.go, which divides a batch and reads the rows. All use delivery.go (a message, and
// what its row means for it), write.go (the only way into the table) and bounds.go (time
// and panics).
package retrieve

import (
	"context"
	"log/slog"
	"time"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// Veryfi has the documents.
type Veryfi interface {
	// Get retrieves a document, within the limit of requests a second. The answers are
	// those to the requests that it took.
	Get(context.Context, veryfi.Resource, int64) ([]byte, []veryfi.Answer, error)
}

// Table keeps the rows.
type Table interface {
	// Get returns the state of a row.
	Get(ctx context.Context, id string) (store.State, error)
	// GetAll does so for several rows in one call. It may leave some of them out.
	GetAll(ctx context.Context, ids []string) (map[string]store.State, error)
	// Put writes a row over what was seen of it, or returns [store.ErrSuperseded].
	Put(ctx context.Context, row store.Row, seen store.State) error
	// NoteEnrichment notes requests for a stored document in its row, as Put does.
	NoteEnrichment(ctx context.Context, id string, seen store.State, requests []time.Time, now time.Time) (store.State, error)
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
	Kinds       event.Kinds
	Veryfi      Veryfi
	Table       Table
	Queue       Queue
	DeadLetters DeadLetters
	// A message is given up when it was received MaxTries times and is as old as
	// GiveUpAfter, or when it is eight days old.
	MaxTries    int
	GiveUpAfter time.Duration
	Retention   time.Duration // how long the table keeps a document, 0 forever
	Metrics     metrics.Recorder
	Now         func() time.Time
	Random      func() float64 // from 0 to below 1
	Log         *slog.Logger
}

// process is the way of one message: note in the row if an earlier try died, find out what
// the row should say, and store that; or else decide what the error means. err is that of
// reading the rows. A panic is an error of this message only.
func (h *Handler) process(ctx context.Context, d delivery, seen view, err error) outcome {
	var found finding
	if err == nil {
		err = guarded(ctx, d.log, func() (err error) {
			if seen.own, err = h.markInterrupted(ctx, d, seen); err == nil {
				found, err = h.find(ctx, d, &seen)
			}
			return err
		})
	}
	o := outcome{row: seen.own}
	if guarded(ctx, d.log, func() error {
		if err == nil {
			o, err = h.keep(ctx, d, seen.own, found)
		}
		if err != nil {
			o = h.fail(ctx, d, o.row, err, found.values)
		}
		return nil
	}) != nil {
		d.log.ErrorContext(ctx, "not stored, the message comes again after the queue's visibility timeout")
	}
	return o
}

// An outcome is what became of a message, and of its row.
type outcome struct {
	done  bool
	again time.Duration // until it comes again, if it is not done
	row   store.State
	// forAll is true when any other message about the document would fail in the same way.
	forAll bool
}

// A view is what the table had when it was read: the row that a message is about, and the
// rows that it would be about under other names, which are not signed.
type view struct {
	own    store.State
	others []store.State
}

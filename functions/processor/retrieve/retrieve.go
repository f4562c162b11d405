// Package retrieve processes the messages of the queue: it looks at the row, retrieves the
// document, stores it, or decides when to try again.
//
// Read [Handler.process] first, the way of one message, and then the files in its order:
// batch.go (a batch is divided, the rows are read), interrupted.go (the function died on the
// try before), find.go (what the row is to say), keep.go (write that), fail.go (what an error
// means). delivery.go has what a message and its row mean for each other.
package retrieve

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
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

// Veryfi has the documents.
type Veryfi interface {
	// Get retrieves a document, within the limit of requests a second. The answers are
	// those to the requests that it took.
	Get(context.Context, veryfi.Resource, int64) ([]byte, []veryfi.Answer, error)
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
	Veryfi      Veryfi
	Table       Table
	Queue       Queue
	DeadLetters DeadLetters
	// A message is given up when it was received MaxTries times and is as old as
	// GiveUpAfter, or when it is eight days old.
	MaxTries    int
	GiveUpAfter time.Duration
	Retention   time.Duration // how long the table keeps a document, 0 for ever
	Metrics     metrics.Recorder
	Now         func() time.Time
	Random      func() float64 // from 0 to below 1
	Log         *slog.Logger
}

// record is the way of a message: leave a trace if the try before has left none,
// find out what its row is to say, write that, and see to the message. A panic is an
// error of this record only, wherever it comes from. The error is that of the look.
func (h *Handler) process(ctx context.Context, d delivery, seen view, err error) outcome {
	var found finding
	if err == nil {
		err = guarded(ctx, d.log, func() (err error) {
			if seen.own, err = h.markInterrupted(ctx, d, seen); err == nil {
				found, err = h.find(ctx, d, seen)
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
		d.log.ErrorContext(ctx, "not stored, the message comes again after the queue's visibility time-out")
	}
	return o
}

// A outcome is what has become of a message, and of its row.
type outcome struct {
	done  bool
	again time.Duration // until it comes again, if it is not done
	row   store.State
	// forAll is set when the try has failed for a reason that another message about the
	// document would meet, too.
	forAll bool
}

// A view is what is seen of the table: the row that a message is about, and the row
// that the signed data is about where the event's name says otherwise.
type view struct{ own, signed store.State }

// errPanic hides what a panic says: it may hold a part of the document.
var errPanic = failure.Internal.New("the function failed on this record")

// guarded runs f, and returns [errPanic] if it panics.
func guarded(ctx context.Context, log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "panic", slog.String("type", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			err = errPanic
		}
	}()
	return f()
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

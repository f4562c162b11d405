// Package retrieve processes what the queue brings: it looks at the row, retrieves
// the document, stores it, or decides when to try again.
//
// The way of a message is in [Handler.record]: look, find out, write. What a file
// beside this one has: delivery.go a message and what its row means for it, find.go
// what there is to write, keep.go the writing, fail.go what an error means,
// interrupted.go what is done about documents that the function dies of.
package retrieve

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

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

// records processes the records of a batch: those about one row one after another,
// and the rows side by side. Rows during whose earlier tries the function has died
// come last, one at a time and in any order: the one that it dies of takes no other
// with it time after time.
func (h *Handler) records(ctx context.Context, records []events.SQSMessage, ends chan<- end) {
	deliveries := make([]delivery, len(records))
	for i, r := range records {
		deliveries[i] = h.delivery(ctx, i, r)
	}
	pieces := byRow(deliveries)
	states := h.lookTogether(ctx, pieces)
	postponed := make([]bool, len(pieces))
	var together sync.WaitGroup
	for i, p := range pieces {
		together.Go(func() { postponed[i] = h.piece(ctx, p, states, false, ends) })
	}
	together.Wait()
	for _, i := range h.shuffled(len(pieces)) {
		if postponed[i] && ctx.Err() == nil {
			h.piece(ctx, pieces[i], nil, true, ends) // it looks again
		}
	}
}

// piece processes the deliveries about one row, or postpones them until they are alone.
func (h *Handler) piece(ctx context.Context, p piece, states map[string]store.State, alone bool, ends chan<- end) (postponed bool) {
	seen, err := h.look(ctx, p, states)
	if err == nil && !alone && h.mustBeAlone(p[0], seen.own) {
		return true
	}
	var f fate
	for i, d := range p {
		if i > 0 && d.shares(p[0], f) {
			h.share(ctx, d, f)
		} else {
			f = h.record(ctx, d, seen, err)
			seen.own = f.row
		}
		ends <- end{d.number, f.done}
	}
	return false
}

// record is the way of a message: leave a trace if the try before has left none,
// find out what its row is to say, write that, and see to the message. A panic is an
// error of this record only, wherever it comes from. The error is that of the look.
func (h *Handler) record(ctx context.Context, d delivery, seen view, err error) fate {
	var found finding
	if err == nil {
		err = guarded(ctx, d.log, func() (err error) {
			if seen.own, err = h.mark(ctx, d, seen); err == nil {
				found, err = h.find(ctx, d, seen)
			}
			return err
		})
	}
	f := fate{row: seen.own}
	if guarded(ctx, d.log, func() error {
		if err == nil {
			f, err = h.keep(ctx, d, seen.own, found)
		}
		if err != nil {
			f = h.fail(ctx, d, f.row, err, found.values)
		}
		return nil
	}) != nil {
		d.log.ErrorContext(ctx, "not stored, the message comes again after the queue's visibility time-out")
	}
	return f
}

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

// lookTogether reads the rows of a batch in one call, which takes a fraction of the
// time of many. What it leaves out, and all when it fails, is read piece by piece.
func (h *Handler) lookTogether(ctx context.Context, pieces []piece) map[string]store.State {
	var ids []string
	for _, p := range pieces {
		for _, id := range p.rows() {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	states := map[string]store.State{}
	if len(ids) < 2 {
		return states
	}
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	brief, cancel := h.brief(working)
	defer cancel()
	err := guarded(ctx, h.Log, func() error {
		read, err := h.Table.GetAll(brief, ids)
		if err == nil {
			states = read
		}
		return err
	})
	if err != nil {
		h.Log.WarnContext(ctx, "the rows could not be read together, they are read one by one", slog.String("error", err.Error()))
	}
	return states
}

// A view is what is seen of the table: the row that a message is about, and the row
// that the signed data is about where the event's name says otherwise.
type view struct{ own, signed store.State }

// look returns the view of a piece; what is not in states, it reads.
func (h *Handler) look(ctx context.Context, p piece, states map[string]store.State) (seen view, err error) {
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	brief, cancel := h.brief(working)
	defer cancel()
	for i, id := range p.rows() {
		state, known := states[id]
		if !known {
			err = guarded(ctx, h.Log, func() (err error) {
				state, err = h.Table.Get(brief, id)
				return err
			})
			if err != nil {
				return view{}, err
			}
		}
		if i == 0 {
			seen.own = state
		} else {
			seen.signed = state
		}
	}
	return seen, nil
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

package retrieve

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// A death is a function that dies when it retrieves a certain document: from then
// on nothing it does has an effect.
type death struct {
	of   int64
	died atomic.Bool
}

func (d *death) answer(_ context.Context, id int64) ([]byte, error) {
	if id == d.of {
		d.died.Store(true)
	}
	if d.died.Load() {
		return nil, &veryfi.Error{Class: failure.Unavailable}
	}
	time.Sleep(time.Second) // the others of the batch are on their way meanwhile
	return documentJSON(id), nil
}

func (d *death) check(context.Context) error {
	if d.died.Load() {
		return errDown
	}
	return nil
}

// dying returns a handler that dies of a document.
func dying(of int64) (*fixture, *death) {
	f, d := newFixture(), &death{of: of}
	f.Random = rand.Float64
	f.veryfi.answer = d.answer
	f.table.put = func(ctx context.Context, _ store.Row) error { return d.check(ctx) }
	f.queue.send, f.queue.delay = d.check, d.check
	return f, d
}

// deliverDying gives a batch to the function and returns what comes again: all of
// it when the function dies.
func (f *fixture) deliverDying(t *testing.T, d *death, receiveCount int, age time.Duration, batch []event.Message) (again []event.Message) {
	t.Helper()
	d.died.Store(false)
	var records []events.SQSMessage
	for _, m := range batch {
		records = append(records, sent(m.Encode(), receiveCount, age))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := f.handle(ctx, t, records...)
	for i, m := range batch {
		if d.died.Load() || !done[i] {
			again = append(again, m)
		}
	}
	return again
}

// TestDocumentThatKillsTheFunctionTakesNoOtherWithIt has ten messages come back
// together each time.
func TestDocumentThatKillsTheFunctionTakesNoOtherWithIt(t *testing.T) {
	for position := range 10 {
		synctest.Test(t, func(t *testing.T) {
			f, d := dying(int64(position + 1))
			var batch []event.Message
			for id := range int64(10) {
				batch = append(batch, ready(id+1))
			}
			for n := 1; n < maxTries; n++ {
				batch = f.deliverDying(t, d, n, time.Minute, batch)
			}
			for id, row := range f.table.rows {
				if id != ready(d.of).Key() && row.Status != store.Processed {
					t.Errorf("document %d kills, and %s is %s: %s", d.of, id, row.Status, row.Error)
				}
			}
			if row := f.table.rows[ready(d.of).Key()]; row.Status != store.Retrying || !strings.HasPrefix(row.Error, "interrupted: ") {
				t.Errorf("its row is %+v", row)
			}
			// On the last try the row says how it ends, and nobody dies.
			if again := f.deliverDying(t, d, maxTries, time.Minute, batch); d.died.Load() || len(again) != 0 || len(f.sqs.DeadLetters()) != 1 {
				t.Errorf("died %v, %d messages come again, %d dead letters", d.died.Load(), len(again), len(f.sqs.DeadLetters()))
			}
			if row := f.table.rows[ready(d.of).Key()]; row.Status != store.Error {
				t.Errorf("its row is %+v", row)
			}
		})
	}
}

func TestTryThatFollowsARecordedOneLeavesNoMark(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.Unavailable, 503)
	for n := range 5 {
		f.deliver(t, n+1, ready(7))
	}
	f.veryfi.answer = nil
	f.deliver(t, 6, ready(7))
	if len(f.table.history) != 6 {
		t.Errorf("%d writes: %v", len(f.table.history), f.table.history)
	}
}

func TestDocumentThatIsStoredAloneIsMarkedNoMore(t *testing.T) {
	f := newFixture()
	f.table.seed(t, store.Row{ID: "7", Status: store.Retrying, Error: "interrupted: before", Attempts: 3})
	if done := f.deliver(t, 4, ready(7)); !done[0] || f.table.rows["7"].Status != store.Processed {
		t.Errorf("done %v, row %+v", done, f.table.rows["7"])
	}
}

func TestNothingIsRetrievedThatCannotBeMarked(t *testing.T) {
	f := newFixture()
	f.table.refuseAll()
	if done := f.deliver(t, 2, ready(7)); done[0] || len(f.veryfi.requests) != 0 {
		t.Errorf("done %v, requests %v", done, f.veryfi.requests)
	}
}

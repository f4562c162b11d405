package retrieve

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// These tests let something come too early, too late, or in a crowd.

// TestEarlyReconciliationHidesNoWebhook has the reconciler ask before the document is
// there.
func TestEarlyReconciliationHidesNoWebhook(t *testing.T) {
	for _, created := range []string{"", ready(7).Created} {
		f := newFixture()
		f.veryfi.answer = refusing(failure.NotFound, 404)
		early := message(event.Reconciled, 7, created)
		early.RequestID = "a run"
		f.deliverAll(t, []event.Message{early})
		f.veryfi.answer = nil
		if done := f.deliver(t, 1, ready(7)); !done[0] || f.table.rows["7"].Status != store.Processed {
			t.Errorf("created %q: done %v, row %+v", created, done, f.table.rows["7"])
		}
	}
}

// TestCrowdOfCopiesUsesUpNoTries delivers each copy in a batch of its own, all within a
// second, while the document is late.
func TestCrowdOfCopiesUsesUpNoTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = refusing(failure.NotFound, 404)
		crowd := copies(ready(7), 10)
		for _, m := range crowd {
			if done := f.deliver(t, 1, m); done[0] || f.delay(m) < FirstWait-time.Second {
				t.Errorf("done %v, waits %v", done, f.delay(m))
			}
			time.Sleep(10 * time.Millisecond)
		}
		if len(f.veryfi.requests) != 1 {
			t.Errorf("%d requests within a second", len(f.veryfi.requests))
		}
		time.Sleep(FirstWait)
		f.veryfi.answer = nil
		for _, m := range crowd {
			if done := f.deliver(t, 2, m); !done[0] {
				t.Errorf("not done: %s", f.logs)
			}
		}
		if f.table.rows["7"].Status != store.Processed || len(f.veryfi.requests) != 2 {
			t.Errorf("%d requests, row %+v", len(f.veryfi.requests), f.table.rows["7"])
		}
	})
}

// TestCrowdOfCopiesWaitsAsLongAsOneCall has each copy come again when it is to, and the
// document come after two minutes.
func TestCrowdOfCopiesWaitsAsLongAsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = refusing(failure.NotFound, 404)
		crowd := copies(ready(7), 10)
		due, receives := make([]time.Time, len(crowd)), make([]int, len(crowd))
		for start := time.Now(); time.Since(start) < 2*time.Minute; time.Sleep(time.Second) {
			for i, m := range crowd {
				if time.Now().Before(due[i]) {
					continue
				}
				receives[i]++
				if done := f.deliver(t, receives[i], m); done[0] {
					t.Fatalf("given up after %v", time.Since(start))
				}
				due[i] = time.Now().Add(f.delay(m))
			}
		}
		f.veryfi.answer = nil
		time.Sleep(time.Minute)
		if done := f.deliver(t, 9, crowd[0]); !done[0] || f.table.rows["7"].Status != store.Processed {
			t.Errorf("done %v, row %+v", done, f.table.rows["7"])
		}
	})
}

// TestWhatVeryfiRefusesForEverIsNotAskedForAgain replays a call.
func TestWhatVeryfiRefusesForEverIsNotAskedForAgain(t *testing.T) {
	for _, class := range []failure.Class{failure.Refused, failure.TooLarge} {
		f := newFixture()
		f.veryfi.answer = refusing(class, 400)
		f.deliverAll(t, copies(ready(7), 16))
		if len(f.veryfi.requests) != 1 || len(f.sqs.DeadLetters()) != 1 {
			t.Errorf("%s: %d requests, %d dead letters", class, len(f.veryfi.requests), len(f.sqs.DeadLetters()))
		}
	}
}

// TestKillerAmongOldMessagesTakesNoOtherWithIt has a function run again after three
// days, and die of the first batch.
func TestKillerAmongOldMessagesTakesNoOtherWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := dying(1)
		f.GiveUpAfter = 48 * time.Hour
		var batch []event.Message
		for id := range int64(10) {
			batch = append(batch, ready(id+1))
		}
		for n := 700; len(batch) > 0 && n < 720; n++ {
			batch = f.deliverDying(t, d, n, 72*time.Hour, batch)
		}
		for id, row := range f.table.rows {
			if id != "1" && row.Status != store.Processed {
				t.Errorf("row %+v", row)
			}
		}
		if row := f.table.rows["1"]; row.Status != store.Error || len(f.sqs.DeadLetters()) != 1 {
			t.Errorf("%d dead letters, the killer's row %+v", len(f.sqs.DeadLetters()), row)
		}
	})
}

// TestKillersRowIsNeverForgotten holds because the reconciler enqueues what has not
// changed for 13 hours, and would multiply the killer.
func TestKillersRowIsNeverForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := dying(7)
		f.GiveUpAfter = 48 * time.Hour
		for n := 1; n < 30; n++ {
			f.deliverDying(t, d, n, time.Minute, []event.Message{ready(7)})
			if row := f.table.rows["7"]; n > 1 && (time.Since(row.UpdatedAt) > time.Minute || row.Attempts != n-1) {
				t.Fatalf("after death %d the row is %+v", n, row)
			}
			time.Sleep(time.Hour)
		}
	})
}

// TestRedrivenKillerIsNoticedAtItsFirstDeath has a row with many tries of before.
func TestRedrivenKillerIsNoticedAtItsFirstDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := dying(7)
		before := store.Row{ID: "7", Status: store.Error, Error: "unavailable: x", Created: ready(7).Created, Attempts: 60, RequestID: "request", UpdatedAt: time.Now()}
		f.table.seed(t, before)
		time.Sleep(time.Hour)
		first := time.Now()
		for n := range 12 { // those that are alone come in any order
			d.died.Store(false)
			var records []events.SQSMessage
			for _, m := range []event.Message{ready(7), ready(8)} {
				r := record(m.Encode(), n+1)
				r.Attributes["ApproximateFirstReceiveTimestamp"] = milliseconds(first)
				records = append(records, r)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			f.handle(ctx, t, records...)
			cancel()
			time.Sleep(time.Minute)
		}
		if f.table.rows["7"].Class() != failure.Interrupted || f.table.rows["8"].Status != store.Processed {
			t.Errorf("rows %+v", f.table.rows)
		}
	})
}

// TestUnreadableMessageAboutAStoredDocumentIsKept has a message of newer code and one
// that is none.
func TestUnreadableMessageAboutAStoredDocumentIsKept(t *testing.T) {
	for version, done := range map[int]bool{0: true, 3: false} {
		f := newFixture()
		f.deliver(t, 1, ready(7))
		m := ready(7)
		m.Version, m.RequestID = version, "another"
		if got := f.deliver(t, 1, m); got[0] != done || (len(f.sqs.DeadLetters()) == 1) != done || f.table.rows["7"].Status != store.Processed {
			t.Errorf("version %d: done %v, %d dead letters", version, got, len(f.sqs.DeadLetters()))
		}
	}
}

// TestFreshCopyHasTriesOfItsOwn comes in one batch with the last try of another.
func TestFreshCopyHasTriesOfItsOwn(t *testing.T) {
	f := newFixture()
	f.GiveUpAfter = 48 * time.Hour
	f.veryfi.answer = refusing(failure.Unavailable, 503)
	both := copies(ready(7), 2)
	f.table.seed(t, store.Row{ID: "7", Status: store.Retrying, Error: "unavailable: x", Created: ready(7).Created, Attempts: 59})
	done := f.handle(t.Context(), t, sent(both[0].Encode(), maxTries, 49*time.Hour), record(both[1].Encode(), 1))
	if !done[0] || done[1] {
		t.Errorf("done %v", done)
	}
}

// TestCopiesOfARescuedDocumentAskForNothing holds while no row can say that it is in
// the queue.
func TestCopiesOfARescuedDocumentAskForNothing(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = deleting()
	f.table.refuseAll()
	if f.deliver(t, 1, copies(ready(7), 3)...); len(f.veryfi.requests) != 1 || len(f.sqs.Bodies()) != 1 {
		t.Errorf("%d requests, %d messages sent", len(f.veryfi.requests), len(f.sqs.Bodies()))
	}
}

// TestMarkErasesNoEvent has a call whose first try has left no trace.
func TestMarkErasesNoEvent(t *testing.T) {
	f := newSwapped()
	data := calls[event.DocumentCreated]
	f.deliverAll(t, called(t, "parse.created", data, "genuine"))
	f.deliver(t, 3, called(t, "junk", data, "caught")...)
	if row := f.table.rows[called(t, "x", data, "")[0].Key()]; row.Event != "parse.created" || len(row.Events) != 2 {
		t.Errorf("row %+v", row)
	}
}

// TestTooLargeDocumentIsKeptUntilItsDeadLetterIs has the dead-letter queue down while
// Veryfi deletes the document.
func TestTooLargeDocumentIsKeptUntilItsDeadLetterIs(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = answering(hexes(60_000), nil)
	f.deadLetters.send = isDown
	if done := f.deliver(t, 1, ready(7)); !done[0] {
		t.Fatalf("not done: %s", f.logs)
	}
	brings := f.rescued(t)
	f.veryfi.answer = refusing(failure.NotFound, 404)
	if done := f.deliver(t, 1, brings); done[0] || len(f.sqs.Bodies()) != 1 {
		t.Errorf("done %v, %d messages sent", done, len(f.sqs.Bodies()))
	}
	f.deadLetters.send = nil
	if done := f.deliver(t, 2, brings); !done[0] || len(f.sqs.DeadLetters()) != 1 {
		t.Fatalf("done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
	}
	if m, err := event.DecodeMessage(f.sqs.DeadLetters()[0]); err != nil || len(m.Document) == 0 {
		t.Errorf("%v, the dead letter has %d bytes of document", err, len(m.Document))
	}
}

// TestPanicsDoNotReachLambda has a table that panics only when it is asked again.
func TestPanicsDoNotReachLambda(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, ready(7))
	var reads atomic.Int32
	f.table.get = func(context.Context) error {
		if reads.Add(1) > 1 {
			panic("confidential")
		}
		return nil
	}
	f.veryfi.answer = func(context.Context, int64) ([]byte, error) {
		f.table.seed(t, store.Row{ID: "7", Status: store.Processed, Created: ready(7).Created})
		return documentJSON(7), nil
	}
	if done := f.deliver(t, 1, message(event.DocumentCreated, 7, "2026-06-01 00:00:00")); done[0] {
		t.Error("done")
	}
}

package retrieve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// copies returns so many copies of a call, each by a request of its own.
func copies(m event.Message, n int) (list []event.Message) {
	for i := range n {
		m.RequestID = fmt.Sprint("request ", i)
		list = append(list, m)
	}
	return list
}

func TestCopiesInABatchCostOneRequest(t *testing.T) {
	for name, test := range map[string]struct {
		class       failure.Class
		done        bool
		deadLetters int
	}{
		"stored":      {"", true, 0},
		"unavailable": {failure.Unavailable, false, 0},
		"refused":     {failure.Refused, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			if test.class != "" {
				f.veryfi.answer = refusing(test.class, 400)
			}
			batch := copies(ready(7), 10)
			done := f.deliver(t, 1, batch...)
			if slices.Contains(done, !test.done) || len(f.veryfi.requests) != 1 || len(f.sqs.DeadLetters()) != test.deadLetters {
				t.Errorf("done %v, requests %v, %d dead letters", done, f.veryfi.requests, len(f.sqs.DeadLetters()))
			}
			counted := cloudwatch.Counted(f.logs.String())
			if tries := counted["Stored"] + counted["Retried unavailable"] + counted["GivenUp refused"]; tries != 1 {
				t.Errorf("counted %v", counted)
			}
			for _, m := range batch {
				if !test.done && f.delay(m) != f.delay(batch[0]) {
					t.Errorf("one waits %v, another %v", f.delay(m), f.delay(batch[0]))
				}
			}
			if test.deadLetters == 0 && strings.Contains(f.logs.String(), "ERROR") {
				t.Errorf("log: %s", f.logs)
			}
		})
	}
}

// TestCopiesOfADocumentThatIsDeletedOnRetrieval holds however their order is.
func TestCopiesOfADocumentThatIsDeletedOnRetrieval(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = deleting()
	if done := f.deliver(t, 1, copies(ready(7), 10)...); slices.Contains(done, false) || len(f.veryfi.requests) != 1 {
		t.Errorf("done %v, requests %v", done, f.veryfi.requests)
	}
	if strings.Contains(f.logs.String(), "not stored") {
		t.Errorf("log: %s", f.logs)
	}
}

// TestMessagesAboutOneDocumentComeInTheOrderThatAsksLeast has all kinds of them in one
// batch, in any order.
func TestMessagesAboutOneDocumentComeInTheOrderThatAsksLeast(t *testing.T) {
	older, later := ready(7), message(event.DocumentCreated, 7, "2026-06-01 00:00:00")
	failed := message(event.DocumentFailed, 7, "2026-06-01 00:00:00")
	brings := ready(7)
	brings.Document, brings.RetrievedAt = gzipped(t, string(documentJSON(7))), time.Now()
	for _, batch := range [][]event.Message{
		{failed, older, later, brings}, {older, brings, failed, later}, {later, older, brings, failed},
	} {
		f := newFixture()
		if done := f.deliver(t, 1, batch...); slices.Contains(done, false) {
			t.Errorf("done %v", done)
		}
		if row := f.table.rows["7"]; row.Status != store.Processed || row.Created != later.Created {
			t.Errorf("row %+v", row)
		}
		want := []store.Status{store.Processed, store.Processed}
		if !slices.Equal(f.table.history, want) || len(f.veryfi.requests) != 1 {
			t.Errorf("written %v, requests %v", f.table.history, f.veryfi.requests)
		}
	}
}

// TestLatestCallIsAskedForFirst is seen when it fails: it alone is given up.
func TestLatestCallIsAskedForFirst(t *testing.T) {
	older, later := ready(7), message(event.DocumentCreated, 7, "2026-06-01 00:00:00")
	for _, batch := range [][]event.Message{{older, later}, {later, older}} {
		f := newFixture()
		f.veryfi.answer = refusing(failure.Refused, 400)
		if done := f.deliver(t, 1, batch...); slices.Contains(done, false) || len(f.veryfi.requests) != 1 {
			t.Errorf("done %v, requests %v", done, f.veryfi.requests)
		}
		if row := f.table.rows["7"]; row.Created != later.Created || !slices.Equal(f.sqs.DeadLetters(), []string{later.Encode()}) {
			t.Errorf("row %+v, dead letters %v", row, f.sqs.DeadLetters())
		}
	}
}

// TestMessageThatBringsNoDocumentGivesUpNoOther has a copy that can still ask.
func TestMessageThatBringsNoDocumentGivesUpNoOther(t *testing.T) {
	f := newFixture()
	batch := copies(ready(7), 2)
	batch[0].Document, batch[0].RetrievedAt = gzipped(t, "none"), time.Now()
	if done := f.deliver(t, 1, batch...); slices.Contains(done, false) || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
	}
	if row := f.table.rows["7"]; row.Status != store.Processed {
		t.Errorf("row %+v", row)
	}
}

// TestTriesThatAreStoredMeanwhileAreNoFailures has another environment store the
// document while this one fails.
func TestTriesThatAreStoredMeanwhileAreNoFailures(t *testing.T) {
	for _, class := range []failure.Class{failure.Unavailable, failure.NotFound, failure.Refused, failure.Internal} {
		f := newFixture()
		f.veryfi.answer = func(context.Context, int64) ([]byte, error) {
			f.table.seed(t, store.Row{ID: "7", Status: store.Processed, Created: ready(7).Created})
			return nil, class.New("x")
		}
		if done := f.deliver(t, maxTries, ready(7)); !done[0] || len(f.sqs.DeadLetters()) != 0 {
			t.Errorf("%s: done %v, %d dead letters", class, done, len(f.sqs.DeadLetters()))
		}
		counted := cloudwatch.Counted(f.logs.String())
		if strings.Contains(f.logs.String(), "not stored") || counted["GivenUp "+string(class)]+counted["Retried "+string(class)] != 0 {
			t.Errorf("%s: %v: %s", class, counted, f.logs)
		}
	}
}

// TestNoFailureErasesThatTheQueueHasTheDocument delivers a copy that was asked for
// before the document was rescued.
func TestNoFailureErasesThatTheQueueHasTheDocument(t *testing.T) {
	for _, class := range []failure.Class{failure.Unavailable, failure.NotFound, failure.Refused} {
		f := newFixture()
		rescued := store.Row{ID: "7", Status: store.Retrying, Error: "rescued: x", Created: ready(7).Created, Attempts: 1}
		f.veryfi.answer = func(context.Context, int64) ([]byte, error) {
			f.table.seed(t, rescued)
			return nil, class.New("x")
		}
		if done := f.deliver(t, 1, ready(7)); !done[0] || f.table.rows["7"].Error != rescued.Error || len(f.sqs.DeadLetters()) != 0 {
			t.Errorf("%s: done %v, row %+v", class, done, f.table.rows["7"])
		}
		if f.deliver(t, 1, copies(ready(7), 1)...); len(f.veryfi.requests) != 1 {
			t.Errorf("%s: requests %v", class, f.veryfi.requests)
		}
	}
}

// TestMessageThatBringsItsDocumentIsDoneOnlyWhenItIsStored has all that leaves nothing
// to do for a message which would have to ask.
func TestMessageThatBringsItsDocumentIsDoneOnlyWhenItIsStored(t *testing.T) {
	brings := ready(7)
	brings.Document, brings.RetrievedAt, brings.ParentID = gzipped(t, string(documentJSON(7))), time.Now(), 42 // looks swapped, too
	for name, row := range map[string]store.Row{
		"missing": {Status: store.Error, Error: "not found: x", NotFound: 5, RequestID: "another"},
		"rescued": {Status: store.Retrying, Error: "rescued: x"},
		"failed":  {Status: store.Failed, Error: "x"},
	} {
		f := newFixture()
		row.ID, row.Created, row.Attempts = "7", brings.Created, 1
		f.table.seed(t, row)
		f.table.seed(t, store.Row{ID: "bank_statement#7", Status: store.Processed, Created: brings.Created})
		if done := f.deliver(t, 1, brings); !done[0] || f.table.rows["7"].Status != store.Processed {
			t.Errorf("%s: done %v, row %+v", name, done, f.table.rows["7"])
		}
	}
}

// TestWriteWhoseAnswerWasLostIsTold has the SDK repeat a call that succeeded.
func TestWriteWhoseAnswerWasLostIsTold(t *testing.T) {
	f := newFixture()
	f.table.put = func(_ context.Context, row store.Row) error {
		f.table.put = nil
		f.table.seed(t, row)
		return nil
	}
	if done := f.deliver(t, 1, ready(7)); !done[0] || cloudwatch.Counted(f.logs.String())["Stored"] != 1 {
		t.Errorf("done %v: %s", done, f.logs)
	}
}

// TestEachWriteIsLaterThanTheOneBefore has clocks that differ.
func TestEachWriteIsLaterThanTheOneBefore(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.Unavailable, 503)
	f.deliver(t, 1, ready(7))
	before := f.table.rows["7"].UpdatedAt
	f.Now = func() time.Time { return before.Add(-time.Minute) }
	if f.deliver(t, 2, ready(7)); !f.table.rows["7"].UpdatedAt.After(before) {
		t.Errorf("written at %v over %v", f.table.rows["7"].UpdatedAt, before)
	}
}

// TestErrorOfNoClassHasARow and does not blame the table.
func TestErrorOfNoClassHasARow(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = answering("", errDown)
	f.deliver(t, 1, ready(7))
	if row := f.table.rows["7"]; row.Status != store.Retrying || row.Class() != failure.Internal || cloudwatch.Counted(f.logs.String())["TableFailures"] != 0 {
		t.Errorf("row %+v: %s", row, f.logs)
	}
}

// TestPanicAnywhereIsOfOneRecord has what is called at each place panic.
func TestPanicAnywhereIsOfOneRecord(t *testing.T) {
	for name, change := range map[string]func(*fixture){
		"reading together": func(f *fixture) { f.table.getAll = func(map[string]store.State) error { panic("confidential") } },
		"reading":          func(f *fixture) { f.table.get = func(context.Context) error { panic("confidential") } },
		"writing": func(f *fixture) {
			f.table.put = func(_ context.Context, row store.Row) error {
				if row.ID == "7" {
					panic("confidential")
				}
				return nil
			}
		},
		"delaying": func(f *fixture) {
			f.veryfi.answer = refusing(failure.Unavailable, 503)
			f.queue.delay = func(context.Context) error { panic("confidential") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			change(f)
			done := f.deliver(t, 1, ready(7), ready(8))
			if name == "reading together" != done[0] || name == "writing" && !done[1] {
				t.Errorf("done %v", done)
			}
			if strings.Contains(f.logs.String(), "confidential") {
				t.Errorf("log: %s", f.logs)
			}
		})
	}
}

// TestFunctionDiesOfADocumentOncePerWait counts the deaths in two days, since a death
// hands nothing back.
func TestFunctionDiesOfADocumentOncePerWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, d := dying(7)
		f.GiveUpAfter = 48 * time.Hour
		start, deaths := time.Now(), 0
		for n := 1; deaths <= maxTries; n++ {
			d.died.Store(false)
			r := sent(ready(7).Encode(), n, time.Since(start))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			done := f.handle(ctx, t, r)
			cancel()
			if !d.died.Load() {
				if !done[0] || f.table.rows["7"].Status != store.Error {
					t.Errorf("done %v, row %+v", done, f.table.rows["7"])
				}
				break
			}
			if deaths++; deaths > maxTries {
				t.Fatalf("the function has died %d times", deaths)
			}
			time.Sleep(max(f.delay(ready(7)), 6*time.Minute))
		}
		if took := time.Since(start); took < 48*time.Hour || took > 4*24*time.Hour {
			t.Errorf("the function has died %d times in %v", deaths, took)
		}
	})
}

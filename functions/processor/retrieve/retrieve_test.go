package retrieve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// answering returns an answer that is the same for all.
func answering(body string, err error) func(context.Context, int64) ([]byte, error) {
	return func(context.Context, int64) ([]byte, error) { return []byte(body), err }
}

func refusing(class failure.Class, status int) func(context.Context, int64) ([]byte, error) {
	return answering("", &veryfi.Error{Class: class, Status: status})
}

func TestRows(t *testing.T) {
	tests := []struct {
		message event.Message
		want    store.Row
	}{
		{
			ready(7),
			store.Row{ID: "7", Status: store.Processed, Event: "document.created", Created: "2026-01-02 03:04:05"},
		},
		{
			event.Message{Version: 1, Event: "bank_statement_set.created", ID: 690001, ParentID: 42000, Created: "c"},
			store.Row{ID: "bank_statement#690001", Status: store.Processed, Event: "bank_statement_set.created", Created: "c", ParentID: 42000},
		},
		{
			event.Message{Version: 1, Event: "document.failed", ID: 7, Created: "c", Error: "Couldn't download file"},
			store.Row{ID: "7", Status: store.Failed, Error: "Couldn't download file", Event: "document.failed", Created: "c"},
		},
		{
			event.Message{Version: 1, Event: "bank_statement_set.failed", ID: 42000, ParentID: 42000, Created: "c"},
			store.Row{ID: "bank_statement_set#42000", Status: store.Failed, Error: "Veryfi could not process it and gave no reason", Event: "bank_statement_set.failed", Created: "c", ParentID: 42000},
		},
		{
			event.Message{Version: 1, Event: "parse.created", Data: `{"id": 5}`},
			store.Row{ID: "unsupported#8d517b42b2c47503", Status: store.Unsupported, Error: "this version does not know the event; its data is kept here (version 2)", Event: "parse.created", Events: []string{"parse.created"}, Data: `{"id": 5}`},
		},
		{
			event.Message{Version: 1, Event: "document.created", Data: `{"id": null}`},
			store.Row{ID: "unsupported#e407d3f8a8531dde", Status: store.Unsupported, Error: "the data of this document.created has no usable ids (version 2)", Event: "document.created", Events: []string{"document.created"}, Data: `{"id": null}`},
		},
	}
	for _, test := range tests {
		t.Run(test.want.ID, func(t *testing.T) {
			f := newFixture()
			test.message.RequestID = "request"
			test.message.ReceivedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			if done := f.deliver(t, 1, test.message); !done[0] {
				t.Fatalf("not done: %s", f.logs)
			}
			test.want.RequestID, test.want.ReceivedAt, test.want.Attempts = "request", test.message.ReceivedAt, 1
			got := f.table.rows[test.message.Key()]
			if (test.want.Status == store.Processed) != (got.Document != nil && !got.RetrievedAt.IsZero()) {
				t.Errorf("document %v, retrieved at %v", got.Document, got.RetrievedAt)
			}
			if got.UpdatedAt.IsZero() {
				t.Error("no updated_at")
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(store.Row{}, "Document", "UpdatedAt", "RetrievedAt")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDocumentIsStoredAsReceived(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, ready(7))
	if got := f.table.rows["7"].Document; string(got.JSON) != string(documentJSON(7)) || string(got.Lifted[0].Value) != `{"S":"x-7"}` {
		t.Errorf("stored %s", got.JSON)
	}
	f.deliver(t, 1, event.Message{Version: 1, Event: event.BankStatementSetCreated, ID: 8})
	if diff := cmp.Diff([]string{"documents/7", "bank-statements/8"}, f.veryfi.requests); diff != "" {
		t.Error(diff)
	}
}

// TestOnlyALaterDocumentReplacesADocument delivers two notifications of one document.
func TestOnlyALaterDocumentReplacesADocument(t *testing.T) {
	document := func(created string) event.Message { return message(event.DocumentCreated, 7, created) }
	failed := message(event.DocumentFailed, 7, "2027-01-01 00:00:00")
	for name, test := range map[string]struct {
		first, second    event.Message
		created          string // of the row in the end
		requests, writes int
	}{
		"the same notification":         {ready(7), ready(7), ready(7).Created, 1, 1},
		"the same in RFC 3339":          {ready(7), document("2026-01-02T04:04:05+01:00"), ready(7).Created, 1, 1},
		"an older one":                  {ready(7), document("2026-01-02 03:04:04"), ready(7).Created, 1, 1},
		"one without a time":            {ready(7), document(""), ready(7).Created, 1, 1},
		"one with a wrong time":         {ready(7), document("yesterday"), ready(7).Created, 1, 1},
		"one after a wrong time":        {document("yesterday"), ready(7), "yesterday", 1, 1},
		"a later one":                   {ready(7), document("2026-01-02 03:04:06"), "2026-01-02 03:04:06", 2, 2},
		"a later failure":               {ready(7), failed, ready(7).Created, 1, 1},
		"a document replaces a failure": {failed, ready(7), ready(7).Created, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			for _, m := range []event.Message{test.first, test.second} {
				if done := f.deliver(t, 1, m); !done[0] {
					t.Error("not done")
				}
			}
			row := f.table.rows["7"]
			if row.Status != store.Processed || row.Error != "" || row.Created != test.created || row.Attempts != test.writes {
				t.Errorf("row %+v", row)
			}
			if len(f.veryfi.requests) != test.requests || len(f.table.history) != test.writes {
				t.Errorf("requests %v, writes %v", f.veryfi.requests, f.table.history)
			}
		})
	}
}

// TestNoErrorOverwritesProcessed stores a newer document while an older try is
// under way and then fails.
func TestNoErrorOverwritesProcessed(t *testing.T) {
	for _, class := range []failure.Class{failure.Unavailable, failure.NotFound, failure.Refused} {
		f := newFixture()
		f.veryfi.answer = func(context.Context, int64) ([]byte, error) {
			f.veryfi.answer = nil
			f.deliver(t, 1, ready(7))
			return nil, &veryfi.Error{Class: class, Status: 400}
		}
		if done := f.deliver(t, 1, ready(7)); !done[0] {
			t.Errorf("%s: the document is stored, and the message is not done", class)
		}
		if row := f.table.rows["7"]; row.Status != store.Processed || len(f.sqs.DeadLetters()) != 0 {
			t.Errorf("%s: status %s, dead letters %v", class, row.Status, f.sqs.DeadLetters())
		}
	}
}

// TestOldVersionStandsWhileTheNewOneIsRetried fails to retrieve what a later
// notification announces.
func TestOldVersionStandsWhileTheNewOneIsRetried(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, ready(7))
	f.veryfi.answer = refusing(failure.Unavailable, 503)
	later := message(event.DocumentCreated, 7, "2026-06-01 00:00:00")
	if done := f.deliver(t, 1, later); done[0] || f.delay(later) == 0 {
		t.Errorf("done %v, delay %v", done, f.delay(later))
	}
	if row := f.table.rows["7"]; row.Status != store.Processed || row.Created != ready(7).Created {
		t.Errorf("row %+v", row)
	}
	f.veryfi.answer = nil
	if done := f.deliver(t, 2, later); !done[0] || f.table.rows["7"].Created != later.Created {
		t.Errorf("done %v, row %+v", done, f.table.rows["7"])
	}
}

// TestParallelUpdatesKeepTheLatest lets two later notifications race.
func TestParallelUpdatesKeepTheLatest(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, ready(7))
	second := message(event.DocumentCreated, 7, "2026-02-01 00:00:00")
	third := message(event.DocumentCreated, 7, "2026-03-01 00:00:00")
	f.veryfi.answer = func(_ context.Context, id int64) ([]byte, error) {
		f.veryfi.answer = nil
		f.deliver(t, 1, third) // overtakes the second
		return documentJSON(id), nil
	}
	if done := f.deliver(t, 1, second); !done[0] {
		t.Error("not done")
	}
	if row := f.table.rows["7"]; row.Created != third.Created {
		t.Errorf("created %s", row.Created)
	}
}

func TestErrorsThatMayGetBetterAreRetried(t *testing.T) {
	tests := []struct {
		name   string
		answer func(context.Context, int64) ([]byte, error)
		error  string
	}{
		{"503", refusing(failure.Unavailable, 503), "unavailable: Veryfi answered 503"},
		{"429", refusing(failure.Throttled, 429), "throttled: Veryfi answered 429"},
		{"404", refusing(failure.NotFound, 404), "not found: Veryfi answered 404"},
		{"401", refusing(failure.CredentialsRefused, 401), "credentials refused: Veryfi answered 401"},
		{"302", refusing(failure.Unexpected, 302), "unexpected answer: Veryfi answered 302"},
		{"not JSON", answering("<html>", nil), "unexpected answer: the answer is not a document"},
		{"cut short", answering(`{"id": 7, "total": 1`, nil), "unexpected answer: the answer is not a document"},
		{"another id", answering(`{"id": 8}`, nil), "unexpected answer: the answer is not the document that was asked for"},
		{"no id", answering(`{"status": "fail"}`, nil), "unexpected answer: the answer is not the document that was asked for"},
		{"in progress", answering(`{"id": 7, "status": "in_progress"}`, nil), "in progress: the document is still in progress"},
		{"no time", answering("", veryfi.ErrNoTime), "out of time: "},
		{"panic", func(context.Context, int64) ([]byte, error) { panic("confidential") }, "internal error: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture()
			f.veryfi.answer = test.answer
			if done := f.deliver(t, 1, ready(7)); done[0] {
				t.Error("done")
			}
			if delay := f.delay(ready(7)); delay < 10*time.Second {
				t.Errorf("waits %v", delay)
			}
			row := f.table.rows["7"]
			if row.Status != store.Retrying || !strings.HasPrefix(row.Error, test.error) || row.Attempts != 1 {
				t.Errorf("row: %s %q after %d tries", row.Status, row.Error, row.Attempts)
			}
			if len(f.sqs.DeadLetters()) != 0 {
				t.Error("a dead letter")
			}
			if strings.Contains(f.logs.String()+row.Error, "confidential") {
				t.Errorf("log: %s", f.logs)
			}
			f.veryfi.answer = nil
			if done := f.deliver(t, 2, ready(7)); !done[0] || f.table.rows["7"].Status != store.Processed || f.table.rows["7"].Attempts != 2 {
				t.Errorf("second try: done %v, row %+v", done, f.table.rows["7"])
			}
		})
	}
}

func TestPermanentErrorEndsInTheDeadLetterQueue(t *testing.T) {
	for _, class := range []failure.Class{failure.Refused, failure.TooLarge} {
		f := newFixture()
		f.veryfi.answer = refusing(class, 400)
		if done := f.deliver(t, 1, ready(7)); !done[0] {
			t.Error("not done")
		}
		if row := f.table.rows["7"]; row.Status != store.Error || !strings.HasPrefix(row.Error, string(class)) {
			t.Errorf("row %+v", row)
		}
		if !slices.Equal(f.sqs.DeadLetters(), []string{ready(7).Encode()}) {
			t.Errorf("dead letters %v", f.sqs.DeadLetters())
		}
	}
}

func TestDocumentThatDoesNotFitIsGivenUp(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = answering(hexes(100_000), nil)
	if done := f.deliver(t, 1, ready(7)); !done[0] || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("done %v, dead letters %v", done, f.sqs.DeadLetters())
	}
	if row := f.table.rows["7"]; row.Status != store.Error || !strings.HasPrefix(row.Error, "too large: ") || !strings.HasSuffix(row.Error, " bytes, of 409600") {
		t.Errorf("row %+v", row)
	}
}

func TestNothingIsDoneWithoutRowOrDeadLetter(t *testing.T) {
	noRow := func(f *fixture) { f.table.refuseAll() }
	for name, test := range map[string]struct {
		message event.Message
		broken  func(*fixture)
	}{
		"no dead letter":      {ready(7), func(f *fixture) { f.deadLetters.send = isDown }},
		"no row":              {ready(7), noRow},
		"no row of a failure": {message(event.DocumentFailed, 7, "c"), noRow},
	} {
		f := newFixture()
		f.veryfi.answer = refusing(failure.Refused, 400)
		test.broken(f)
		if done := f.deliver(t, 1, test.message); done[0] {
			t.Errorf("%s: done", name)
		}
	}
}

func TestMissingDocumentIsGivenUpAfterFiveTries(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.NotFound, 404)
	var last time.Duration
	for try := 1; try < notFoundTries; try++ {
		if done := f.deliver(t, try, ready(7)); done[0] {
			t.Fatalf("given up at try %d", try)
		}
		if delay := f.delay(ready(7)); delay < 10*time.Second || delay <= last {
			t.Errorf("try %d waits %v", try, delay)
		}
		last = f.delay(ready(7))
	}
	if done := f.deliver(t, notFoundTries, ready(7)); !done[0] || f.table.rows["7"].Status != store.Error || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("done %v, row %+v", done, f.table.rows["7"])
	}
}

// TestMissingDocumentWaitsForItsDeadLetter has the queue refuse it: that must not make
// Veryfi be asked five times more.
func TestMissingDocumentWaitsForItsDeadLetter(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.NotFound, 404)
	f.deadLetters.send = isDown
	for try := range notFoundTries {
		if done := f.deliver(t, try+1, ready(7)); done[0] {
			t.Errorf("try %d: done without a copy", try+1)
		}
	}
	f.deadLetters.send = nil
	if done := f.deliver(t, notFoundTries+1, ready(7)); !done[0] || f.table.rows["7"].Status != store.Error || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("done %v, row %+v", done, f.table.rows["7"])
	}
}

// TestOnlyAnswersOf404MakeADocumentMissing has the first 404 at a late try: after
// other failures, or after an outage of the table, during which no row could say so.
func TestOnlyAnswersOf404MakeADocumentMissing(t *testing.T) {
	for name, before := range map[string]func(*fixture){
		"unavailable":   func(f *fixture) { f.veryfi.answer = refusing(failure.Unavailable, 503) },
		"no table":      func(f *fixture) { f.table.get = isDown },
		"not delivered": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			if before != nil {
				before(f)
				for try := range 8 {
					f.deliver(t, try+1, ready(7))
				}
			}
			f.table.get = nil
			f.veryfi.answer = refusing(failure.NotFound, 404)
			for n := 1; n < notFoundTries; n++ {
				if done := f.deliver(t, 8+n, ready(7)); done[0] || f.table.rows["7"].Status != store.Retrying {
					t.Fatalf("given up at the %d. 404: %+v", n, f.table.rows["7"])
				}
				f.veryfi.answer = refusing(failure.Unavailable, 503) // does not count, and does not make it forget
				f.deliver(t, 8+n, ready(7))
				f.veryfi.answer = refusing(failure.NotFound, 404)
			}
			if done := f.deliver(t, 20, ready(7)); !done[0] || f.table.rows["7"].Status != store.Error {
				t.Errorf("not given up at the fifth 404: %+v", f.table.rows["7"])
			}
		})
	}
}

// TestWhatIsKnownToBeMissingIsNotAskedForAgain replays a caught call, and then asks
// for good reasons.
func TestWhatIsKnownToBeMissingIsNotAskedForAgain(t *testing.T) {
	missing := func(t *testing.T) *fixture {
		t.Helper()
		f := newFixture()
		f.veryfi.answer = refusing(failure.NotFound, 404)
		for try := range notFoundTries {
			f.deliver(t, try+1, ready(7))
		}
		row := f.table.rows["7"]
		row.UpdatedAt = row.UpdatedAt.Add(-time.Hour)
		f.table.seed(t, row)
		return f
	}
	again := func(change func(*event.Message)) event.Message {
		m := ready(7)
		m.RequestID = "another"
		change(&m)
		return m
	}
	for name, test := range map[string]struct {
		message event.Message
		asks    bool
	}{
		"replayed":                {again(func(*event.Message) {}), false},
		"replayed without a time": {again(func(m *event.Message) { m.Created = "" }), false},
		"older":                   {again(func(m *event.Message) { m.Created = "2025-01-01 00:00:00" }), false},
		"later":                   {again(func(m *event.Message) { m.Created = "2027-01-01 00:00:00" }), true},
		"reconciled":              {again(func(m *event.Message) { m.Event = event.Reconciled }), true},
		"redriven":                {ready(7), true},
	} {
		t.Run(name, func(t *testing.T) {
			f := missing(t)
			before, letters := f.table.rows["7"], len(f.sqs.DeadLetters())
			done := f.deliver(t, 1, test.message)
			if asked := len(f.veryfi.requests) > notFoundTries; asked != test.asks || done[0] == test.asks {
				t.Errorf("asked %v, done %v", asked, done)
			}
			if !test.asks && (len(f.sqs.DeadLetters()) != letters || f.table.rows["7"].UpdatedAt != before.UpdatedAt) {
				t.Errorf("%d dead letters, row %+v", len(f.sqs.DeadLetters()), f.table.rows["7"])
			}
			for n := 2; test.asks && n <= notFoundTries; n++ { // as new: five times
				if done := f.deliver(t, n, test.message); done[0] != (n == notFoundTries) {
					t.Errorf("try %d: done %v", n, done)
				}
			}
		})
	}
}

// TestCopiesOfACallAboutNothingCostFiveRequests replays a call while it is tried.
func TestCopiesOfACallAboutNothingCostFiveRequests(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.NotFound, 404)
	done := map[string]bool{}
	for try := range 10 {
		for n := range 16 {
			m := ready(7)
			if m.RequestID = fmt.Sprint(n); !done[m.RequestID] {
				done[m.RequestID] = f.deliver(t, try+1, m)[0]
			}
		}
	}
	if len(f.veryfi.requests) != notFoundTries || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("%d requests, %d dead letters", len(f.veryfi.requests), len(f.sqs.DeadLetters()))
	}
}

// TestMessagesAreGivenUpByCountAndAge delivers messages that are young, old, and about
// to be deleted by SQS.
func TestMessagesAreGivenUpByCountAndAge(t *testing.T) {
	for name, test := range map[string]struct {
		receives int
		age      time.Duration
		givenUp  bool
	}{
		"received often, but young":   {maxTries, 47 * time.Hour, false},
		"old, but not received often": {maxTries - 1, 49 * time.Hour, false},
		"both":                        {maxTries, 48 * time.Hour, true},
		"both by far":                 {500, 7 * 24 * time.Hour, true},
		"eight days old":              {1, 8 * 24 * time.Hour, true},
		"almost eight days old":       {1, 8*24*time.Hour - time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			f.GiveUpAfter = 48 * time.Hour
			f.veryfi.answer = refusing(failure.Unavailable, 503)
			f.table.seed(t, store.Row{ID: "7", Status: store.Retrying, Error: "unavailable: x", Attempts: test.receives - 1}) // a trace of the try before
			if done := f.handle(t.Context(), t, sent(ready(7).Encode(), test.receives, test.age)); done[0] != test.givenUp || (len(f.sqs.DeadLetters()) == 1) != test.givenUp {
				t.Errorf("done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
			}
			want := map[bool]store.Status{true: store.Error, false: store.Retrying}[test.givenUp]
			if row := f.table.rows["7"]; row.Status != want || strings.Contains(row.Error, "given up after") != test.givenUp {
				t.Errorf("row %+v", row)
			}
		})
	}
}

// TestGivenUpMessageWaitsForItsRowUntilItIsOverdue has the table down: a copy alone
// is better than nothing only when SQS would delete the message.
func TestGivenUpMessageWaitsForItsRowUntilItIsOverdue(t *testing.T) {
	for age, done := range map[time.Duration]bool{3 * 24 * time.Hour: false, 8 * 24 * time.Hour: true} {
		f := newFixture()
		f.table.get = isDown
		f.table.refuseAll()
		if got := f.handle(t.Context(), t, sent(ready(7).Encode(), maxTries, age)); got[0] != done || len(f.sqs.DeadLetters()) != map[bool]int{true: 1}[done] {
			t.Errorf("after %v: done %v, %d dead letters", age, got, len(f.sqs.DeadLetters()))
		}
	}
}

func TestLastTryEndsInTheDeadLetterQueue(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.Unavailable, 503)
	f.deadLetters.send = isDown
	if done := f.deliver(t, maxTries, ready(7)); done[0] || f.delay(ready(7)) < FirstWait {
		t.Errorf("done %v without a copy, waits %v", done, f.delay(ready(7)))
	}
	f.deadLetters.send = nil
	if done := f.deliver(t, maxTries+1, ready(7)); !done[0] || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
	}
	if row := f.table.rows["7"]; row.Status != store.Error || !strings.Contains(row.Error, "given up after 61 tries") {
		t.Errorf("row %+v", row)
	}
}

func TestAttemptsGoOnAfterRedrive(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.Unavailable, 503)
	f.deliver(t, maxTries, ready(7))
	f.veryfi.answer = nil
	if f.deliver(t, 1, ready(7)); f.table.rows["7"].Attempts != maxTries+1 || f.table.rows["7"].Status != store.Processed {
		t.Errorf("row %+v", f.table.rows["7"])
	}
}

func TestAttemptsUnderEarlierMessagesCount(t *testing.T) {
	f := newFixture()
	m := ready(7)
	m.Attempts = 7
	if f.deliver(t, 2, m); f.table.rows["7"].Attempts != 9 {
		t.Errorf("%d attempts", f.table.rows["7"].Attempts)
	}
}

func TestCredentialsAreWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		wait time.Duration
	}{
		"no credentials: down":       {failure.NoCredentials.Of(errDown), FirstWait},
		"no credentials: not filled": {failure.NoCredentials.Of(fmt.Errorf("not filled: %w", secret.ErrNotFilled)), credentialsWait},
		"credentials refused: ":      {&veryfi.Error{Class: failure.CredentialsRefused, Status: 401}, credentialsWait},
	} {
		f := newFixture()
		f.veryfi.answer = answering("", test.err)
		for try := 1; try < maxTries; try++ { // never permanent before the last one
			if done := f.deliver(t, try, ready(7)); done[0] || f.table.rows["7"].Status != store.Retrying || !strings.HasPrefix(f.table.rows["7"].Error, name) {
				t.Fatalf("%s: try %d: done %v, row %+v", name, try, done, f.table.rows["7"])
			}
			if waits := f.delay(ready(7)); try == 1 && waits != test.wait || waits > MaxWait {
				t.Errorf("%s: waits %v", name, waits)
			}
		}
	}
}

func TestNoRequestWhileTheTableCannotBeRead(t *testing.T) {
	f := newFixture()
	f.table.get = isDown
	if done := f.deliver(t, 1, ready(7)); done[0] || len(f.veryfi.requests) != 0 || f.delay(ready(7)) == 0 {
		t.Errorf("done %v, requests %v", done, f.veryfi.requests)
	}
	if len(f.table.history) != 0 {
		t.Error("a table that is down was written to before the last try")
	}
	if f.deliver(t, maxTries, ready(7)); f.table.rows["7"].Status != store.Error {
		t.Errorf("the last try leaves the row %+v", f.table.rows["7"])
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	tests := []struct {
		body       string
		done       bool
		key        string
		status     store.Status
		deadLetter bool
	}{
		{``, true, "", "", true},
		{`not JSON`, true, "", "", true},
		{`{}`, true, "", "", true},
		{`[1]`, true, "", "", true},
		{`{"version":1,"event":"document.created","id":"7"}`, true, "", "", true},
		{`{"version":1,"event":"document.created","id":7,"created":8}`, true, "7", store.Error, true},
		{`{"version":3,"event":"document.created","id":7}`, false, "7", store.Retrying, false},
		{`{"version":2,"event":"parse.created","id":7}`, false, "parse#7", store.Retrying, false}, // a kind of MoreKinds that has not come here yet
		{`{"version":1,"event":"parse.created","id":7}`, true, "", "", true},
		{`{"version":2}`, true, "", "", true},
		{`{"version":3}`, false, "", "", false},
	}
	for _, test := range tests {
		t.Run(test.body, func(t *testing.T) {
			f := newFixture()
			if done := f.handle(t.Context(), t, record(test.body, 1)); done[0] != test.done {
				t.Errorf("done %v", done[0])
			}
			if test.deadLetter != slices.Contains(f.sqs.DeadLetters(), test.body) {
				t.Errorf("dead letters %q", f.sqs.DeadLetters())
			}
			if len(f.veryfi.requests) != 0 {
				t.Errorf("requests %v", f.veryfi.requests)
			}
			if test.key == "" && len(f.table.rows) != 0 || f.table.rows[test.key].Status != test.status {
				t.Errorf("rows %+v", f.table.rows)
			}
		})
	}
}

func TestRecordsAreProcessedSideBySideAndOnTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = func(_ context.Context, id int64) ([]byte, error) {
			time.Sleep(100 * time.Millisecond)
			switch id {
			case 2:
				panic("a bug")
			case 3:
				return nil, &veryfi.Error{Class: failure.Unavailable, Status: 503}
			}
			return documentJSON(id), nil
		}
		start := time.Now()
		done := f.deliver(t, 1, ready(1), ready(2), ready(3), ready(4))
		if took := time.Since(start); took > 150*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if diff := cmp.Diff([]bool{true, false, false, true}, done); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnswerComesBeforeTheTimeOut has a record that hangs and one that does not
// even look at its context.
func TestAnswerComesBeforeTheTimeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		deaf := make(chan struct{})
		f.veryfi.answer = func(ctx context.Context, id int64) ([]byte, error) {
			switch id {
			case 2:
				<-ctx.Done()
				return nil, context.Cause(ctx)
			case 3:
				<-deaf
			}
			return documentJSON(id), nil
		}
		const timeout = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		start := time.Now()
		done := f.handle(ctx, t, record(ready(1).Encode(), 1), record(ready(2).Encode(), 1), record(ready(3).Encode(), 1))
		if took := time.Since(start); took >= timeout {
			t.Errorf("took %v", took)
		}
		if diff := cmp.Diff([]bool{true, false, false}, done); diff != "" {
			t.Error(diff)
		}
		if f.delay(ready(2)) == 0 || f.table.rows["2"].Status != store.Retrying {
			t.Errorf("the record that was cut off waits %v, row %+v", f.delay(ready(2)), f.table.rows["2"])
		}
		close(deaf)
		synctest.Wait()
	})
}

// TestRecordsEndBeforeTheBatchIsHandedBack has a table and a queue that hang: the
// records themselves see that time is up.
func TestRecordsEndBeforeTheBatchIsHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.table.put = func(ctx context.Context, _ store.Row) error {
			<-ctx.Done()
			return ctx.Err()
		}
		f.queue.send = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if done := f.handle(ctx, t, record(ready(7).Encode(), 1)); done[0] {
			t.Error("done")
		}
		if strings.Contains(f.logs.String(), "did not end in time") {
			t.Errorf("log: %s", f.logs)
		}
	})
}

func TestMessageComesAgainWhenItCannotBeDelayed(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = refusing(failure.Unavailable, 503)
	f.queue.delay = isDown
	if done := f.deliver(t, 1, ready(7)); done[0] {
		t.Error("done")
	}
}

func TestLogHoldsNoCredentialsAndNoDocument(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = func(_ context.Context, id int64) ([]byte, error) {
		switch id {
		case 1:
			return []byte(`{"id": 1, "vendor": "confidential"}`), nil
		case 2:
			return []byte(`{"id": 9, "vendor": "confidential"}`), nil
		default:
			return []byte(`confidential`), nil
		}
	}
	failed := message(event.DocumentFailed, 4, "c")
	failed.Error = "confidential"
	f.deliver(t, 1, ready(1), ready(2), ready(3), failed)
	for _, private := range []string{"the api key", "confidential"} {
		if strings.Contains(f.logs.String(), private) {
			t.Errorf("%q is in the log: %s", private, f.logs)
		}
	}
	if !strings.Contains(f.logs.String(), `"request_id":"request","document_id":"1"`) {
		t.Errorf("log: %s", f.logs)
	}
}

func TestWaitsGrowToAnHour(t *testing.T) {
	for _, random := range []float64{0, 0.999} {
		h := &Handler{Random: func() float64 { return random }}
		var total time.Duration
		for n := 1; n <= 100; n++ {
			wait := h.backoff(FirstWait, n)
			if wait < FirstWait || wait > MaxWait*3/2 {
				t.Errorf("wait %d is %v", n, wait)
			}
			if n < maxTries {
				total += wait
			}
		}
		if total < 6*time.Hour || total > 10*24*time.Hour {
			t.Errorf("waits sum up to %v: more than Veryfi's outages, less than the queue's retention", total)
		}
	}
}

func TestWaitsDifferByUpToHalf(t *testing.T) {
	h := &Handler{Random: func() float64 { return 0.5 }}
	if got, want := h.backoff(FirstWait, 3), 4*FirstWait*5/4; got != want {
		t.Errorf("waits %v, want %v", got, want)
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	for _, class := range []failure.Class{failure.Throttled, failure.Unavailable} {
		f := newFixture()
		f.veryfi.answer = answering("", &veryfi.Error{Class: class, RetryAfter: 77 * time.Second})
		if f.deliver(t, 1, ready(7)); f.delay(ready(7)) != 77*time.Second {
			t.Errorf("waits %v", f.delay(ready(7)))
		}
	}
	for class, least := range map[failure.Class]time.Duration{failure.NotFound: FirstWait, failure.CredentialsRefused: credentialsWait} {
		f := newFixture()
		f.veryfi.answer = answering("", &veryfi.Error{Class: class, RetryAfter: time.Second})
		if f.deliver(t, 1, ready(7)); f.delay(ready(7)) < least {
			t.Errorf("%s: waits %v", class, f.delay(ready(7)))
		}
	}
}

// TestShortRetryAfterDoesNotUseUpTheTries has Veryfi down and say each time that
// it will be back in a second.
func TestShortRetryAfterDoesNotUseUpTheTries(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = answering("", &veryfi.Error{Class: failure.Throttled, Status: 429, RetryAfter: time.Second})
	var total time.Duration
	for n := 1; n < maxTries; n++ {
		f.deliver(t, n, ready(7))
		wait := f.delay(ready(7))
		if n <= ExactTries && wait != time.Second {
			t.Errorf("after try %d it waits %v", n, wait)
		}
		total += wait
	}
	if total < 24*time.Hour {
		t.Errorf("all tries are over after %v", total)
	}
}

// TestOnlyWhatCannotGetBetterIsPermanent goes through all classes.
func TestOnlyWhatCannotGetBetterIsPermanent(t *testing.T) {
	f := newFixture()
	permanent := []failure.Class{failure.Malformed, failure.Refused, failure.TooLarge, failure.OtherKind}
	for _, class := range failure.All() {
		v := f.judge(delivery{receives: 1}, fmt.Errorf("wrapped: %w", class.New("x")))
		if v.class != class || v.permanent != slices.Contains(permanent, class) || v.wait < FirstWait {
			t.Errorf("%s: %+v", class, v)
		}
	}
}

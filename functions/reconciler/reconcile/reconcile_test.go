package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	sqs "veryfi-intake/local/aws/queue"
	"veryfi-intake/local/aws/table"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/reconciliation"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

var errDown = errors.New("down")

// memoryVeryfi lists documents out of memory, a few to a page.
type memoryVeryfi struct {
	documents []veryfi.Listed
	pageSize  int
	takes     time.Duration
	// leaves is true when a document leaves the list once it was on a page.
	leaves bool
	// answer is asked first, when it is set.
	answer  func() error
	windows []string // of each request, with its page
}

func (v *memoryVeryfi) List(ctx context.Context, _ veryfi.Resource, since, until time.Time, page int) (veryfi.Page, []veryfi.Answer, error) {
	select {
	case <-time.After(v.takes):
	case <-ctx.Done():
		return veryfi.Page{}, nil, ctx.Err()
	}
	v.windows = append(v.windows, fmt.Sprintf("%s %s %d", since.Format(time.DateTime), until.Format(time.DateTime), page))
	if v.answer != nil {
		if err := v.answer(); err != nil {
			answer, _ := errors.AsType[*veryfi.Error](err)
			return veryfi.Page{}, []veryfi.Answer{{Status: answer.Status}}, err
		}
	}
	answered := []veryfi.Answer{{Status: http.StatusOK}}
	var inside []veryfi.Listed
	for _, d := range v.documents {
		if created, _ := event.CreatedTime(d.Created); !created.Before(since) && created.Before(until) {
			inside = append(inside, d)
		}
	}
	slices.SortStableFunc(inside, func(a, b veryfi.Listed) int { return strings.Compare(a.Created, b.Created) })
	pages := slices.Collect(slices.Chunk(inside, v.pageSize))
	if page > len(pages) {
		return veryfi.Page{IsLast: true}, answered, nil
	}
	if v.leaves {
		v.documents = slices.DeleteFunc(v.documents, func(d veryfi.Listed) bool { return slices.Contains(pages[page-1], d) })
	}
	return veryfi.Page{Documents: pages[page-1], IsLast: page == len(pages)}, answered, nil
}

// down is a table and a queue that fail.
type down struct{}

func (down) States(context.Context, []string) (map[string]store.State, error) { return nil, errDown }

func (down) Stale(context.Context, time.Time, int) ([]store.Row, error) { return nil, errDown }

func (down) Pages(context.Context) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) { yield(nil, errDown) }
}

func (down) Read(context.Context, []string) ([]store.Row, error) { return nil, errDown }

func (down) Mark(context.Context, store.Row, string) error { return errDown }

func (down) Remove(context.Context, store.Row) error { return errDown }

func (down) Send(context.Context, ...string) error { return errDown }

// fixture is a handler between the models of AWS and a Veryfi in memory.
type fixture struct {
	*Handler
	veryfi *memoryVeryfi
	rows   *table.Table
	table  *store.Table
	queue  *sqs.Queue
	logs   *bytes.Buffer
}

func newFixture() *fixture {
	rows := table.New(map[string]string{"problems": "updated_at"})
	f := &fixture{
		veryfi: &memoryVeryfi{pageSize: 3},
		rows:   rows,
		table:  store.New(rows, "table"),
		queue:  sqs.New(sqs.Options{}),
		logs:   &bytes.Buffer{},
	}
	f.Handler = &Handler{
		Lists: event.Kinds{}.All()[:1], Veryfi: f.veryfi, Queue: queue.New(f.queue, "queue"),
		Table: store.NewReader(rows, "table"), Kept: store.NewKept(rows, "table"),
		Window: 12 * time.Hour, Grace: time.Hour, Metrics: metrics.New("test", time.Now), Now: time.Now, Log: slog.New(slog.NewJSONHandler(f.logs, nil)),
	}
	return f
}

// seed writes a row, now, unless the row says when.
func (f *fixture) seed(t *testing.T, id any, row store.Row) {
	t.Helper()
	if row.ID = fmt.Sprint(id); row.UpdatedAt.IsZero() {
		row.UpdatedAt = time.Now()
	}
	seen, err := f.table.Get(t.Context(), row.ID)
	if err = errors.Join(err, f.table.Put(t.Context(), row, seen)); err != nil {
		t.Fatal(err)
	}
}

// created adds a document that Veryfi created so long ago.
func (f *fixture) created(id int64, ago time.Duration) {
	f.veryfi.documents = append(f.veryfi.documents, veryfi.Listed{ID: id, Created: time.Now().Add(-ago).UTC().Format(time.DateTime), Status: "processed"})
}

// enqueued returns the ids of the messages that were sent, in order.
func (f *fixture) enqueued(t *testing.T) (ids []int64) {
	t.Helper()
	for _, m := range f.messages(t) {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}

// messages returns the messages that were sent.
func (f *fixture) messages(t *testing.T) (messages []event.Message) {
	t.Helper()
	for _, body := range f.queue.Bodies() {
		m, err := event.DecodeMessage(body)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

func (f *fixture) run(t *testing.T, payload string) reconciliation.Result {
	t.Helper()
	result, err := f.Handle(t.Context(), json.RawMessage(payload))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

const scheduled = `{"version": "0", "id": "53dc4d37", "detail-type": "Scheduled Event", "source": "aws.events", "account": "123456789012", "time": "2026-01-02T03:00:00Z", "region": "us-east-1", "resources": [], "detail": {}}`

func TestDocumentsWithoutARowAreEnqueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		for id := range int64(20) {
			f.created(id+1, time.Hour+time.Duration(id)*30*time.Minute+time.Minute)
		}
		for id, status := range []store.Status{store.Processed, store.Failed, store.Retrying, store.Error} {
			f.seed(t, id+1, store.Row{Status: status})
		}
		f.created(5, 2*time.Hour) // the list names it twice
		f.created(101, 59*time.Minute)
		f.created(102, 14*time.Hour)
		f.veryfi.documents = append(f.veryfi.documents, veryfi.Listed{ID: 103, Created: f.veryfi.documents[10].Created, Status: "in_progress"})
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "the run"})
		result, err := f.Handle(ctx, json.RawMessage(scheduled))
		if err != nil {
			t.Fatal(err)
		}
		want := []int64{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}
		got := f.enqueued(t)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Error(diff)
		}
		if result.Listed != 21 || result.Enqueued != len(got) || result.Stale != 0 || result.Next != nil {
			t.Errorf("result %+v", result)
		}
		m := f.messages(t)[0]
		wantMessage := event.Message{Version: 1, Event: "reconciled", ID: m.ID, Created: m.Created, ReceivedAt: time.Now().UTC(), RequestID: "the run"}
		if diff := cmp.Diff(wantMessage, m); diff != "" || m.Created == "" || m.Task() != event.Retrieve {
			t.Error(diff)
		}
	})
}

// TestNewestHourIsLookedAtFirst keeps runs that are cut short from leaving a gap.
func TestNewestHourIsLookedAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.Window = 150 * time.Minute
		f.run(t, `{}`)
		want := []string{
			"1999-12-31 22:00:00 1999-12-31 23:00:00 1",
			"1999-12-31 21:00:00 1999-12-31 22:00:00 1",
			"1999-12-31 20:30:00 1999-12-31 21:00:00 1",
		}
		if diff := cmp.Diff(want, f.veryfi.windows); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWindowsOfScheduledRunsLeaveNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		for minute := range int64(24 * 60) {
			f.created(minute+1, time.Duration(minute)*time.Minute-12*time.Hour) // some are still to come
		}
		for range 12 {
			f.run(t, scheduled)
			for _, id := range f.enqueued(t) {
				f.seed(t, id, store.Row{Status: store.Processed})
			}
			time.Sleep(time.Hour + 7*time.Second) // not to the second
		}
		if got := f.enqueued(t); len(got) < 22*60 || len(slices.Compact(got)) != len(f.enqueued(t)) {
			t.Errorf("%d enqueued", len(got))
		}
	})
}

// TestDocumentsThatLeaveTheListHideNoOthers has each one deleted as soon as it is
// enqueued and retrieved.
func TestDocumentsThatLeaveTheListHideNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.veryfi.leaves = true
		for id := range int64(20) {
			f.created(id+1, 10*time.Hour-time.Duration(id)*time.Minute)
		}
		f.run(t, `{"since": "1999-12-31"}`)
		if ids := f.enqueued(t); len(ids) != 20 {
			t.Errorf("enqueued %v", ids)
		}
	})
}

func TestListThatIsInNoOrderIsReadPageByPage(t *testing.T) {
	f := newFixture()
	pages := [][]veryfi.Listed{
		{{ID: 1, Created: "1999-12-31 03:00:00"}, {ID: 2, Created: "1999-12-31 01:00:00"}},
		{{ID: 3, Created: "1999-12-31 02:00:00"}, {ID: 4, Created: "some time"}},
		{{ID: 5, Created: "1999-12-31 01:00:00"}, {ID: 6, Created: "1999-12-31 00:00:00"}},
	}
	f.Veryfi = listing(func(_ time.Time, page int) veryfi.Page {
		return veryfi.Page{Documents: pages[page-1], IsLast: page == len(pages)}
	})
	if result := f.run(t, `{"since": "1999-12-31", "until": "2000-01-01"}`); result.Enqueued != 6 {
		t.Errorf("result %+v", result)
	}
}

type listing func(since time.Time, page int) veryfi.Page

func (l listing) List(_ context.Context, _ veryfi.Resource, since, _ time.Time, page int) (veryfi.Page, []veryfi.Answer, error) {
	return l(since, page), nil, nil
}

func TestByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.created(1, 50*time.Hour)
		f.created(2, 40*time.Hour)
		f.created(3, 30*time.Hour)
		f.created(4, 90*time.Minute)
		f.created(5, time.Minute)
		f.seed(t, 2, store.Row{Status: store.Error})
		if result := f.run(t, `{"since": "1999-12-30", "until": "1999-12-30 19:00:00"}`); result.Listed != 2 {
			t.Errorf("result %+v", result)
		}
		if diff := cmp.Diff([]int64{3}, f.enqueued(t)); diff != "" {
			t.Error(diff)
		}
		f.run(t, `{"since": "1999-12-29T22:00:00+01:00"}`) // until the grace period begins
		if diff := cmp.Diff([]int64{1, 3, 3, 4}, f.enqueued(t)); diff != "" {
			t.Error(diff)
		}
		f.seed(t, 4, store.Row{Status: store.Processed})
		if result := f.run(t, `{"ids": [2, "4", 99, 2]}`); result.Enqueued != 2 || result.Stale != 0 {
			t.Errorf("result %+v", result)
		}
		if diff := cmp.Diff([]int64{1, 2, 3, 3, 4, 99}, f.enqueued(t)); diff != "" {
			t.Errorf("with what is not stored: %s", diff)
		}
	})
}

func TestPayloadThatAsksForNothingClearIsRefused(t *testing.T) {
	for _, payload := range []string{
		`[]`, `7`, `"x"`, `{"id": 7}`, `{"ids": 7}`, `{"ids": [0]}`, `{"ids": [1.5]}`, `{"ids": [null]}`, `{"ids": [7], "since": "2026-01-01"}`,
		`{"until": "2026-01-01"}`, `{"since": "yesterday"}`, `{"since": 7}`, `{"since": "2026-01-02", "until": "2026-01-02"}`,
		`{"since": "9998-01-02"}`, `{"since": "2026-01-02", "page": -1}`, `{"page": 2}`, `{"since": `,
	} {
		f := newFixture()
		_, err := f.Handle(t.Context(), json.RawMessage(payload))
		if err == nil || !strings.Contains(err.Error(), `{"ids": [123456789, "check#5"]}`) || len(f.veryfi.windows) != 0 || f.queue.Left() != 0 {
			t.Errorf("%s: %v", payload, err)
		}
	}
	for _, payload := range []string{``, `null`, ` {} `, scheduled} {
		f := newFixture()
		if f.run(t, payload); len(f.veryfi.windows) != 12 {
			t.Errorf("%q: %d requests", payload, len(f.veryfi.windows))
		}
	}
}

// goOn does runs of ten seconds, each with what the one before has left, until nothing is.
func (f *fixture) goOn(t *testing.T, payload string) {
	t.Helper()
	for runs := 1; payload != "null"; runs++ {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		result, err := f.Handle(ctx, json.RawMessage(payload))
		cancel()
		if err != nil || runs > 20 || result.Next != nil && !strings.Contains(f.logs.String(), `"next":{"`) {
			t.Fatalf("run %d: %+v, %v, %s", runs, result, err, f.logs)
		}
		next, err := json.Marshal(result.Next)
		if err != nil {
			t.Fatal(err)
		}
		payload = string(next)
	}
}

// TestRunThatIsCutShortGoesOn has more documents in one second than a run gets through.
func TestRunThatIsCutShortGoesOn(t *testing.T) {
	for name, apart := range map[string]time.Duration{"minutes apart": time.Minute, "in one second": 0} {
		for _, payload := range []string{`{"since": "1999-12-31"}`, scheduled} {
			t.Run(name+" "+payload[:10], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFixture()
					f.veryfi.takes = time.Second
					for id := range int64(100) {
						f.created(id+1, 2*time.Hour+time.Duration(id)*apart)
					}
					f.goOn(t, payload)
					if got := slices.Compact(f.enqueued(t)); len(got) != 100 {
						t.Errorf("%d of 100 enqueued", len(got))
					}
				})
			})
		}
	}
}

// TestListInNoOrderThatIsCutShortGoesOn has more pages than a run gets through, and
// none of them may be enqueued before the last one is read or time is up.
func TestListInNoOrderThatIsCutShortGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		const pages = 30
		f.Veryfi = listing(func(_ time.Time, page int) veryfi.Page {
			time.Sleep(1100 * time.Millisecond)
			return veryfi.Page{Documents: []veryfi.Listed{{ID: int64(page), Created: "some time"}}, IsLast: page == pages}
		})
		f.goOn(t, `{"since": "1999-12-31"}`)
		if got := slices.Compact(f.enqueued(t)); len(got) != pages {
			t.Errorf("%d of %d enqueued", len(got), pages)
		}
	})
}

// TestQueueThatIsDownWhenTimeIsUpIsTold has the page as the next run's first: what
// was found on the pages before is in no queue.
func TestQueueThatIsDownWhenTimeIsUpIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.Queue = down{}
		f.Veryfi = listing(func(_ time.Time, page int) veryfi.Page {
			time.Sleep(1100 * time.Millisecond)
			return veryfi.Page{Documents: []veryfi.Listed{{ID: int64(page), Created: "some time"}}}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		result, err := f.Handle(ctx, json.RawMessage(`{"since": "1999-12-31"}`))
		if !errors.Is(err, errDown) || result.Next == nil || result.Next.Page != 1 || ctx.Err() != nil {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

func TestVeryfiThatFailsForAWhileIsAskedAgain(t *testing.T) {
	for name, err := range map[string]error{
		"unavailable": &veryfi.Error{Class: failure.Unavailable, Status: 503},
		"throttled":   &veryfi.Error{Class: failure.Throttled, Status: 429, RetryAfter: 40 * time.Second},
		"unexpected":  &veryfi.Error{Class: failure.Unexpected, Status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				f.created(7, 90*time.Minute)
				failures := 2
				f.veryfi.answer = func() error {
					if failures--; failures >= 0 {
						return err
					}
					return nil
				}
				start := time.Now()
				f.run(t, scheduled)
				took := time.Since(start)
				if least := 3 * firstWait; took < least || name == "throttled" && took < 80*time.Second || f.queue.Left() != 1 {
					t.Errorf("%d enqueued after %v", f.queue.Left(), took)
				}
			})
		})
	}
}

// TestThrottledForLongerThanTheRunIsAnError holds because a run that has seen nothing
// must not look like one that has found nothing.
func TestThrottledForLongerThanTheRunIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = func() error {
			return &veryfi.Error{Class: failure.Throttled, Status: 429, RetryAfter: time.Hour}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		if _, err := f.Handle(ctx, json.RawMessage(scheduled)); failure.ClassOf(err) != failure.Throttled {
			t.Errorf("got %v", err)
		}
	})
}

// TestListedDocumentThatWasNotFoundIsAskedForOnceADay has rows that other programs and
// earlier runs have written.
func TestListedDocumentThatWasNotFoundIsAskedForOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		row := func(status store.Status, class failure.Class, name string, age time.Duration) store.Row {
			return store.Row{Status: status, Error: string(class) + ": x", Event: name, UpdatedAt: time.Now().Add(-age)}
		}
		for id, test := range []struct {
			row  store.Row
			asks bool
		}{
			{row(store.Error, failure.NotFound, event.DocumentCreated, time.Minute), true},
			{row(store.Error, failure.OtherKind, event.DocumentCreated, time.Minute), true},
			{row(store.Error, failure.NotFound, event.Reconciled, 23*time.Hour), false},
			{row(store.Error, failure.NotFound, event.Reconciled, 24*time.Hour), true},
			{row(store.Error, failure.Refused, event.DocumentCreated, 48*time.Hour), false},
			{row(store.Retrying, failure.NotFound, event.DocumentCreated, 12*time.Hour), false},
			{row(store.Failed, "", event.DocumentFailed, 48*time.Hour), false},
			{row(store.Processed, "", event.DocumentCreated, 48*time.Hour), false},
		} {
			f := newFixture()
			f.created(int64(id+1), 2*time.Hour)
			f.seed(t, id+1, test.row)
			if f.run(t, scheduled); (f.queue.Left() == 1) != test.asks {
				t.Errorf("%+v: %d enqueued", test.row, f.queue.Left())
			}
		}
	})
}

// TestPersonAsksAgainAtOnce names the time of a document that a run has just asked for.
func TestPersonAsksAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.created(1, 2*time.Hour)
		f.seed(t, 1, store.Row{Status: store.Error, Error: "not found: x", Event: event.Reconciled})
		f.run(t, `{"since": "1999-12-31"}`)
		if diff := cmp.Diff([]int64{1}, f.enqueued(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestErrorSaysWhereItStopped(t *testing.T) {
	for name, err := range map[string]error{
		"unavailable":         &veryfi.Error{Class: failure.Unavailable, Status: 503},
		"credentials refused": &veryfi.Error{Class: failure.CredentialsRefused, Status: 401},
		"refused":             &veryfi.Error{Class: failure.Refused, Status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				for id := range int64(9) {
					f.created(id+1, 20*time.Hour-time.Duration(id)*time.Hour)
				}
				pages := 0
				f.veryfi.answer = func() error {
					if pages++; pages > 2 {
						return err
					}
					return nil
				}
				_, got := f.Handle(t.Context(), json.RawMessage(`{"since": "1999-12-31"}`))
				if got == nil || !strings.Contains(got.Error(), err.Error()) || !strings.Contains(got.Error(), `{"since":"1999-12-31T08:00:00Z","until":"1999-12-31T23:00:00Z"`) {
					t.Error(got)
				}
				if ids := f.enqueued(t); len(ids) != 5 {
					t.Errorf("enqueued %v", ids)
				}
			})
		})
	}
}

func TestErrorOfTableOrQueueEndsTheRun(t *testing.T) {
	for _, payload := range []string{scheduled, `{"since": "1999-12-31"}`, `{"ids": [7]}`} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			f.created(7, 90*time.Minute)
			works := f.Table
			f.Table = down{}
			if _, err := f.Handle(t.Context(), json.RawMessage(payload)); !errors.Is(err, errDown) || f.queue.Left() != 0 {
				t.Errorf("%s: %v", payload, err)
			}
			f.Table, f.Queue = works, down{}
			if result, err := f.Handle(t.Context(), json.RawMessage(payload)); !errors.Is(err, errDown) || result.Enqueued != 0 {
				t.Errorf("%s: %+v, %v", payload, result, err)
			}
		})
	}
}

func TestRowsThatWaitForNothingAreEnqueuedAsTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		received := time.Date(1999, 12, 30, 1, 2, 3, 0, time.UTC)
		for n, row := range []store.Row{
			{ID: "7", Event: "document.created", Error: "unavailable: x"},
			{ID: "bank_statement#8", Event: "bank_statement_set.created", ParentID: 42},
			{ID: "9", Event: "document.created", Error: "rescued: it is in the queue"},
			{ID: "11", Event: "reconciled"},
			{ID: "12", Event: "document.failed"},
			{ID: "check.created#0123456789012345", Event: "check.created"},
			{ID: "document.created#0123456789abcdef", Event: "document.created"},
			{ID: "x", Event: "document.created"},
			{ID: "check#14", Event: "check.created"},
			{ID: "w2#15", Event: "w2.reconciled"},
			{ID: "16", Event: "document.enriched"},
		} {
			row.Status, row.Created, row.ReceivedAt, row.RequestID, row.Attempts = store.Retrying, "c", received, "r", 5
			row.UpdatedAt = time.Now().Add(time.Duration(n)*time.Second - 14*time.Hour)
			f.seed(t, row.ID, row)
		}
		// SQS may still hold the message of this one.
		f.seed(t, 13, store.Row{Status: store.Retrying, Event: "document.created", UpdatedAt: time.Now().Add(-12 * time.Hour)})
		result := f.run(t, scheduled)
		want := []event.Message{
			{Version: 1, Event: "document.created", ID: 7, Created: "c", ReceivedAt: received, RequestID: "r", Attempts: 5},
			{Version: 1, Event: "bank_statement_set.created", ID: 8, ParentID: 42, Created: "c", ReceivedAt: received, RequestID: "r", Attempts: 5},
			{Version: 1, Event: "reconciled", ID: 11, Created: "c", ReceivedAt: received, RequestID: "r", Attempts: 5},
			{Version: 1, Event: "document.failed", ID: 12, Created: "c", ReceivedAt: received, RequestID: "r", Attempts: 5},
			{Version: 2, Event: "check.created", ID: 14, Created: "c", ReceivedAt: received, RequestID: "r", Attempts: 5},
			{Version: 2, Event: "w2.reconciled", ID: 15, Created: "c", ReceivedAt: received, RequestID: "r", Attempts: 5},
			{Version: 2, Event: "document.enriched", ID: 16, Created: "c", ReceivedAt: received, RequestID: "r", Attempts: 5},
		}
		if diff := cmp.Diff(want, f.messages(t)); diff != "" || result.Stale != 7 {
			t.Errorf("result %+v: %s", result, diff)
		}
	})
}

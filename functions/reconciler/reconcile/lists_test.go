package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// memoryLists has the lists of several kinds, those of receipts in order.
type memoryLists struct {
	lists        map[veryfi.Resource][]veryfi.Listed
	pageSize     int
	takes        time.Duration
	ignoresUntil bool
	errs         map[veryfi.Resource]error
	asked        []veryfi.Resource
	now          func() time.Time
}

func (l *memoryLists) List(ctx context.Context, resource veryfi.Resource, since, until time.Time, page int) (veryfi.Page, []veryfi.Answer, error) {
	select {
	case <-time.After(l.takes):
	case <-ctx.Done():
		return veryfi.Page{}, nil, ctx.Err()
	}
	l.asked = append(l.asked, resource)
	if answer, failed := errors.AsType[*veryfi.Error](l.errs[resource]); failed {
		return veryfi.Page{}, []veryfi.Answer{{Status: answer.Status}}, answer
	}
	inside := slices.DeleteFunc(slices.Clone(l.lists[resource]), func(d veryfi.Listed) bool {
		created, ok := event.CreatedTime(d.Created)
		return ok && (created.Before(since) || !l.ignoresUntil && !created.Before(until))
	})
	if resource == veryfi.Documents {
		slices.SortStableFunc(inside, func(a, b veryfi.Listed) int { return strings.Compare(a.Created, b.Created) })
	}
	pages := slices.Collect(slices.Chunk(inside, l.pageSize))
	answered := []veryfi.Answer{{Status: 200}}
	if page > len(pages) {
		return veryfi.Page{IsLast: true}, answered, nil
	}
	return veryfi.Page{Documents: pages[page-1], IsLast: page == len(pages)}, answered, nil
}

// add lists a document that was created so long ago.
func (l *memoryLists) add(resource veryfi.Resource, id int64, ago time.Duration) {
	l.lists[resource] = append(l.lists[resource], veryfi.Listed{ID: id, Created: l.now().Add(-ago).UTC().Format(time.DateTime)})
}

// deleting is a queue whose messages are retrieved at once, and Veryfi deletes what was.
type deleting struct {
	Queue
	lists *memoryLists
}

func (q deleting) Send(ctx context.Context, bodies ...string) error {
	for _, body := range bodies {
		m, err := event.DecodeMessage(body)
		if err != nil {
			return err
		}
		kind, _ := event.Kinds{}.Of(m.Event)
		resource := veryfi.Resource(kind.Resource)
		q.lists.lists[resource] = slices.DeleteFunc(q.lists.lists[resource], func(d veryfi.Listed) bool { return d.ID == m.ID })
	}
	return q.Queue.Send(ctx, bodies...)
}

// listing makes the fixture read these lists.
func (f *fixture) listing(t interface{ Fatal(...any) }, kinds string) *memoryLists {
	lists := &memoryLists{lists: map[veryfi.Resource][]veryfi.Listed{}, errs: map[veryfi.Resource]error{}, pageSize: 3, now: f.Now}
	read, err := ReadLists(kinds, f.Kinds)
	if err != nil {
		t.Fatal(err)
	}
	f.Veryfi, f.Lists = lists, read
	return lists
}

// keys returns the keys of the messages that were sent, in order.
func (f *fixture) keys(t *testing.T) (keys []string) {
	t.Helper()
	for _, m := range f.messages(t) {
		keys = append(keys, m.Key())
	}
	slices.Sort(keys)
	return keys
}

func TestOtherKindsAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		lists := f.listing(t, "check,document,w2")
		for id := range int64(7) { // the latest first
			lists.add("checks", id+1, time.Hour+time.Duration(id)*time.Hour)
		}
		lists.add("w2s", 1, 2*time.Hour)
		lists.add("w2s", 2, 59*time.Minute) // in the grace period
		lists.add("bank-statements", 1, 2*time.Hour)
		lists.add(veryfi.Documents, 1, 2*time.Hour)
		lists.lists["w2s"] = append(lists.lists["w2s"], veryfi.Listed{ID: 3, Created: "some time"}, veryfi.Listed{ID: 4, Status: "in_progress"}, veryfi.Listed{ID: 1})
		f.seed(t, "check#3", store.Row{Status: store.Processed})
		f.seed(t, "4", store.Row{Status: store.Processed}) // another 4
		f.seed(t, "check#5", store.Row{Status: store.Error, Error: "not found: x", Event: "check.reconciled"})
		f.seed(t, "check#6", store.Row{Status: store.Error, Error: "not found: x", Event: "check.created"})
		f.seed(t, "check#7", store.Row{Status: store.Error, Error: "other kind: x", Event: "check.reconciled", UpdatedAt: time.Now().Add(-24 * time.Hour)})
		result := f.run(t, scheduled)
		if diff := cmp.Diff([]string{"1", "check#2", "check#4", "check#6", "check#7", "w2#1", "w2#3"}, f.keys(t)); diff != "" {
			t.Error(diff)
		}
		if result.Listed != 6+3+1 || result.Enqueued != 7 { // check 1 is as old as the grace period
			t.Errorf("result %+v", result)
		}
		for _, m := range f.messages(t) {
			if m.Key() == "w2#1" && (m.Version != 2 || m.Event != "w2.reconciled" || m.ID != 1 || m.Created != "1999-12-31 22:00:00" || (event.Kinds{}).Check(m) != nil) {
				t.Errorf("message %+v", m)
			}
		}
		order := slices.Compact(slices.Clone(lists.asked))
		if !slices.Equal(order, []veryfi.Resource{"checks", "documents", "w2s"}) {
			t.Errorf("asked for %v", order)
		}
	})
}

// TestListInAnyOrderIsReadWhole has lists whose documents leave them as soon as they are
// enqueued, Veryfi that knows the filter for the end or does not, and entries twice.
func TestListInAnyOrderIsReadWhole(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		f := newFixture()
		f.Now = func() time.Time { return now }
		lists := f.listing(r, "check")
		lists.pageSize, lists.ignoresUntil = rapid.IntRange(1, 5).Draw(r, "page size"), rapid.Bool().Draw(r, "ignores until")
		if rapid.Bool().Draw(r, "deletes") {
			f.Queue = deleting{f.Queue, lists}
		}
		want := map[string]bool{}
		for _, id := range rapid.SliceOf(rapid.Int64Range(1, 30)).Draw(r, "ids") {
			minutes := rapid.IntRange(0, 14*60).Draw(r, "minutes")
			lists.add("checks", id, time.Duration(minutes)*time.Minute)
			if minutes > 60 && minutes <= 13*60 {
				want[fmt.Sprint("check#", id)] = true
			}
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if rapid.Bool().Draw(r, "has a row") {
				f.seed(t, key, store.Row{Status: store.Processed})
				delete(want, key)
			}
		}
		f.run(t, scheduled)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), f.keys(t)); diff != "" && len(want)+len(f.keys(t)) > 0 {
			r.Error(diff)
		}
	})
}

// TestListsThatAreCutShortGoOn has runs that end in every list.
func TestListsThatAreCutShortGoOn(t *testing.T) {
	for _, payload := range []string{`{"since": "1999-12-31"}`, scheduled} {
		for _, takes := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				lists := f.listing(t, "document,check,w2")
				lists.takes = takes
				want := map[string]bool{}
				for n := range int64(24) {
					for _, kind := range f.Lists {
						lists.add(veryfi.Resource(kind.Resource), n+1, 90*time.Minute+time.Duration(n*7%24)*25*time.Minute)
						want[kind.Key(n+1)] = true
					}
				}
				f.goOn(t, payload)
				if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Compact(f.keys(t))); diff != "" {
					t.Errorf("%s, %v: %s", payload[:10], takes, diff)
				}
			})
		}
	}
}

func TestRunThatIsCutShortSaysWhichListsAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		lists := f.listing(t, "document,check,w2")
		lists.takes = time.Second
		for n := range int64(30) {
			lists.add("checks", n+1, 2*time.Hour)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		result, err := f.Handle(ctx, json.RawMessage(`{"since": "1999-12-31", "until": "2000-01-01"}`))
		next, _ := json.Marshal(result.Next)
		const since, until = `"since":"1999-12-31T00:00:00Z"`, `"until":"2000-01-01T00:00:00Z"`
		if want := `{` + since + `,` + until + `,"page":7,"kind":"check","then":{` + since + `,` + until + `,"kind":"w2"}}`; string(next) != want || err != nil || result.Enqueued != 18 {
			t.Errorf("%+v, next %s, %v", result, next, err)
		}
	})
}

func TestListThatIgnoresThePageEnds(t *testing.T) {
	f := newFixture()
	f.listing(t, "check")
	asked := 0
	var full []veryfi.Listed
	for id := range int64(veryfi.PageSize) {
		full = append(full, veryfi.Listed{ID: id + 1})
	}
	f.Veryfi = listing(func(time.Time, int) veryfi.Page {
		asked++
		return veryfi.Page{Documents: full}
	})
	if result := f.run(t, `{"since": "1999-12-31", "until": "2000-01-01"}`); result.Enqueued != veryfi.PageSize || asked != 2 {
		t.Errorf("result %+v after %d requests", result, asked)
	}
}

// TestRepeatedEntryEndsNoList has a document on two short pages, before the last one.
func TestRepeatedEntryEndsNoList(t *testing.T) {
	f := newFixture()
	f.listing(t, "check")
	f.Veryfi = listing(func(_ time.Time, page int) veryfi.Page {
		return veryfi.Page{Documents: []veryfi.Listed{{ID: []int64{1, 1, 1, 2}[page-1]}}, IsLast: page == 4}
	})
	if result := f.run(t, `{"since": "1999-12-31", "until": "2000-01-01"}`); result.Enqueued != 2 {
		t.Errorf("result %+v", result)
	}
}

// TestKindThatTheAccountLacksKeepsNoOtherFromBeingRead has Veryfi refuse a list.
func TestKindThatTheAccountLacksKeepsNoOtherFromBeingRead(t *testing.T) {
	for _, refused := range []*veryfi.Error{{Class: failure.NotFound, Status: 404}, {Class: failure.CredentialsRefused, Status: 403}, {Class: failure.Refused, Status: 400}} {
		for _, payload := range []string{`{"since": "1999-12-31"}`, scheduled} {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				lists := f.listing(t, "bank_statement,document,check")
				lists.errs["bank-statements"] = refused
				lists.add(veryfi.Documents, 1, 2*time.Hour)
				lists.add("checks", 2, 2*time.Hour)
				result, err := f.Handle(t.Context(), json.RawMessage(payload))
				if err == nil || !strings.HasPrefix(err.Error(), "bank_statement: "+refused.Error()) || !strings.Contains(err.Error(), `,"kind":"bank_statement"}`) || strings.Contains(err.Error(), "then") {
					t.Errorf("error %v", err)
				}
				if diff := cmp.Diff([]string{"1", "check#2"}, f.keys(t)); diff != "" || result.Enqueued != 2 {
					t.Errorf("result %+v: %s", result, diff)
				}
				if counted := cloudwatch.Counted(f.logs.String()); counted["CredentialsRefused"] != 0 {
					t.Errorf("counted %v: the credentials are good", counted)
				}
			})
		}
	}
}

func TestCredentialsThatNoListTakesAreCounted(t *testing.T) {
	f := newFixture()
	lists := f.listing(t, "document,check")
	lists.errs[veryfi.Documents] = &veryfi.Error{Class: failure.CredentialsRefused, Status: 401}
	lists.errs["checks"] = lists.errs[veryfi.Documents]
	_, err := f.Handle(t.Context(), json.RawMessage(scheduled))
	if counted := cloudwatch.Counted(f.logs.String()); err == nil || counted["CredentialsRefused"] != 1 {
		t.Errorf("%v, counted %v", err, counted)
	}
}

// TestTableThatIsDownEndsTheRun has what is left in the error.
func TestTableThatIsDownEndsTheRun(t *testing.T) {
	f := newFixture()
	lists := f.listing(t, "check,w2")
	lists.add("checks", 1, 2*time.Hour)
	f.Table = down{}
	_, err := f.Handle(t.Context(), json.RawMessage(`{"since": "1999-12-31"}`))
	if !errors.Is(err, errDown) || !strings.Contains(err.Error(), `"kind":"w2"`) || len(lists.asked) != 1 {
		t.Errorf("asked for %v: %v", lists.asked, err)
	}
}

func TestOneKindByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		lists := f.listing(t, "document,check")
		for _, resource := range []veryfi.Resource{"documents", "checks", "w2s"} {
			lists.add(resource, 1, 2*time.Hour)
		}
		f.run(t, `{"since": "1999-12-31", "kind": "w2"}`)
		if diff := cmp.Diff([]string{"w2#1"}, f.keys(t)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDocumentsOfOtherKindsByTheirKeys(t *testing.T) {
	f := newFixture()
	f.seed(t, 123, store.Row{Status: store.Processed})
	f.seed(t, "check#5", store.Row{Status: store.Processed})
	if result := f.run(t, `{"ids": [123, "check#5", "check#6", "bank_statement#690001", 5]}`); result.Enqueued != 3 {
		t.Errorf("result %+v", result)
	}
	if diff := cmp.Diff([]string{"5", "bank_statement#690001", "check#6"}, f.keys(t)); diff != "" {
		t.Error(diff)
	}
	f = newFixture()
	f.seed(t, 123, store.Row{Status: store.Processed})
	f.run(t, `{"ids": [123, "check#5"], "again": true}`)
	for _, m := range f.messages(t) {
		if m.Version != 2 || !m.Again || !m.IsReconciled() || m.Task() != event.Retrieve {
			t.Errorf("message %+v", m)
		}
	}
	if diff := cmp.Diff([]string{"123", "check#5"}, f.keys(t)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeReconciledIsRefusedWithTheKinds(t *testing.T) {
	for _, payload := range []string{
		`{"ids": ["bank_statement_set#42"]}`, `{"ids": ["parse#5"]}`, `{"ids": [7, "unsupported#0123456789012345"]}`, `{"ids": ["document#5"]}`, `{"since": "2026-01-01", "kind": "bank_statement_set"}`,
	} {
		f := newFixture()
		_, err := f.Handle(t.Context(), json.RawMessage(payload))
		if err == nil || !strings.Contains(err.Error(), "document, bank_statement, w2, check, anydocument") || f.queue.Left() != 0 {
			t.Errorf("%s: %v", payload, err)
		}
	}
	for _, payload := range []string{
		`{"again": true}`, `{"again": true, "since": "2026-01-01"}`, `{"unsupported": true, "ids": [5]}`, `{"unsupported": true, "since": "2026-01-01"}`, `{"unsupported": true, "again": true}`,
		`{"kind": "check"}`, `{"since": "2026-01-01", "then": {}}`, `{"since": "2026-01-01", "until": "2026-01-02", "then": {"since": "2026-01-01"}}`, `{"ids": [5], "kind": "check"}`, `{"ids": ["check#"]}`, `{"ids": ["#5"]}`,
		`{"since": "2026-01-01", "then": {"since": "2026-01-01", "until": "2026-01-02", "kind": "x"}}`, `{"since": "2026-01-01", "then": {"since": "2026-01-02", "until": "2026-01-02"}}`,
	} {
		f := newFixture()
		_, err := f.Handle(t.Context(), json.RawMessage(payload))
		if err == nil || !strings.Contains(err.Error(), `{"unsupported": true}`) || len(f.veryfi.windows)+f.queue.Left() != 0 {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

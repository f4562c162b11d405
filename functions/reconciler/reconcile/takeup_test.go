package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/aws/table"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/reconciliation"
	"veryfi-intake/shared/store"
)

const (
	takesUp    = `{"unsupported": true}`
	version1   = "this version does not know the event; its data is kept here"
	theCreated = "1999-12-30 01:02:03"
)

var theReceived = time.Date(1999, 12, 30, 1, 2, 4, 0, time.UTC)

// kinds returns the table with more kinds.
func kinds(t *testing.T, more string) event.Kinds {
	t.Helper()
	kinds, err := event.ParseKinds(more)
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

// keep writes the row of an event that came under some names, and returns its key.
func (f *fixture) keep(t *testing.T, text, data string, names ...string) string {
	t.Helper()
	key := event.Message{Event: "x", Data: event.Text(data)}.Key()
	f.seed(t, key, store.Row{
		Status: store.Unsupported, Error: text, Event: names[0], Events: names, Created: theCreated, ReceivedAt: theReceived, Data: data, Attempts: 1, RequestID: "r",
	})
	return key
}

// errorOf returns the error of a row, "" when there is none.
func (f *fixture) errorOf(key string) string { return table.Text(f.rows.Items()[key], "error") }

// process stores what the queue has, as the processor does when Veryfi has all of it.
func (f *fixture) process(t *testing.T) {
	t.Helper()
	for _, m := range f.messages(t) {
		if seen, err := f.table.Get(t.Context(), m.Key()); err != nil || seen.Status == "" {
			row := store.Row{Status: store.Processed, Event: m.Event, Created: m.Created}
			if m.Task() == event.RecordFailure {
				row.Status, row.Error = store.Failed, "why"
			}
			f.seed(t, m.Key(), row)
		}
	}
}

func data(ids string) string { return fmt.Sprintf(`{"id":%s,"created":"%s"}`, ids, theCreated) }

func TestUnsupportedEventsOfVersion1AreTakenUp(t *testing.T) {
	for _, payload := range []string{scheduled, `{}`, takesUp} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			check := f.keep(t, version1, data("5"), "check.created")
			set := f.keep(t, version1, `{"parent_id":42,"id":["690001",690002],"created":"`+theCreated+`"}`, "w2_set.created")
			failed := f.keep(t, version1, `{"parent_id":42,"id":[]}`, "w2_set.failed")
			unknown := f.keep(t, version1, data("7"), "parse.created")
			unusable := f.keep(t, version1, data("0"), "check.created")
			version := table.Text(f.rows.Items()[check], "updated_at")
			time.Sleep(time.Minute)
			if result := f.run(t, payload); result.TakenUp != 3 || result.Removed != 0 || result.Enqueued != 0 || result.Next != nil {
				t.Errorf("result %+v", result)
			}
			message := func(name string, id, parent int64, created string) event.Message {
				return event.Message{Version: 2, Event: name, ID: id, ParentID: parent, Created: created, ReceivedAt: theReceived}
			}
			want := []event.Message{
				message("check.created", 5, 0, theCreated), message("w2_set.created", 690001, 42, theCreated), message("w2_set.created", 690002, 42, theCreated),
				message("w2_set.failed", 42, 42, ""),
			}
			got := f.messages(t)
			slices.SortFunc(got, func(a, b event.Message) int { return strings.Compare(a.Event+a.Key(), b.Event+b.Key()) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			for key, want := range map[string]string{
				check: f.Kinds.TakenUp(), set: f.Kinds.TakenUp(), failed: f.Kinds.TakenUp(),
				unknown:  "this version does not know the event; its data is kept here (version 2)",
				unusable: "the data of this check.created has no usable ids (version 2)",
			} {
				if got := f.errorOf(key); got != want {
					t.Errorf("%s: %q, not %q", key, got, want)
				}
			}
			if table.Text(f.rows.Items()[check], "updated_at") != version {
				t.Error("the mark is later than the row's last write: nobody knows when its event came")
			}
			if result := f.run(t, payload); result.TakenUp+result.Removed != 0 || f.queue.Left() != 4 {
				t.Errorf("the second time: %+v, %d messages", result, f.queue.Left())
			}
			f.process(t)
			if result := f.run(t, payload); result.TakenUp != 0 || result.Removed != 3 || f.queue.Left() != 4 {
				t.Errorf("after all was stored: %+v, %d messages", result, f.queue.Left())
			}
			if f.errorOf(check)+f.errorOf(set)+f.errorOf(failed) != "" || f.errorOf(unknown) == "" || f.errorOf(unusable) == "" {
				t.Errorf("rows %v", slices.Sorted(maps.Keys(f.rows.Items())))
			}
		})
	}
}

// counting counts the reads of rows.
type counting struct {
	Kept
	read int
}

func (c *counting) Read(ctx context.Context, ids []string) ([]store.Row, error) {
	if len(ids) > maxKept {
		return nil, fmt.Errorf("%d rows in one answer", len(ids))
	}
	c.read += len(ids)
	return c.Kept.Read(ctx, ids)
}

// TestRowsThatTheseKindsHaveJudgedAreNotRead has more rows than one call reads.
func TestRowsThatTheseKindsHaveJudgedAreNotRead(t *testing.T) {
	f := newFixture()
	counts := &counting{Kept: f.Kept}
	f.Kept = counts
	for n := range 2*maxKept + 1 {
		f.keep(t, version1, data(fmt.Sprint(-n)), "check.created")
		f.keep(t, version1, data(fmt.Sprint(n+1)), "parse.created")
	}
	for _, want := range []int{4*maxKept + 2, 0} {
		if counts.read = 0; f.run(t, takesUp).TakenUp != 0 || counts.read != want || f.queue.Left() != 0 {
			t.Errorf("%d rows read, not %d", counts.read, want)
		}
	}
}

// TestRowGoesWhenItsDocumentsHaveRows has rows that these kinds have taken up.
func TestRowGoesWhenItsDocumentsHaveRows(t *testing.T) {
	processed := func(created string) store.Row { return store.Row{Status: store.Processed, Created: created} }
	given := store.Row{Status: store.Error, Error: "not found: x", Created: theCreated}
	check := []string{"check.created"}
	for name, test := range map[string]struct {
		data  string
		names []string
		rows  map[string]store.Row
		goes  bool
	}{
		"nothing is there":      {data("5"), check, nil, false},
		"stored":                {data("5"), check, map[string]store.Row{"check#5": processed(theCreated)}, true},
		"on the way":            {data("5"), check, map[string]store.Row{"check#5": {Status: store.Retrying, Error: "unavailable: x"}}, true},
		"given up":              {data("5"), check, map[string]store.Row{"check#5": given}, true},
		"another number":        {data("5"), check, map[string]store.Row{"check#6": processed(theCreated)}, false},
		"another kind, stored":  {data("5"), check, map[string]store.Row{"5": processed(theCreated)}, true},
		"another kind, later":   {data("5"), check, map[string]store.Row{"5": processed("1999-12-30 01:02:04")}, false},
		"another kind, missing": {data("5"), check, map[string]store.Row{"5": given}, false},
		"no time":               {`{"id":5}`, check, map[string]store.Row{"5": processed("")}, false},
		"one of two":            {data("[5,6]"), check, map[string]store.Row{"check#5": processed(theCreated)}, false},
		"both":                  {data("[5,6]"), check, map[string]store.Row{"check#5": processed(theCreated), "check#6": given}, true},
		"both, one elsewhere":   {data("[5,6]"), check, map[string]store.Row{"check#5": processed(theCreated), "w2#6": processed(theCreated)}, true},
		"one of two names":      {data("5"), []string{"check.created", "w2.created"}, map[string]store.Row{"check#5": given}, false},
		"two names":             {data("5"), []string{"check.created", "w2.created"}, map[string]store.Row{"check#5": given, "w2#5": given}, true},
		"a failed set":          {`{"parent_id":5,"id":[]}`, []string{"w2_set.failed"}, map[string]store.Row{"w2_set#5": {Status: store.Failed, Error: "why"}}, true},
		"not the failed set":    {`{"parent_id":5,"id":[]}`, []string{"w2_set.failed"}, map[string]store.Row{"w2#5": processed("")}, false},
		"an unknown name":       {data("5"), []string{"check.created", "parse.created"}, map[string]store.Row{"check#5": given}, false},
		"and stored":            {data("5"), []string{"check.created", "parse.created"}, map[string]store.Row{"check#5": processed(theCreated)}, true},
		"and stored elsewhere":  {data("5"), []string{"check.created", "parse.created"}, map[string]store.Row{"5": processed(theCreated)}, true},
		"and another stored":    {data("5"), []string{"check.created", "parse.created"}, map[string]store.Row{"check#5": processed("1999-12-30 01:02:04")}, false},
		"and one of two stored": {data("[5,6]"), []string{"parse.created", "check.created"}, map[string]store.Row{"check#5": processed(theCreated), "check#6": given}, false},
		"no usable id":          {data("0"), check, map[string]store.Row{"check#0": given}, false},
	} {
		f := newFixture()
		key := f.keep(t, f.Kinds.TakenUp(), test.data, test.names...)
		for id, row := range test.rows {
			f.seed(t, id, row)
		}
		result := f.run(t, takesUp)
		if goes := f.errorOf(key) == ""; goes != test.goes || goes != (result.Removed == 1) || result.TakenUp != 0 || f.queue.Left() != 0 {
			t.Errorf("%s: %+v, the row says %q", name, result, f.errorOf(key))
		}
	}
}

// TestMoreKindsComeAndGo follows the row of an event through deployments.
func TestMoreKindsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		key := f.keep(t, event.Kinds{}.Unsupported([]string{"parse.created"}, "{}"), data("5"), "parse.created")
		for n, step := range []struct {
			more              string
			processes         bool
			takenUp, messages int
			says              string
		}{
			{"", false, 0, 0, "this version does not know the event; its data is kept here (version 2)"},
			{"parse=parse", false, 1, 1, kinds(t, "parse=parse").TakenUp()},
			{"parse=parse", false, 0, 1, kinds(t, "parse=parse").TakenUp()},
			{"", false, 0, 1, "this version does not know the event; its data is kept here (version 2)"},
			{"parse=parse,contract=contracts", false, 1, 2, kinds(t, "parse=parse,contract=contracts").TakenUp()},
			{"parse=parse", true, 1, 3, kinds(t, "parse=parse").TakenUp()}, // another table has taken it up
			{"parse=parse", false, 0, 3, ""},
		} {
			if step.processes {
				f.process(t)
			}
			f.Kinds = kinds(t, step.more)
			result := f.run(t, scheduled)
			if result.TakenUp != step.takenUp || f.queue.Left() != step.messages || f.errorOf(key) != step.says {
				t.Errorf("step %d: %+v, %d messages, %q", n, result, f.queue.Left(), f.errorOf(key))
			}
		}
	})
}

// TestThousandDocumentsOfOneEvent has the largest event there is.
func TestThousandDocumentsOfOneEvent(t *testing.T) {
	f := newFixture()
	var ids []string
	for n := range 1000 {
		ids = append(ids, fmt.Sprint(n+1))
	}
	names := []string{"check.created", "w2.created", "w2_set.created", "anydocument.created", "bank_statement.created", "a.created", "b.created", "c.created"}
	key := f.keep(t, version1, data("["+strings.Join(ids, ",")+"]"), names...)
	if result := f.run(t, takesUp); result.TakenUp != 1 || f.queue.Left() != 5000 {
		t.Errorf("result %+v, %d messages", result, f.queue.Left())
	}
	f.process(t)
	if result := f.run(t, takesUp); result.Removed != 1 || f.errorOf(key) != "" {
		t.Errorf("result %+v", result)
	}
}

// meanwhile is a queue that lets somebody else write once before it answers.
type meanwhile struct {
	Queue
	write func()
}

func (m *meanwhile) Send(ctx context.Context, bodies ...string) error {
	if len(bodies) > 0 && m.write != nil {
		m.write()
		m.write = nil
	}
	return m.Queue.Send(ctx, bodies...)
}

// TestRowThatIsWrittenMeanwhileIsTakenUpOnceMore has the event come under another name
// while it is taken up, and the row go meanwhile.
func TestRowThatIsWrittenMeanwhileIsTakenUpOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		key := f.keep(t, version1, data("5"), "check.created")
		f.Queue = &meanwhile{f.Queue, func() {
			time.Sleep(time.Second)
			f.keep(t, f.Kinds.Unsupported([]string{"check.created", "x.created"}, event.Text(data("5"))), data("5"), "check.created", "x.created")
		}}
		f.run(t, takesUp)
		if text := f.errorOf(key); f.Kinds.HasJudged(text) || f.queue.Left() != 1 {
			t.Errorf("%q, %d messages", text, f.queue.Left())
		}
		f.run(t, takesUp)
		if text := f.errorOf(key); text != f.Kinds.TakenUp() || f.queue.Left() != 2 {
			t.Errorf("%q, %d messages", text, f.queue.Left())
		}
		f.process(t)
		f.run(t, takesUp)
		if f.errorOf(key) != "" {
			t.Error("the row stays")
		}
		key = f.keep(t, version1, data("6"), "check.created")
		f.Queue = &meanwhile{f.Queue, func() {
			row, err := f.Kept.Read(t.Context(), []string{key})
			if err = errors.Join(err, f.Kept.Remove(t.Context(), row[0])); err != nil {
				t.Error(err)
			}
		}}
		if f.run(t, takesUp); f.errorOf(key) != "" {
			t.Error("the row is back")
		}
	})
}

// stale is a reader of the index that has not heard of the last write.
type stale struct {
	Kept
	row store.Row
}

func (s stale) Pages(context.Context) iter.Seq2[[]store.Row, error] {
	return func(yield func([]store.Row, error) bool) { yield([]store.Row{s.row}, nil) }
}

func TestIndexThatIsBehindChangesNothing(t *testing.T) {
	f := newFixture()
	key := f.keep(t, f.Kinds.Unsupported([]string{"parse.created"}, "{}"), data("5"), "parse.created")
	f.seed(t, "check#1", store.Row{Status: store.Processed, Created: theCreated})
	for _, id := range []string{key, "unsupported#gone", "check#1"} {
		f.Kept = stale{store.NewKept(f.rows, "table"), store.Row{ID: id, Status: store.Unsupported, Error: version1}}
		if result := f.run(t, takesUp); result != (reconciliation.Result{}) || f.queue.Left() != 0 || len(f.rows.Items()) != 2 {
			t.Errorf("%s: %+v", id, result)
		}
	}
}

// faulty fails once, at a call: before it has an effect, or after.
type faulty struct {
	Kept
	Table
	Queue

	left  int
	after bool
}

func try[T any](f *faulty, call func() (T, error)) (result T, err error) {
	if f.left--; f.left != 0 {
		return call()
	}
	if f.after {
		_, _ = call() // what it answers is lost
	}
	return result, errDown
}

func (f *faulty) Pages(ctx context.Context) iter.Seq2[[]store.Row, error] {
	if f.left--; f.left == 0 {
		return down{}.Pages(ctx)
	}
	return f.Kept.Pages(ctx)
}

func (f *faulty) Read(ctx context.Context, ids []string) ([]store.Row, error) {
	return try(f, func() ([]store.Row, error) { return f.Kept.Read(ctx, ids) })
}

func (f *faulty) Mark(ctx context.Context, row store.Row, text string) error {
	_, err := try(f, func() (any, error) { return nil, f.Kept.Mark(ctx, row, text) })
	return err
}

func (f *faulty) Remove(ctx context.Context, row store.Row) error {
	_, err := try(f, func() (any, error) { return nil, f.Kept.Remove(ctx, row) })
	return err
}

func (f *faulty) States(ctx context.Context, ids []string) (map[string]store.State, error) {
	return try(f, func() (map[string]store.State, error) { return f.Table.States(ctx, ids) })
}

func (f *faulty) Send(ctx context.Context, bodies ...string) error {
	_, err := try(f, func() (any, error) { return nil, f.Queue.Send(ctx, bodies...) })
	return err
}

// TestNothingIsLostWhereverItStops fails each call of the runs in turn, and goes on. No row
// goes before the documents of all its names have rows, and in the end all go.
func TestNothingIsLostWhereverItStops(t *testing.T) {
	for _, after := range []bool{false, true} {
		failed := true
		for call := 1; failed; call++ {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				want := map[string][]string{
					f.keep(t, version1, data("5"), "check.created"):                      {"check#5"},
					f.keep(t, version1, data("[6,7]"), "check.created", "w2.created"):    {"check#6", "check#7", "w2#6", "w2#7"},
					f.keep(t, version1, data("[8,9]"), "anydocument.created"):            {"anydocument#8", "anydocument#9"},
					f.keep(t, version1, `{"parent_id":3,"id":null}`, "w2_set.failed"):    {"w2_set#3"},
					f.keep(t, "x (version 1)", `{"id":"4","created":""}`, "w2.created"):  {"w2#4"},
					f.keep(t, f.Kinds.TakenUp()+" with more", data("3"), "check.failed"): {"check#3"},
				}
				hasRow := map[string]bool{}
				f.rows.Wrote = func(before, after table.Item) {
					if after != nil {
						hasRow[table.Text(after, "id")] = true
						return
					}
					for _, key := range want[table.Text(before, "id")] {
						if !hasRow[key] {
							t.Errorf("call %d: a row went before %s had one", call, key)
						}
					}
				}
				faults := &faulty{f.Kept, f.Table, f.Queue, call, after}
				f.Kept, f.Table, f.Queue = faults, faults, faults
				failed = false
				for range 2 { // one of them fails
					_, err := f.Handle(t.Context(), json.RawMessage(takesUp))
					failed = failed || err != nil
					if call%2 == 0 {
						f.process(t)
					}
				}
				faults.left = 0 // no more
				f.run(t, takesUp)
				f.process(t)
				f.run(t, takesUp)
				keys := slices.Compact(f.keys(t))
				if all := slices.Sorted(maps.Keys(f.rows.Items())); !slices.Equal(keys, all) {
					t.Errorf("call %d: messages of %v, rows %v", call, keys, all)
				}
				if len(keys) != 10 {
					t.Errorf("call %d: messages of %v", call, keys)
				}
			})
		}
	}
}

// hanging has rows that take longer than a run.
type hanging struct{ Kept }

func (h hanging) Read(ctx context.Context, _ []string) ([]store.Row, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestListsHaveHalfOfTheTime has unsupported events that take longer than a run.
func TestListsHaveHalfOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.Kept = hanging{f.Kept}
		f.keep(t, version1, data("5"), "check.created")
		f.created(7, 2*time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		start := time.Now()
		result, err := f.Handle(ctx, json.RawMessage(scheduled))
		if took := time.Since(start); err != nil || result.Enqueued != 1 || result.Next != nil || took > 8*time.Minute || !strings.Contains(f.logs.String(), "the next run goes on") {
			t.Errorf("%+v, %v, after %v: %s", result, err, took, f.logs)
		}
		if result, err = f.Handle(ctx, json.RawMessage(takesUp)); err != nil || result.Next == nil || !result.Next.Unsupported {
			t.Errorf("by hand: %+v, %v", result, err)
		}
	})
}

// TestLongTakeUpGoesOn has a queue that is so slow that no run takes up all rows.
func TestLongTakeUpGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.Queue = &slow{f.Queue}
		for n := range 8 * maxKept {
			f.keep(t, version1, data(fmt.Sprint(n+1)), "check.created")
		}
		for n := range 4 * maxKept { // nobody retrieves these
			f.keep(t, f.Kinds.TakenUp(), data(fmt.Sprint(1000+n)), "check.created")
		}
		f.goOn(t, takesUp)
		if keys := slices.Compact(f.keys(t)); len(keys) != 8*maxKept {
			t.Errorf("%d documents are enqueued", len(keys))
		}
	})
}

// slow is a queue that takes three seconds.
type slow struct{ Queue }

func (s *slow) Send(ctx context.Context, bodies ...string) error {
	if len(bodies) == 0 {
		return nil
	}
	select {
	case <-time.After(3 * time.Second):
		return s.Queue.Send(ctx, bodies...)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestTableThatCannotTakeUpKeepsNoListFromBeingRead has an error at the end.
func TestTableThatCannotTakeUpKeepsNoListFromBeingRead(t *testing.T) {
	f := newFixture()
	f.Kept = down{}
	f.created(7, 2*time.Hour)
	if result, err := f.Handle(t.Context(), json.RawMessage(scheduled)); !errors.Is(err, errDown) || result.Enqueued != 1 {
		t.Errorf("%+v, %v", result, err)
	}
	if _, err := f.Handle(t.Context(), json.RawMessage(takesUp)); !errors.Is(err, errDown) || failure.ClassOf(err) != failure.Internal {
		t.Error(err)
	}
}

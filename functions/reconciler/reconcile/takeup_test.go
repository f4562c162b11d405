package reconcile

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

const keptByVersion1 = "this version does not know the event; its data is kept here"

// sentKeys returns the keys of the messages in the queue.
func (f *fixture) sentKeys(t *testing.T) (keys []string) {
	t.Helper()
	for _, body := range f.queue.Bodies() {
		m, err := event.DecodeMessage(body)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, m.Key())
	}
	return keys
}

// TestUnsupportedRowIsTakenUpOnceAndGoes is an upgrade from version 1.
func TestUnsupportedRowIsTakenUpOnceAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		const key, created = "unsupported#0123456789abcdef", "2026-01-02 03:04:05"
		f.seed(t, key, store.Row{
			Status: store.Unsupported, Error: keptByVersion1, Event: "w2_set.created", Events: []string{"w2_set.created", "w2_set.made"},
			Data: `{"parent_id": 42, "id": [5, 6], "created": "` + created + `"}`,
		})
		f.seed(t, "unsupported#1", store.Row{Status: store.Unsupported, Error: keptByVersion1, Event: "check.created", Events: []string{"check.created"}, Data: `{"id": "x"}`})
		for run, want := range []struct{ takenUp, removed, messages int }{{1, 0, 2}, {0, 0, 2}, {0, 0, 2}, {0, 1, 2}, {0, 0, 2}} {
			switch run {
			case 2: // one of them is stored
				f.seed(t, "w2#5", store.Row{Status: store.Processed, Created: created})
			case 3: // the other is stored under another kind's key
				f.seed(t, "check#6", store.Row{Status: store.Processed, Created: created})
			}
			result, err := f.Handle(t.Context(), json.RawMessage(`{"unsupported": true}`))
			if err != nil || result.TakenUp != want.takenUp || result.Removed != want.removed || len(f.queue.Bodies()) != want.messages {
				t.Errorf("run %d: %+v, %v, %d messages", run, result, err, len(f.queue.Bodies()))
			}
			row, err := f.table.Get(t.Context(), key)
			if isGone := row.Status == ""; err != nil || isGone != (run >= 3) {
				t.Errorf("run %d: row %+v, %v", run, row, err)
			}
			time.Sleep(time.Hour)
		}
		if keys := f.sentKeys(t); !slices.Equal(keys, []string{"w2#5", "w2#6"}) {
			t.Errorf("keys %v", keys)
		}
		f.Kinds, _ = event.ParseKinds("parse=parse") // once more for another table, in vain
		if result, err := f.Handle(t.Context(), json.RawMessage(`{"unsupported": true}`)); err != nil || result.TakenUp != 0 || len(f.queue.Bodies()) != 2 {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// TestListsOfOtherKindsAreRead pages through a list that is in no order.
func TestListsOfOtherKindsAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		check, _ := f.Kinds.Named("check")
		f.Lists = []event.Kind{check}
		ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.DateTime) }
		f.Veryfi = listing(func(_ time.Time, page int) veryfi.Page {
			if len(f.queue.Bodies()) > 0 {
				t.Error("enqueued before the last page")
			}
			pages := [][]veryfi.Listed{
				{{ID: 3, Created: ago(2 * time.Hour)}, {ID: 9, Created: ago(time.Minute)}}, {{ID: 1, Created: ago(5 * time.Hour)}, {ID: 3, Created: ago(2 * time.Hour)}},
			}
			return veryfi.Page{Documents: pages[page-1], IsLast: page == 2}
		})
		f.seed(t, "1", store.Row{Status: store.Processed}) // of another kind
		if _, err := f.Handle(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if keys := f.sentKeys(t); !slices.Equal(keys, []string{"check#3", "check#1"}) {
			t.Errorf("keys %v", keys)
		}
	})
}

func TestKeysOfAllKindsAreFetched(t *testing.T) {
	f := newFixture()
	f.seed(t, "7", store.Row{Status: store.Processed})
	for payload, want := range map[string]int{`{"ids": [7, "check#7"]}`: 1, `{"ids": ["7"], "again": true}`: 2} {
		before := len(f.queue.Bodies())
		result, err := f.Handle(t.Context(), json.RawMessage(payload))
		if err != nil || result.Enqueued != 1 || len(f.queue.Bodies()) != before+1 {
			t.Errorf("%s: %+v, %v, %d", payload, result, err, want)
		}
	}
	for _, id := range []string{"x#1", "bank_statement_set#1", "check#0", "x"} {
		if _, err := f.Handle(t.Context(), json.RawMessage(fmt.Sprintf(`{"ids": [%q]}`, id))); err == nil {
			t.Errorf("%s is taken", id)
		}
	}
}

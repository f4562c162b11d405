package retrieve

import (
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
)

// three is a batch with a repeated document and a message that is none.
func three() (batch []events.SQSMessage) {
	older := ready(7)
	older.Created = "2020-01-01 00:00:00"
	for _, m := range []event.Message{ready(7), ready(8), older, ready(9)} {
		batch = append(batch, record(m.Encode(), 1))
	}
	return append(batch, record("not JSON", 1))
}

// keysOf returns the keys under which documents with these numbers are looked for: their
// own, and those of other kinds.
func keysOf(ids ...string) (keys []string) {
	for _, id := range ids {
		keys = append(keys, id, "bank_statement#"+id, "w2#"+id, "check#"+id, "anydocument#"+id)
	}
	return keys
}

func TestRowsOfABatchAreReadInOneCall(t *testing.T) {
	f := newFixture()
	f.table.seed(t, store.Row{ID: "8", Status: store.Processed, Created: ready(8).Created})
	f.handle(t.Context(), t, three()...)
	if len(f.table.reads) == 0 || !slices.Equal(f.table.reads[0], keysOf("7", "8", "9")) {
		t.Fatalf("reads %v", f.table.reads)
	}
	for _, ids := range f.table.reads[1:] {
		if ids[0] != "7" { // the one that finds itself overtaken looks again
			t.Errorf("row %s was read again", ids)
		}
	}
	if slices.Contains(f.veryfi.requests, "documents/8") {
		t.Errorf("a stored document was retrieved: %v", f.veryfi.requests)
	}
}

func TestWhatIsNotReadTogetherIsReadAlone(t *testing.T) {
	for name, test := range map[string]struct {
		getAll func(map[string]store.State) error
		alone  []string
	}{
		"the call fails": {func(map[string]store.State) error { return errDown }, keysOf("8", "9")},
		"one is left out": {func(states map[string]store.State) error {
			delete(states, "8")
			return nil
		}, []string{"8"}},
	} {
		f := newFixture()
		f.table.getAll = test.getAll
		f.handle(t.Context(), t, three()...)
		alone := map[string]bool{}
		for _, ids := range f.table.reads[1:] {
			alone[ids[0]] = true
		}
		maps.DeleteFunc(alone, func(id string, _ bool) bool { return slices.Contains(keysOf("7"), id) })
		if diff := cmp.Diff(slices.Sorted(slices.Values(test.alone)), slices.Sorted(maps.Keys(alone))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, id := range []string{"7", "8", "9"} {
			if f.table.rows[id].Status != store.Processed {
				t.Errorf("%s: row %s is %+v", name, id, f.table.rows[id])
			}
		}
	}
}

func TestReconciledDocumentHasNoOtherName(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, message(event.Reconciled, 7, ""), message("check.reconciled", 7, ""))
	f.deliver(t, 1, message(event.Reconciled, 8, ""))
	if diff := cmp.Diff([][]string{{"7", "check#7"}, {"8"}}, f.table.reads); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestPostponedRecordsLookAgain holds because another record of the batch may have
// changed their row meanwhile.
func TestPostponedRecordsLookAgain(t *testing.T) {
	f := newFixture()
	f.table.seed(t, store.Row{ID: "7", Status: store.Retrying, Error: "interrupted: before", Attempts: 1})
	f.deliver(t, 2, ready(7), ready(8))
	if diff := cmp.Diff([][]string{keysOf("7", "8"), keysOf("7")}, f.table.reads); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if f.table.rows["7"].Status != store.Processed {
		t.Errorf("row %+v", f.table.rows["7"])
	}
}

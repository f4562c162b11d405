package retrieve

import (
	"fmt"
	"testing"
	"time"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/signature"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// calls are genuine ones: their names, and the data that is signed.
var calls = map[string]string{
	event.DocumentCreated:         `{"id": 7, "created": "2026-01-02 03:04:05"}`,
	event.DocumentFailed:          `{"id": 8, "created": "2026-01-02 03:04:05", "error": "no text"}`,
	event.BankStatementSetCreated: `{"parent_id": 42, "id": [9], "created": "2026-01-02 03:04:05"}`,
	event.BankStatementSetFailed:  `{"parent_id": 43, "id": [], "created": "2026-01-02 03:04:05"}`,
	event.DocumentEnriched:        `{"id": 7, "created": "2026-01-02 03:04:05"}`,
	"bank_statement.created":      `{"id": 9, "created": "2026-01-02 03:04:05"}`,
	"w2_set.created":              `{"parent_id": 44, "id": [10], "created": "2026-01-02 03:04:05"}`,
	"w2_set.failed":               `{"parent_id": 45, "id": [], "created": "2026-01-02 03:04:05"}`,
	"w2.created":                  `{"id": 10, "created": "2026-01-02 03:04:05"}`,
	"check.created":               `{"id": 11, "created": "2026-01-02 03:04:05"}`,
	"check.failed":                `{"id": 12, "created": "2026-01-02 03:04:05"}`,
	"anydocument.created":         `{"id": 13, "created": "2026-01-02 03:04:05"}`,
}

// called returns the messages of a call, as the webhook writes them.
func called(t *testing.T, name, data, requestID string) []event.Message {
	t.Helper()
	var p signature.Payload
	if err := p.Parse(fmt.Appendf(nil, `{"event": %q, "data": %s}`, name, data)); err != nil {
		t.Fatal(err)
	}
	return event.Kinds{}.Event(event.Name(&p), p.Unverified()).Messages(time.Now(), requestID)
}

// deliverAll delivers messages until each is done, and returns how many requests to
// Veryfi that took.
func (f *fixture) deliverAll(t *testing.T, messages []event.Message) (requests int) {
	t.Helper()
	before := len(f.veryfi.requests)
	for _, m := range messages {
		for n := 1; !f.deliver(t, n, m)[0]; n++ {
			if n == 100 {
				t.Fatalf("never done: %+v, row %+v", m, f.table.rows[m.Key()])
			}
		}
	}
	return len(f.veryfi.requests) - before
}

// newSwapped returns a Veryfi that has one document of each kind.
func newSwapped() *fixture {
	f := newFixture()
	numbers := map[veryfi.Resource]int64{"documents": 7, "bank-statements": 9, "w2s": 10, "checks": 11, "any-documents": 13}
	f.veryfi.get = func(resource veryfi.Resource, id int64) error {
		if numbers[resource] == id {
			return nil
		}
		return &veryfi.Error{Class: failure.NotFound, Status: 404}
	}
	return f
}

// TestCaughtCallUnderAnyNameChangesNothingThatIsStored goes through all pairs of
// names, and two that are none.
func TestCaughtCallUnderAnyNameChangesNothingThatIsStored(t *testing.T) {
	for caught, data := range calls {
		for name := range calls {
			t.Run(caught+" as "+name, func(t *testing.T) {
				f := newSwapped()
				f.deliverAll(t, called(t, caught, data, "genuine"))
				genuine := called(t, caught, data, "")[0].Key()
				before, rows, letters := f.table.rows[genuine], len(f.table.rows), len(f.sqs.DeadLetters())
				requests := f.deliverAll(t, called(t, name, data, "caught"))
				requests += f.deliverAll(t, called(t, name, data, "caught again"))
				isStored := before.Status == store.Processed
				isKeptAsData := called(t, name, data, "")[0].Task() == event.KeepData
				switch after := f.table.rows[genuine]; {
				case name == event.DocumentEnriched && after.ID == "7": // costs requests, and changes nothing else
					if after.Status != store.Processed || after.Created != before.Created || requests > 2 || len(f.table.rows) != rows {
						t.Errorf("%d requests, rows %+v", requests, f.table.rows)
					}
				case isStored && after.UpdatedAt != before.UpdatedAt:
					t.Errorf("the row is %+v", after)
				case isStored && requests > 0, requests > notFoundTries:
					t.Errorf("%d requests", requests)
				case isStored && len(f.sqs.DeadLetters()) > letters:
					t.Errorf("%d dead letters", len(f.sqs.DeadLetters()))
				case isStored && !isKeptAsData && len(f.table.rows) != rows, len(f.table.rows) > rows+1:
					t.Errorf("rows %+v", f.table.rows)
				}
			})
		}
	}
}

// TestCaughtCallUnderAnyNameBeforeTheDocumentIsStored lets the swapped call come first,
// and the genuine one be processed at any moment of its tries.
func TestCaughtCallUnderAnyNameBeforeTheDocumentIsStored(t *testing.T) {
	for caught, data := range calls {
		for name := range calls {
			for overtaken := range notFoundTries + 1 {
				t.Run(fmt.Sprintf("%s as %s, overtaken at %d", caught, name, overtaken), func(t *testing.T) {
					f := newSwapped()
					swapped := called(t, name, data, "caught")
					isDone := false
					for n := 1; n <= overtaken && !isDone; n++ {
						isDone = f.deliver(t, n, swapped[0])[0]
					}
					f.deliverAll(t, called(t, caught, data, "genuine"))
					if !isDone {
						f.deliverAll(t, swapped)
					}
					f.deliverAll(t, called(t, name, data, "caught again"))
					genuine := called(t, caught, data, "")[0].Key()
					isReady := called(t, caught, data, "")[0].Task() == event.Retrieve
					switch got := f.table.rows[genuine]; {
					case isReady && got.Status != store.Processed:
						t.Errorf("the row is %+v", got)
					case !isReady && got.Status != store.Failed && swapped[0].Key() != genuine:
						t.Errorf("the row of the failure is %+v", got)
					}
					if len(f.table.rows) > 2 || len(f.veryfi.requests) > notFoundTries+maxEnrichments+1 {
						t.Errorf("%d requests, rows %+v", len(f.veryfi.requests), f.table.rows)
					}
					for _, row := range f.table.rows {
						if row.Status == store.Retrying {
							t.Errorf("nobody will ever touch row %+v", row)
						}
					}
				})
			}
		}
	}
}

// TestJunkNamesEraseNoGenuineOne sends one caught call under a thousand names.
func TestJunkNamesEraseNoGenuineOne(t *testing.T) {
	f := newSwapped()
	data := calls[event.DocumentCreated]
	f.deliverAll(t, called(t, event.DocumentCreated, data, "genuine"))
	f.deliverAll(t, called(t, "parse.created", data, "the first"))
	for n := range 1000 {
		f.deliverAll(t, called(t, fmt.Sprint("junk ", n), data, "caught"))
	}
	f.deliverAll(t, called(t, event.BankStatementSetFailed, `{"parent_id": 42, "id": [9]}`, "other data"))
	key := called(t, "x", data, "")[0].Key()
	row := f.table.rows[key]
	if len(f.table.rows) != 3 || row.Event != "parse.created" || len(row.Events) != store.MaxEvents || row.Events[0] != "parse.created" || row.Attempts != store.MaxEvents {
		t.Errorf("%d rows, %+v", len(f.table.rows), row)
	}
}

// TestSwappedCallWaitsForTheTable reads both rows before it decides.
func TestSwappedCallWaitsForTheTable(t *testing.T) {
	f := newSwapped()
	f.deliverAll(t, called(t, event.DocumentCreated, calls[event.DocumentCreated], "genuine"))
	f.table.get = isDown
	if done := f.deliver(t, 1, called(t, event.BankStatementSetCreated, calls[event.DocumentCreated], "caught")[0]); done[0] {
		t.Error("done, and the table cannot be read")
	}
}

// TestReconciledDocumentIsRetrievedWhateverLooksSwapped finds a genuine document whose
// call looked like a swapped one.
func TestReconciledDocumentIsRetrievedWhateverLooksSwapped(t *testing.T) {
	f := newFixture()
	statement := called(t, event.BankStatementSetCreated, `{"parent_id": 42, "id": [7], "created": "2026-01-02 03:04:05"}`, "genuine")
	f.deliverAll(t, statement)
	m := message(event.DocumentCreated, 7, "2026-01-02 03:04:05")
	m.ParentID = 42
	if f.deliverAll(t, []event.Message{m}); f.table.rows["7"].ID != "" {
		t.Fatalf("row %+v", f.table.rows["7"])
	}
	m.Event = event.Reconciled
	if f.deliverAll(t, []event.Message{m}); f.table.rows["7"].Status != store.Processed {
		t.Errorf("row %+v", f.table.rows["7"])
	}
}

// TestSwappedCallEndsNoOtherOfItsBatch has it come with a genuine call and with what the
// reconciler found, about the document with the same number.
func TestSwappedCallEndsNoOtherOfItsBatch(t *testing.T) {
	for name, other := range map[string]event.Message{
		"a genuine call":       message(event.DocumentCreated, 7, "2026-01-02 03:04:04"),
		"the reconciler found": message(event.Reconciled, 7, "2026-01-02 03:04:05"),
	} {
		f := newFixture()
		f.table.seed(t, store.Row{ID: "check#7", Status: store.Processed, Created: "2026-01-02 03:04:05"})
		f.table.seed(t, store.Row{ID: "7", Status: store.Retrying, Error: "not found: x", Created: "2026-01-02 03:04:05", RequestID: "swapped", Attempts: 1})
		swapped := message(event.DocumentCreated, 7, "2026-01-02 03:04:05")
		swapped.RequestID, other.RequestID = "swapped", "swapped" // no wait between them
		if done := f.deliver(t, 2, swapped, other); !done[1] || f.table.rows["7"].Status != store.Processed || len(f.veryfi.requests) != 1 {
			t.Errorf("%s: done %v, row %+v, requests %v", name, done, f.table.rows["7"], f.veryfi.requests)
		}
	}
}

// TestSwappedRowHasADeadLetter has the queue refuse it at first, and somebody move it
// back later.
func TestSwappedRowHasADeadLetter(t *testing.T) {
	f := newSwapped()
	swapped := called(t, event.BankStatementSetCreated, calls[event.DocumentCreated], "caught")[0]
	f.deliver(t, 1, swapped)
	f.deliverAll(t, called(t, event.DocumentCreated, calls[event.DocumentCreated], "genuine"))
	f.deadLetters.send = isDown
	if done := f.deliver(t, 2, swapped); done[0] {
		t.Error("done without a dead letter")
	}
	f.deadLetters.send = nil
	if done := f.deliver(t, 3, swapped); !done[0] || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
	}
	redriven := sent(swapped.Encode(), 1, -time.Minute)
	if done := f.handle(t.Context(), t, redriven); !done[0] || len(f.sqs.DeadLetters()) != 1 {
		t.Errorf("redriven: done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
	}
}

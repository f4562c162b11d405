package retrieve

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// deleting answers a document once, and then that there is none: auto_delete.
func deleting() func(context.Context, int64) ([]byte, error) {
	gone := map[int64]bool{}
	return func(_ context.Context, id int64) ([]byte, error) {
		if gone[id] {
			return nil, &veryfi.Error{Class: failure.NotFound, Status: 404}
		}
		gone[id] = true
		return documentJSON(id), nil
	}
}

// refuseDocuments makes the table take rows, but no documents.
func (m *memoryTable) refuseDocuments() {
	m.put = func(_ context.Context, row store.Row) error {
		if row.Document != nil {
			return errDown
		}
		return nil
	}
}

// refuseAll makes the table take nothing.
func (m *memoryTable) refuseAll() {
	m.put = func(context.Context, store.Row) error { return errDown }
}

// rescued returns the only message that was sent to the queue.
func (f *fixture) rescued(t *testing.T) event.Message {
	t.Helper()
	if len(f.sqs.Bodies()) != 1 {
		t.Fatalf("%d messages sent: %s", len(f.sqs.Bodies()), f.logs)
	}
	m, err := event.DecodeMessage(f.sqs.Bodies()[0])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDocumentThatTheTableRefusesIsRescued(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = deleting()
	f.table.refuseAll()
	original := ready(7)
	if done := f.deliver(t, 1, original); !done[0] {
		t.Fatalf("the queue has the document, and the message is not done: %s", f.logs)
	}
	m := f.rescued(t)
	if m.Document == nil || m.RetrievedAt.IsZero() || m.Attempts != 1 {
		t.Errorf("sent %+v", m)
	}
	if strings.Contains(f.logs.String(), `"msg":"stored"`) {
		t.Errorf("nothing is stored, and the log says so: %s", f.logs)
	}
	m2 := m
	m2.Document, m2.RetrievedAt, m2.Attempts = nil, time.Time{}, 0
	if m2.Encode() != original.Encode() {
		t.Errorf("without the document the message is %s", m2.Encode())
	}

	f.table.put = nil
	if done := f.deliver(t, 1, m); !done[0] || len(f.veryfi.requests) != 1 {
		t.Errorf("done %v, requests %v", done, f.veryfi.requests)
	}
	row := f.table.rows["7"]
	if row.Status != store.Processed || string(row.Document.JSON) != string(documentJSON(7)) || !row.RetrievedAt.Equal(m.RetrievedAt) || row.Attempts != 2 {
		t.Errorf("row %+v", row)
	}
}

func TestRescueIsSentOnceAndThenDelayed(t *testing.T) {
	f := newFixture()
	f.veryfi.answer = deleting()
	f.table.refuseDocuments()
	f.deliver(t, 1, ready(7))
	m := f.rescued(t)
	for n := 1; n < maxTries; n++ {
		if done := f.deliver(t, n, m); done[0] {
			t.Fatalf("try %d: done", n)
		}
		if f.delay(m) < FirstWait {
			t.Fatalf("try %d: waits %v", n, f.delay(m))
		}
		if row := f.table.rows["7"]; row.Status != store.Retrying || !strings.HasPrefix(row.Error, "rescued: ") || row.Attempts != n+1 {
			t.Fatalf("try %d: row %+v", n, row)
		}
	}
	if len(f.sqs.Bodies()) != 1 || len(f.veryfi.requests) != 1 {
		t.Errorf("%d messages, requests %v", len(f.sqs.Bodies()), f.veryfi.requests)
	}
	if done := f.deliver(t, maxTries, m); !done[0] || !slices.Equal(f.sqs.DeadLetters(), []string{m.Encode()}) || f.table.rows["7"].Status != store.Error {
		t.Errorf("last try: done %v, %d dead letters, row %+v", done, len(f.sqs.DeadLetters()), f.table.rows["7"])
	}
	// Somebody moves it back.
	f.table.put = nil
	if done := f.deliver(t, 1, m); !done[0] || f.table.rows["7"].Status != store.Processed || len(f.veryfi.requests) != 1 {
		t.Errorf("after the redrive: done %v, row %+v", done, f.table.rows["7"])
	}
}

func TestRowSaysThatTheDocumentIsInTheQueue(t *testing.T) {
	f := newFixture()
	f.table.refuseDocuments()
	f.deliver(t, 1, ready(7))
	if row := f.table.rows["7"]; row.Status != store.Retrying || !strings.HasPrefix(row.Error, "rescued: ") || row.Document != nil || !row.RetrievedAt.IsZero() {
		t.Errorf("row %+v", row)
	}
}

// TestMissingDocumentThatIsKeptIsNoError delivers a message a second time.
func TestMissingDocumentThatIsKeptIsNoError(t *testing.T) {
	t.Run("in the queue", func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = deleting()
		f.table.refuseDocuments()
		f.deliver(t, 1, ready(7))
		before := f.table.rows["7"]
		if done := f.deliver(t, 1, ready(7)); !done[0] || f.table.rows["7"].Error != before.Error || len(f.sqs.DeadLetters()) != 0 {
			t.Errorf("done %v, row %+v", done, f.table.rows["7"])
		}
	})
	t.Run("in the table", func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = deleting()
		f.deliver(t, 1, ready(7))
		later := message(event.DocumentCreated, 7, "2026-02-02 03:04:05")
		if done := f.deliver(t, 5, later); !done[0] || f.table.rows["7"].Status != store.Processed || len(f.sqs.DeadLetters()) != 0 {
			t.Errorf("done %v, row %+v", done, f.table.rows["7"])
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = refusing(failure.NotFound, 404)
		f.table.seed(t, store.Row{ID: "7", Status: store.Error, Error: "rescued: once", Created: ready(7).Created})
		if done := f.deliver(t, 1, ready(7)); done[0] {
			t.Error("done")
		}
	})
}

// TestDocumentIsKeptWhenAnythingTakesItInTime has table and queue refuse until
// one of them comes back.
func TestDocumentIsKeptWhenAnythingTakesItInTime(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		for _, first := range []string{"table", "queue", "neither"} {
			t.Run(fmt.Sprintf("%s comes back, hangs %v", first, hangs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFixture()
					f.veryfi.answer = deleting()
					back := time.Now().Add(20 * time.Second)
					down := func(ctx context.Context, name string) error {
						if first == name && !time.Now().Before(back) {
							return nil
						}
						if hangs {
							<-ctx.Done()
						}
						return errDown
					}
					f.table.put = func(ctx context.Context, _ store.Row) error { return down(ctx, "table") }
					f.queue.send = func(ctx context.Context) error { return down(ctx, "queue") }
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					start := time.Now()
					done := f.handle(ctx, t, record(ready(7).Encode(), 1))
					took := time.Since(start)
					switch first {
					case "table":
						if !done[0] || f.table.rows["7"].Status != store.Processed {
							t.Errorf("done %v, row %+v", done, f.table.rows["7"])
						}
					case "queue":
						if !done[0] || f.rescued(t).Document == nil {
							t.Errorf("done %v", done)
						}
					case "neither":
						if done[0] || took < 55*time.Second || !strings.Contains(f.logs.String(), "it is lost") {
							t.Errorf("done %v after %v: %s", done, took, f.logs)
						}
					}
				})
			})
		}
	}
}

// TestRequestLeavesTimeToKeepTheDocument holds because one that was retrieved a second
// before the time-out could not be kept.
func TestRequestLeavesTimeToKeepTheDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f.veryfi.answer = func(asked context.Context, id int64) ([]byte, error) {
			end, _ := asked.Deadline()
			if until, _ := ctx.Deadline(); until.Sub(end) < storeReserve {
				t.Errorf("a request may end %v before the time-out", until.Sub(end))
			}
			return documentJSON(id), nil
		}
		f.handle(ctx, t, record(ready(7).Encode(), 1))
		if len(f.veryfi.requests) != 1 {
			t.Errorf("requests %v", f.veryfi.requests)
		}
	})
}

// TestEveryDocumentThatFitsTheTableFitsTheQueue takes documents that do not get
// smaller by compression.
func TestEveryDocumentThatFitsTheTableFitsTheQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, element := range map[string]func() string{
		"escapes": func() string { return fmt.Sprintf(`"\u%04x\u%04x"`, 0x4e00+random.IntN(20000), random.IntN(0xd800)) },
		"numbers": func() string { return fmt.Sprintf(`%d`, 1+random.Uint64N(1<<62)) },
		"strings": func() string { return fmt.Sprintf(`"%016x"`, random.Uint64()) },
	} {
		t.Run(name, func(t *testing.T) {
			elements := make([]string, 100_000)
			for i := range elements {
				elements[i] = element()
			}
			body := func(n int) []byte {
				return fmt.Appendf(nil, `{"id": 7, "list": [%s]}`, strings.Join(elements[:n], ","))
			}
			largest := sort.Search(len(elements), func(n int) bool {
				d, err := document.Read(body(n), 7)
				return err != nil || d.NativeSize > document.MaxItemSize-1024 || d.Native == nil
			}) - 1
			f := newFixture()
			f.veryfi.answer = answering(string(body(largest)), nil)
			f.table.refuseAll()
			if done := f.deliver(t, 1, ready(7)); !done[0] {
				t.Fatalf("%d elements: %s", largest, f.logs)
			}
			if size := len(f.sqs.Bodies()[0]); size > queue.MaxBody || size < 200<<10 {
				t.Errorf("the message has %d bytes", size)
			}
			f.table.put = nil
			if done := f.deliver(t, 1, f.rescued(t)); !done[0] || f.table.rows["7"].Status != store.Processed {
				t.Errorf("%d elements do not fit the table: %s", largest, f.logs)
			}
		})
	}
}

// hexes returns a document that is too large for the table, with n random words.
func hexes(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%016x", random.Uint64())
	}
	return fmt.Sprintf(`{"id": 7, "hex": %q}`, b.String())
}

// TestDeadLetterOfATooLargeDocumentHasItWhereItFits protects one that Veryfi
// deletes after the first request.
func TestDeadLetterOfATooLargeDocumentHasItWhereItFits(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		has  bool
	}{
		"fits":     {hexes(60_000), true},
		"fits not": {hexes(100_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			f.veryfi.answer = answering(test.body, nil)
			if done := f.deliver(t, 1, ready(7)); !done[0] || len(f.sqs.DeadLetters()) != 1 || len(f.sqs.Bodies()) != 0 {
				t.Fatalf("done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
			}
			m, err := event.DecodeMessage(f.sqs.DeadLetters()[0])
			if err != nil || (m.Document != nil) != test.has || m.ID != 7 {
				t.Errorf("%v; has the document: %v", err, m.Document != nil)
			}
			if done := f.deliver(t, 1, m); test.has && (!done[0] || len(f.veryfi.requests) != 1) {
				t.Errorf("after a redrive: done %v, requests %v", done, f.veryfi.requests)
			}
		})
	}
}

func TestDocumentInAMessageThatIsNone(t *testing.T) {
	for name, document := range map[string][]byte{
		"empty":          {},
		"no gzip":        []byte("confidential"),
		"no document":    gzipped(t, `["confidential"]`),
		"another":        gzipped(t, `{"id": 8, "s": "confidential"}`),
		"a bomb":         gzipped(t, `{"id": 7, "s": "`+strings.Repeat("0", 9<<20)+`"}`),
		"half a gzip":    gzipped(t, `{"id": 7, "s": "confidential"}`)[:20],
		"in progress":    gzipped(t, `{"id": 7, "status": "in_progress"}`),
		"half a message": gzipped(t, `{"id": 7, "s": "confid`),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			m := ready(7)
			m.Document = document
			done := f.deliver(t, 1, m)
			if len(document) == 0 { // as if there were none
				if !done[0] || len(f.veryfi.requests) != 1 {
					t.Errorf("done %v, requests %v", done, f.veryfi.requests)
				}
				return
			}
			if !done[0] || !slices.Equal(f.sqs.DeadLetters(), []string{m.Encode()}) || len(f.veryfi.requests) != 0 {
				t.Errorf("done %v, %d dead letters, requests %v", done, len(f.sqs.DeadLetters()), f.veryfi.requests)
			}
			row := f.table.rows["7"]
			if row.Status != store.Error || !strings.HasPrefix(row.Error, "malformed: ") || strings.Contains(row.Error+f.logs.String(), "confid") {
				t.Errorf("row %+v, log %s", row, f.logs)
			}
		})
	}
}

// TestDocumentInAMessageIsStoredOverAllButADocument delivers the only copy there is
// where a copy of its call has left a row that ends others.
func TestDocumentInAMessageIsStoredOverAllButADocument(t *testing.T) {
	m := ready(7)
	m.Document, m.RequestID = gzipped(t, string(documentJSON(7))), "r2"
	missing := store.Row{ID: "7", Status: store.Error, Error: "not found: 404", Created: m.Created, RequestID: "r1"}
	failed := store.Row{ID: "7", Status: store.Failed, Error: "no text", Created: m.Created, RequestID: "r1"}
	for name, test := range map[string]struct {
		event string
		rows  []store.Row
	}{
		"none":      {event.DocumentCreated, nil},
		"missing":   {event.DocumentCreated, []store.Row{missing}},
		"failed":    {event.DocumentCreated, []store.Row{failed}},
		"statement": {event.BankStatementSetCreated, []store.Row{{ID: "7", Status: store.Processed, Created: m.Created}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, refuses := range []bool{false, true} {
				f, m := newFixture(), m
				m.Event = test.event
				for _, row := range test.rows {
					f.table.seed(t, row)
				}
				if refuses { // which must not erase it either
					f.table.refuseDocuments()
					if done := f.deliver(t, 1, m); done[0] || f.table.rows[m.Key()].Class() != failure.Rescued {
						t.Errorf("refused: done %v, row %+v", done, f.table.rows[m.Key()])
					}
					f.table.put = nil
				}
				if done := f.deliver(t, 2, m); !done[0] || f.table.rows[m.Key()].Document == nil || len(f.veryfi.requests) != 0 {
					t.Errorf("done %v, row %+v, requests %v", done, f.table.rows[m.Key()], f.veryfi.requests)
				}
			}
		})
	}
}

// TestMissingDocumentThatWasStoredMeanwhileIsNoError has another delivery store it
// while this one asks for it.
func TestMissingDocumentThatWasStoredMeanwhileIsNoError(t *testing.T) {
	f := newFixture()
	later := message(event.DocumentCreated, 7, "2026-02-02 03:04:05")
	f.veryfi.answer = func(context.Context, int64) ([]byte, error) {
		f.table.seed(t, store.Row{ID: "7", Status: store.Processed, Created: ready(7).Created})
		return nil, &veryfi.Error{Class: failure.NotFound, Status: 404}
	}
	if done := f.deliver(t, 5, later); !done[0] || len(f.sqs.DeadLetters()) != 0 {
		t.Errorf("done %v, %d dead letters", done, len(f.sqs.DeadLetters()))
	}
}

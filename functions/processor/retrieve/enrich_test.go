package retrieve

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// enrichment returns an enrichment of document 7, by default of the time of its creation.
func enrichment(of ...string) event.Message {
	m := ready(7)
	m.Version, m.Event, m.RequestID = 2, event.DocumentEnriched, "enriched"
	if of != nil {
		m.Created = of[0]
	}
	return m
}

// growing returns documents that are richer with each request.
func (f *fixture) growing() {
	f.veryfi.answer = func(_ context.Context, id int64) ([]byte, error) {
		return fmt.Appendf(nil, `{"id": %d, "requests": %d}`, id, len(f.veryfi.requests)), nil
	}
}

func (f *fixture) requestsInRow() string {
	return strings.TrimSuffix(strings.TrimPrefix(string(f.table.rows["7"].Document.JSON), `{"id": 7, "requests": `), "}")
}

func TestEnrichmentReplacesAStoredDocument(t *testing.T) {
	for created, want := range map[string]string{
		ready(7).Created: "2", "2026-01-02T03:04:05Z": "2", "2026-01-03 00:00:00": "2", "": "2", "soon": "2", // times that are none
		"2026-01-01 00:00:00": "1", // of a notification before the stored one
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			f.growing()
			m := ready(7)
			m.ParentID = 42
			f.deliver(t, 1, m)
			time.Sleep(time.Second)
			if done := f.deliver(t, 1, enrichment(created)); !done[0] || f.requestsInRow() != want {
				t.Errorf("created %q: done %v, row %+v", created, done, f.table.rows["7"])
			}
			row := f.table.rows["7"]
			if _, ok := event.CreatedTime(row.Created); !ok || row.Status != store.Processed || row.ParentID != 42 {
				t.Errorf("created %q: row %+v", created, row)
			}
		})
	}
}

// TestEnrichmentAloneIsRetrieved has the one call about a document for which somebody
// waited.
func TestEnrichmentAloneIsRetrieved(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, enrichment())
	if row := f.table.rows["7"]; row.Status != store.Processed || row.Event != event.DocumentEnriched || len(row.Enrichments) != 0 {
		t.Errorf("row %+v", row)
	}
	if f.deliver(t, 1, ready(7)); len(f.veryfi.requests) != 1 {
		t.Errorf("requests %v", f.veryfi.requests)
	}
}

// TestEnrichmentsCostThreeRequestsInADay sends a thousand, forged or not, over three days.
func TestEnrichmentsCostThreeRequestsInADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.growing()
		f.deliver(t, 1, ready(7))
		var requests []time.Time
		for range 1000 {
			time.Sleep(260 * time.Second)
			before := len(f.veryfi.requests)
			if done := f.deliver(t, 1, enrichment()); !done[0] {
				t.Fatal("a forged one waits")
			}
			if len(f.veryfi.requests) > before {
				requests = append(requests, time.Now())
			}
		}
		if len(requests) != 3*maxEnrichments+1 { // 260,000 s are three days, and a little
			t.Errorf("%d requests", len(requests))
		}
		for i := maxEnrichments; i < len(requests); i++ {
			if took := requests[i].Sub(requests[i-maxEnrichments]); took < enrichmentPeriod {
				t.Errorf("four requests in %v", took)
			}
		}
	})
}

// TestConcurrentEnrichmentsShareTheirLimit runs them in as many environments, all of which
// have read the row before the first notes its request.
func TestConcurrentEnrichmentsShareTheirLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.deliver(t, 1, ready(7))
		f.veryfi.requests = nil
		f.table.getAll = func(map[string]store.State) error {
			time.Sleep(time.Second)
			return nil
		}
		done := make(chan bool)
		for range 20 {
			go func() { done <- f.deliver(t, 1, enrichment())[0] }()
		}
		for range 20 {
			if !<-done {
				t.Error("one waits")
			}
		}
		if len(f.veryfi.requests) != maxEnrichments || len(f.table.rows["7"].Enrichments) != maxEnrichments {
			t.Errorf("requests %v, row %+v", f.veryfi.requests, f.table.rows["7"])
		}
	})
}

func TestEnrichmentTakesNothingAway(t *testing.T) {
	for name, refused := range map[string]*veryfi.Error{
		"deleted": {Class: failure.NotFound, Status: 404}, "down": {Class: failure.Unavailable, Status: 503},
		"refused": {Class: failure.Refused, Status: 400}, "large": {Class: failure.TooLarge, Status: 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture()
			f.deliver(t, 1, ready(7))
			before := f.table.rows["7"]
			f.veryfi.answer = answering("", refused)
			done := f.deliver(t, 1, enrichment())
			if row := f.table.rows["7"]; row.Status != store.Processed || row.Document != before.Document {
				t.Errorf("%s: row %+v", name, row)
			}
			letters := len(f.sqs.DeadLetters())
			switch name {
			case "deleted":
				if !done[0] || letters != 0 {
					t.Errorf("%s: done %v, %d dead letters", name, done, letters)
				}
			case "down":
				if wait := f.delay(enrichment()); done[0] || wait < enrichmentWait {
					t.Errorf("%s: done %v, comes again after %v", name, done, wait)
				}
			default:
				if !done[0] || letters != 1 {
					t.Errorf("%s: done %v, %d dead letters", name, done, letters)
				}
			}
		})
	}
}

// TestEnrichmentOutlastsAnOutage keeps the message that has asked in vain until it may ask
// again, and gives it up like any other.
func TestEnrichmentOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.GiveUpAfter = 48 * time.Hour
		f.growing()
		f.deliver(t, 1, ready(7))
		f.veryfi.requests = nil
		growing := f.veryfi.answer
		f.veryfi.answer = answering("", &veryfi.Error{Class: failure.Unavailable, Status: 503})
		sentAt, n := time.Now(), 1
		deliver := func(atMost time.Duration) (done bool) {
			for !done && time.Since(sentAt) < atMost {
				done = f.handle(t.Context(), t, sent(enrichment().Encode(), n, time.Since(sentAt)))[0]
				n++
				time.Sleep(time.Hour)
			}
			return done
		}
		if deliver(20 * time.Hour) {
			t.Fatal("done in the outage")
		}
		if len(f.veryfi.requests) != maxEnrichments {
			t.Errorf("requests %v", f.veryfi.requests)
		}
		f.veryfi.answer = growing
		if !deliver(26*time.Hour) || f.requestsInRow() != "4" {
			t.Errorf("row %+v", f.table.rows["7"])
		}
		f.veryfi.answer = answering("", &veryfi.Error{Class: failure.Unavailable, Status: 503})
		time.Sleep(enrichmentPeriod)
		sentAt, n = time.Now(), 1
		if !deliver(MaxAge) || n < maxTries || time.Since(sentAt) < f.GiveUpAfter || len(f.sqs.DeadLetters()) != 1 || f.table.rows["7"].Status != store.Processed {
			t.Errorf("given up after %d tries and %v, %d dead letters, row %+v", n, time.Since(sentAt), len(f.sqs.DeadLetters()), f.table.rows["7"])
		}
	})
}

// TestEnrichmentThatIsMovedBackWaits has an operator redrive it when no request is left.
func TestEnrichmentThatIsMovedBackWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.growing()
		f.deliver(t, 1, ready(7))
		m := enrichment()
		for range maxEnrichments + 1 {
			m.ReceivedAt = time.Now().Add(-30 * time.Second)
			if done := f.deliver(t, 1, m); !done[0] {
				t.Fatal("a fresh one waits")
			}
		}
		time.Sleep(time.Hour)
		if done := f.deliver(t, 1, m); done[0] || f.delay(m) < enrichmentWait {
			t.Errorf("done %v, comes again after %v", done, f.delay(m))
		}
		time.Sleep(enrichmentPeriod)
		if done := f.deliver(t, 1, m); !done[0] || f.requestsInRow() != "5" {
			t.Errorf("done %v, row %+v", done, f.table.rows["7"])
		}
	})
}

// TestOfTwoRetrievalsTheLaterOneStays has the writes overtake each other.
func TestOfTwoRetrievalsTheLaterOneStays(t *testing.T) {
	for _, names := range [][2]string{
		{event.DocumentEnriched, event.DocumentEnriched}, {event.DocumentCreated, event.DocumentEnriched}, {event.DocumentEnriched, event.DocumentCreated},
	} {
		for _, isStored := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				f.growing()
				if isStored {
					f.deliver(t, 1, ready(7))
				}
				slow := make(chan struct{})
				f.table.put = func(_ context.Context, row store.Row) error {
					if row.RequestID == "slow" {
						<-slow
					}
					return nil
				}
				first, second := enrichment(), enrichment()
				first.Event, first.RequestID, second.Event = names[0], "slow", names[1]
				done := make(chan bool)
				go func() { done <- f.deliver(t, 1, first)[0] }()
				synctest.Wait()
				time.Sleep(time.Second)
				if !f.deliver(t, 1, second)[0] {
					t.Error("not done")
				}
				before := f.table.rows["7"]
				close(slow)
				if !<-done || f.table.rows["7"].Document != before.Document {
					t.Errorf("%v, stored %v: row %+v", names, isStored, f.table.rows["7"])
				}
			})
		}
	}
}

// TestRescuedEnrichmentIsStored has the table refuse the document, and Veryfi delete it.
func TestRescuedEnrichmentIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.growing()
		f.deliver(t, 1, ready(7))
		time.Sleep(time.Second + time.Microsecond) // a row keeps milliseconds
		f.table.put = func(_ context.Context, row store.Row) error {
			if row.Document != nil {
				return errDown
			}
			return nil
		}
		if done := f.deliver(t, 1, enrichment()); !done[0] || len(f.sqs.Bodies()) != 1 || f.requestsInRow() != "1" {
			t.Fatalf("done %v, %d messages, row %+v", done, len(f.sqs.Bodies()), f.table.rows["7"])
		}
		rescued := record(f.sqs.Bodies()[0], 1)
		for range maxEnrichments { // no request is left
			f.deliver(t, 1, enrichment())
		}
		if done := f.handle(t.Context(), t, rescued); done[0] || f.queue.delays[f.receipts[rescued.Body]] >= enrichmentWait {
			t.Errorf("done %v while the table refuses it, waits %v", done, f.queue.delays[f.receipts[rescued.Body]])
		}
		f.table.put = nil
		f.veryfi.answer = answering("", &veryfi.Error{Class: failure.NotFound, Status: 404})
		if done := f.handle(t.Context(), t, rescued, rescued); !done[0] || !done[1] || f.requestsInRow() != "2" || len(f.veryfi.requests) != 1+maxEnrichments {
			t.Errorf("done %v, row %+v, requests %v", done, f.table.rows["7"], f.veryfi.requests)
		}
		before := f.table.rows["7"]
		if f.handle(t.Context(), t, rescued); f.table.rows["7"].UpdatedAt != before.UpdatedAt {
			t.Errorf("row %+v", f.table.rows["7"])
		}
	})
}

// TestEnrichmentWaitsForARescuedDocument would find nothing to replace.
func TestEnrichmentWaitsForARescuedDocument(t *testing.T) {
	f := newFixture()
	f.table.seed(t, store.Row{ID: "7", Status: store.Retrying, Error: "rescued: x", Created: ready(7).Created})
	if done := f.deliver(t, 1, enrichment()); done[0] || len(f.veryfi.requests) != 0 || f.delay(enrichment()) == 0 {
		t.Errorf("done %v, requests %v", done, f.veryfi.requests)
	}
}

// TestAgainHasNoLimit is what an operator asks for, after forged enrichments.
func TestAgainHasNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.growing()
		f.deliver(t, 1, ready(7))
		for range 5 {
			f.deliver(t, 1, enrichment())
		}
		for range 5 {
			time.Sleep(time.Second)
			m := message(event.Reconciled, 7, "")
			m.Version, m.Again = 2, true
			f.deliver(t, 1, m)
		}
		if row := f.table.rows["7"]; f.requestsInRow() != "9" || row.Created != ready(7).Created || len(row.Enrichments) != maxEnrichments {
			t.Errorf("row %+v", row)
		}
	})
}

// TestEnrichmentIsNotedBeforeTheRequest counts requests that end with the function, too.
func TestEnrichmentIsNotedBeforeTheRequest(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, ready(7))
	f.veryfi.answer = func(ctx context.Context, id int64) ([]byte, error) {
		if row, err := f.table.Table.Get(ctx, "7"); err != nil || len(row.Enrichments) != 1 {
			t.Errorf("state %+v, %v", row, err)
		}
		return documentJSON(id), nil
	}
	f.deliver(t, 1, enrichment())
}

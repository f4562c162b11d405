package retrieve

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// TestEveryTryIsCountedOnce delivers a message half a minute after its webhook came.
func TestEveryTryIsCountedOnce(t *testing.T) {
	refused := func(f *fixture) { f.table.refuseAll() }
	for name, test := range map[string]struct {
		event   string
		receive int
		change  func(*fixture)
		want    map[string]float64
	}{
		"stored": {event.DocumentCreated, 1, nil, map[string]float64{"Veryfi2xx": 1, "VeryfiLatency": 5, "Retrieved": 1, "Stored": 1, "TimeToRow": 30_000}},
		"failed": {event.DocumentFailed, 1, nil, map[string]float64{"Recorded failed": 1}},
		"not ready": {
			event.DocumentCreated, 1, func(f *fixture) { f.veryfi.answer = refusing(failure.Unavailable, 503) },
			map[string]float64{"Veryfi5xx": 1, "VeryfiLatency": 5, "Retried unavailable": 1, "RetryAge": 30},
		},
		"credentials": {
			event.DocumentCreated, 1, func(f *fixture) { f.veryfi.answer = refusing(failure.CredentialsRefused, 401) },
			map[string]float64{"Veryfi4xx": 1, "VeryfiLatency": 5, "Retried credentials refused": 1, "RetryAge": 30, "CredentialsRefused": 1},
		},
		"refused": {
			event.DocumentCreated, 1, func(f *fixture) { f.veryfi.answer = refusing(failure.Refused, 400) },
			map[string]float64{"Veryfi4xx": 1, "VeryfiLatency": 5, "GivenUp refused": 1},
		},
		"last try": {
			event.DocumentCreated, maxTries, func(f *fixture) { f.veryfi.answer = refusing(failure.Unavailable, 503) },
			map[string]float64{"Veryfi5xx": 1, "VeryfiLatency": 5, "GivenUp unavailable": 1},
		},
		"table refuses the document": {
			event.DocumentCreated, 1, refused, map[string]float64{"Veryfi2xx": 1, "VeryfiLatency": 5, "Retrieved": 1, "Rescued": 1, "TableFailures": 1},
		},
		"table cannot be read": {
			event.DocumentCreated, 1, func(f *fixture) { f.table.get = isDown },
			map[string]float64{"Retried table": 1, "RetryAge": 30, "TableFailures": 1},
		},
		"table refuses a failure": {
			event.DocumentFailed, 1, refused, map[string]float64{"Retried table": 1, "RetryAge": 30, "TableFailures": 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				if test.change != nil {
					test.change(f)
				}
				m := message(test.event, 7, "2026-01-02 03:04:05")
				m.ReceivedAt = time.Now().Add(-30 * time.Second)
				f.deliver(t, test.receive, m)
				if diff := cmp.Diff(test.want, cloudwatch.Counted(f.logs.String())); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestARedrivenDocumentIsNoOldOne has a transient failure on the first day after a
// dead letter was moved back.
func TestARedrivenDocumentIsNoOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.veryfi.answer = refusing(failure.Unavailable, 503)
		m := message(event.DocumentCreated, 7, "2026-01-02 03:04:05")
		m.ReceivedAt = time.Now().Add(-72 * time.Hour)
		redriven := record(m.Encode(), 1)
		redriven.Attributes["SentTimestamp"] = strconv.FormatInt(time.Now().Add(-10*time.Second).UnixMilli(), 10)
		f.handle(t.Context(), t, redriven)
		if diff := cmp.Diff(map[string]float64{"Veryfi5xx": 1, "VeryfiLatency": 5, "Retried unavailable": 1, "RetryAge": 10}, cloudwatch.Counted(f.logs.String())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOnlyWhatIsWrittenIsCounted loses races: against a document that another
// delivery has stored meanwhile.
func TestOnlyWhatIsWrittenIsCounted(t *testing.T) {
	for name, test := range map[string]struct {
		event string
		want  map[string]float64
	}{
		"a document": {event.DocumentCreated, map[string]float64{"Veryfi2xx": 1, "VeryfiLatency": 5, "Retrieved": 1}},
		"a failure":  {event.DocumentFailed, map[string]float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				stored := store.Row{ID: "7", Status: store.Processed, Created: "2026-01-02 03:04:05"}
				f.table.put = func(context.Context, store.Row) error {
					f.table.put = nil
					f.table.seed(t, stored)
					return nil
				}
				f.deliver(t, 1, message(test.event, 7, stored.Created))
				if diff := cmp.Diff(test.want, cloudwatch.Counted(f.logs.String())); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestUnsupportedEventIsCounted(t *testing.T) {
	f := newFixture()
	f.deliver(t, 1, event.Message{Version: 1, Event: "parse.created", Data: `{"id": 5}`})
	if diff := cmp.Diff(map[string]float64{"Recorded unsupported": 1}, cloudwatch.Counted(f.logs.String())); diff != "" {
		t.Error(diff)
	}
}

// TestDocumentsExpireOnlyWhenTheyAreStored holds because a row that needs attention
// must not go by itself.
func TestDocumentsExpireOnlyWhenTheyAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.Retention = 30 * 24 * time.Hour
		f.deliver(t, 1, ready(7))
		f.deliver(t, 1, message(event.DocumentFailed, 8, "2026-01-02 03:04:05"))
		if got, want := f.table.rows["7"].ExpiresAt, time.Now().Add(30*24*time.Hour); !got.Equal(want) {
			t.Errorf("a stored document expires at %v, not at %v", got, want)
		}
		if got := f.table.rows["8"].ExpiresAt; !got.IsZero() {
			t.Errorf("a failed one expires at %v", got)
		}
		f.Retention = 0
		f.deliver(t, 1, ready(9))
		if got := f.table.rows["9"].ExpiresAt; !got.IsZero() {
			t.Errorf("with no retention it expires at %v", got)
		}
	})
}

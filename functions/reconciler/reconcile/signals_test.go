package reconcile

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

func TestEveryRunIsCountedOnce(t *testing.T) {
	refused := func(_ *testing.T, f *fixture) {
		f.veryfi.answer = func() error { return &veryfi.Error{Class: failure.CredentialsRefused, Status: 401} }
	}
	for name, test := range map[string]struct {
		payload string
		change  func(*testing.T, *fixture)
		want    map[string]float64
	}{
		"nothing is missing": {scheduled, nil, map[string]float64{"Veryfi2xx": 12, "Reconciled scheduled": 0}},
		"the same by hand":   {"{}", nil, map[string]float64{"Veryfi2xx": 12, "Reconciled by hand": 0}},
		"asked for by hand":  {`{"ids": [5, 6]}`, nil, map[string]float64{"Reconciled by hand": 2}},
		"a row is stale": {scheduled, func(t *testing.T, f *fixture) {
			t.Helper()
			f.seed(t, 7, store.Row{Status: store.Retrying, Event: event.DocumentCreated, UpdatedAt: time.Now().Add(-14 * time.Hour)})
		}, map[string]float64{"Veryfi2xx": 12, "Reconciled scheduled": 0, "Stale": 1}},
		"credentials refused": {scheduled, refused, map[string]float64{"Veryfi4xx": 1, "Reconciled scheduled": 0, "CredentialsRefused": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			if test.change != nil {
				test.change(t, f)
			}
			_, _ = f.Handle(t.Context(), json.RawMessage(test.payload)) // the log says how it went
			if diff := cmp.Diff(test.want, cloudwatch.Counted(f.logs.String())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

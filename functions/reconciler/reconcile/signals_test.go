package reconcile

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

func TestEveryRunIsCountedOnce(t *testing.T) {
	refused := func(f *fixture) {
		f.veryfi.answer = func() error { return &veryfi.Error{Class: failure.CredentialsRefused, Status: 401} }
	}
	for name, test := range map[string]struct {
		payload string
		change  func(*fixture)
		want    map[string]float64
	}{
		"nothing is missing": {scheduled, nil, map[string]float64{"Veryfi2xx": 12, "Reconciled scheduled": 0}},
		"the same by hand":   {"{}", nil, map[string]float64{"Veryfi2xx": 12, "Reconciled by hand": 0}},
		"asked for by hand":  {`{"ids": [5, 6]}`, nil, map[string]float64{"Reconciled by hand": 2}},
		"a row is stale": {scheduled, func(f *fixture) {
			f.table.stale = []store.Row{{ID: "7", Status: store.Retrying, Event: event.DocumentCreated, Created: "2026-01-01 03:04:05"}}
		}, map[string]float64{"Veryfi2xx": 12, "Reconciled scheduled": 0, "Stale": 1}},
		"credentials refused": {scheduled, refused, map[string]float64{"Veryfi4xx": 1, "Reconciled scheduled": 0, "CredentialsRefused": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			if test.change != nil {
				test.change(f)
			}
			_, _ = f.Handle(t.Context(), json.RawMessage(test.payload)) // the log says how it went
			if diff := cmp.Diff(test.want, cloudwatch.Counted(f.logs.String())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

package metrics_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/metrics"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// line returns what a log line with these values is.
func line(t *testing.T, stack string, values ...metrics.Value) map[string]any {
	t.Helper()
	var out bytes.Buffer
	recorder := metrics.New(stack, func() time.Time { return noon })
	slog.New(slog.NewJSONHandler(&out, nil)).Info("stored", slog.String("document_id", "1"), recorder.Of(values...))
	var members map[string]any
	if err := json.Unmarshal(out.Bytes(), &members); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	delete(members, "time")
	delete(members, "level")
	delete(members, "msg")
	return members
}

func TestALogLineIsADataPoint(t *testing.T) {
	t.Parallel()
	got := line(t, "prod", metrics.Stored.One(), metrics.TimeToRow.Took(1234567*time.Microsecond), metrics.Retried.For("not found", 1))
	want := map[string]any{
		"document_id": "1",
		"_aws": map[string]any{
			"Timestamp": float64(noon.UnixMilli()),
			"CloudWatchMetrics": []any{
				map[string]any{
					"Namespace": "VeryfiIntake", "Dimensions": []any{[]any{"Stack"}},
					"Metrics": []any{map[string]any{"Name": "Stored"}, map[string]any{"Name": "TimeToRow", "Unit": "Milliseconds"}},
				},
				map[string]any{
					"Namespace": "VeryfiIntake", "Dimensions": []any{[]any{"Stack", "Class"}},
					"Metrics": []any{map[string]any{"Name": "Retried"}},
				},
			},
		},
		"Stack": "prod", "Class": "not found", "Stored": 1.0, "TimeToRow": 1234.0, "Retried": 1.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestADurationIsInTheUnitOfItsMetric(t *testing.T) {
	t.Parallel()
	const took = 90*time.Second + 7*time.Millisecond
	got := line(t, "prod", metrics.TimeToRow.Took(took), metrics.RetryAge.Took(took))
	if got["TimeToRow"] != 90_007.0 || got["RetryAge"] != 90.0 {
		t.Errorf("%v ms, %v s", got["TimeToRow"], got["RetryAge"])
	}
}

func TestAllValuesOfAMetricAreKept(t *testing.T) {
	t.Parallel()
	got := line(t, "prod", metrics.VeryfiLatency.Is(10), metrics.Veryfi4xx.One(), metrics.VeryfiLatency.Is(20))
	if diff := cmp.Diff([]any{10.0, 20.0}, got["VeryfiLatency"]); diff != "" {
		t.Error(diff)
	}
	if text, _ := json.Marshal(got["_aws"]); strings.Count(string(text), "VeryfiLatency") != 1 {
		t.Errorf("named more than once: %s", text)
	}
	var many []metrics.Value
	for range 150 {
		many = append(many, metrics.VeryfiLatency.Is(1))
	}
	if n := len(line(t, "prod", many...)["VeryfiLatency"].([]any)); n != 100 {
		t.Errorf("%d values; CloudWatch takes a hundred and drops the line otherwise", n)
	}
}

func TestWithoutAStackNothingIsCounted(t *testing.T) {
	t.Parallel()
	want := map[string]any{"document_id": "1"}
	if diff := cmp.Diff(want, line(t, "", metrics.Stored.One())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, line(t, "prod")); diff != "" {
		t.Error(diff)
	}
}

func TestEachStatusHasItsMetric(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]metrics.Metric{
		0: metrics.VeryfiNoAnswer, 200: metrics.Veryfi2xx, 299: metrics.Veryfi2xx, 300: metrics.Veryfi4xx, 302: metrics.Veryfi4xx, 404: metrics.Veryfi4xx,
		429: metrics.Veryfi429, 500: metrics.Veryfi5xx, 504: metrics.Veryfi5xx,
	} {
		if got := metrics.OfStatus(status); got != want {
			t.Errorf("%d is %s", status, got.Name)
		}
	}
}

func TestNamesAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{"_aws": true, metrics.Stack: true}
	for _, m := range metrics.All() {
		if seen[m.Name] || m.Name == "" || reflect.ValueOf(m.Unit).String() == "" {
			t.Errorf("%+v", m)
		}
		seen[m.Name] = true
	}
}

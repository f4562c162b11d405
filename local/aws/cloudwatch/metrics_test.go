package cloudwatch

import (
	"testing"
	"time"

	"veryfi-intake/deployment/template"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestLinesAreDataPoints(t *testing.T) {
	t.Parallel()
	var m Metrics
	for _, line := range []string{
		`{"message":"x","_aws":{"Timestamp":1767355200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["A"],["A","B"]],"Metrics":[{"Name":"M"}]}]},"A":"a","B":"b","M":[1,2]}`,
		`{"message":"x","_aws":{"Timestamp":1767355200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["A"]],"Metrics":[{"Name":"M"}]}]},"A":"a","M":4}`,
		`{"message":"no dimension","_aws":{"Timestamp":1767355200000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["A"]],"Metrics":[{"Name":"M"}]}]},"M":8}`,
		`{"message":"about \"_aws\""}`, `"_aws"`, "text",
	} {
		m.AddLine(line)
	}
	if got := m.Sum("N", "M", map[string]string{"A": "a"}); got != 7 {
		t.Errorf("by one dimension the sum is %v", got)
	}
	if got := m.Sum("N", "M", map[string]string{"B": "b", "A": "a"}); got != 3 {
		t.Errorf("by two dimensions the sum is %v", got)
	}
	if got := m.Sum("N", "M", map[string]string{"A": "b"}); got != 0 {
		t.Errorf("of others the sum is %v", got)
	}
}

// TestSilence has hours with webhooks, hours without, and hours in which nothing was
// there to count them.
func TestSilence(t *testing.T) {
	t.Parallel()
	query := func(id, metric, stat string) (q template.MetricQuery) {
		q.ID = id
		q.MetricStat.Metric.Namespace, q.MetricStat.Metric.MetricName = "N", metric
		q.MetricStat.Period, q.MetricStat.Stat = 3600, stat
		return q
	}
	silence := template.Alarm{
		Metrics:           []template.MetricQuery{{ID: "e", Expression: "FILL(a, 0) + 0 * b"}, query("a", "Accepted", "Sum"), query("b", "Waiting", "Maximum")},
		EvaluationPeriods: 3, Threshold: 1, ComparisonOperator: "LessThanThreshold", TreatMissingData: "notBreaching",
	}
	var m Metrics
	hours := func(of string, ago ...int) {
		for _, n := range ago {
			m.Add("N", of, nil, noon.Add(-time.Duration(n)*time.Hour-time.Minute), 1)
		}
	}
	state := func(want, when string) {
		t.Helper()
		if got := m.State(silence, noon); got != want {
			t.Errorf("%s: %s", when, got)
		}
	}
	state(Quiet, "nothing is there")
	hours("Waiting", 0, 1)
	state(Quiet, "a stack of two hours")
	hours("Waiting", 2, 3)
	state(Firing, "three hours without a webhook")
	hours("Accepted", 3)
	state(Firing, "four hours ago there was one")
	hours("Accepted", 1)
	state(Quiet, "two hours ago there was one")
	silence.Metrics[0].Expression = "FILL(a, 0) / b"
	state(Quiet, "an expression that nobody knows")
	silence.TreatMissingData = ""
	state(Unknown, "an expression that nobody knows has no data")
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	alarm := func(change func(*template.Alarm)) template.Alarm {
		a := template.Alarm{
			Namespace: "N", MetricName: "M", Dimensions: []template.Dimension{{Name: "A", Value: "a"}}, Statistic: "Sum", Period: 300,
			EvaluationPeriods: 1, Threshold: 3, ComparisonOperator: "GreaterThanOrEqualToThreshold", TreatMissingData: "notBreaching",
		}
		change(&a)
		return a
	}
	var m Metrics
	m.Add("N", "M", map[string]string{"A": "a"}, noon.Add(-7*time.Minute), 2)
	m.Add("N", "M", map[string]string{"A": "a"}, noon.Add(-time.Minute), 2)
	m.Add("N", "M", map[string]string{"A": "a"}, noon.Add(-time.Minute), 1)
	for name, test := range map[string]struct {
		change func(*template.Alarm)
		want   string
	}{
		"the sum of the last period": {func(*template.Alarm) {}, Firing},
		"a maximum":                  {func(a *template.Alarm) { a.Statistic = "Maximum" }, Quiet},
		"both periods":               {func(a *template.Alarm) { a.EvaluationPeriods = 2 }, Quiet},
		"one of two":                 {func(a *template.Alarm) { a.EvaluationPeriods, a.DatapointsToAlarm = 2, 1 }, Firing},
		"both are over two":          {func(a *template.Alarm) { a.EvaluationPeriods, a.Threshold = 2, 2 }, Firing},
		"and not more than two": {func(a *template.Alarm) {
			a.EvaluationPeriods, a.Threshold, a.ComparisonOperator = 2, 2, "GreaterThanThreshold"
		}, Quiet},
		"less than four":                     {func(a *template.Alarm) { a.Threshold, a.ComparisonOperator = 4, "LessThanThreshold" }, Firing},
		"less than three":                    {func(a *template.Alarm) { a.ComparisonOperator = "LessThanThreshold" }, Quiet},
		"another metric, no data":            {func(a *template.Alarm) { a.MetricName = "O" }, Quiet},
		"no data is what it waits for":       {func(a *template.Alarm) { a.MetricName, a.TreatMissingData = "O", "breaching" }, Firing},
		"no data says nothing":               {func(a *template.Alarm) { a.MetricName, a.TreatMissingData = "O", "missing" }, Unknown},
		"the dimension is of another stack":  {func(a *template.Alarm) { a.Dimensions[0].Value = "b" }, Quiet},
		"a period that has nothing any more": {func(a *template.Alarm) { a.Period = 30 }, Quiet},
	} {
		if got := m.State(alarm(test.change), noon); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

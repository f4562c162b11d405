// Package cloudwatch stands in for CloudWatch on one machine: metrics, which it also
// reads out of log lines, alarms over them, and logs. It answers the few calls that
// the operator's command makes, see [Server].
package cloudwatch

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/metrics"
)

// kept is how long data points are kept.
const kept = 24 * time.Hour

// Metrics are data points by the second. They may be used by any number of
// goroutines. The zero value is ready for use.
type Metrics struct {
	mu     sync.Mutex
	series map[string][]point
}

// A point is what came in one second.
type point struct {
	at           time.Time
	sum, maximum float64
}

// key names a metric by its dimensions in any order.
func key(namespace, name string, dimensions map[string]string) string {
	parts := []string{namespace, name}
	for _, d := range slices.Sorted(maps.Keys(dimensions)) {
		parts = append(parts, d, dimensions[d])
	}
	return strings.Join(parts, "\x00")
}

// Add adds a data point.
func (m *Metrics) Add(namespace, name string, dimensions map[string]string, at time.Time, value float64) {
	at = at.Truncate(time.Second)
	k := key(namespace, name, dimensions)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.series == nil {
		m.series = map[string][]point{}
	}
	points := slices.DeleteFunc(m.series[k], func(p point) bool { return at.Sub(p.at) > kept })
	if i := slices.IndexFunc(points, func(p point) bool { return p.at.Equal(at) }); i >= 0 {
		points[i].sum, points[i].maximum = points[i].sum+value, max(points[i].maximum, value)
	} else {
		points = append(points, point{at, value, value})
	}
	m.series[k] = points
}

// AddLine adds the data points of a log line in the embedded metric format. Other
// lines have none. What the format does not allow is dropped, as CloudWatch does.
func (m *Metrics) AddLine(line string) {
	var head struct {
		AWS *struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
	}
	if !strings.Contains(line, `"_aws"`) || json.Unmarshal([]byte(line), &head) != nil || head.AWS == nil {
		return
	}
	var members map[string]any
	if json.Unmarshal([]byte(line), &members) != nil {
		return
	}
	for _, directive := range head.AWS.CloudWatchMetrics {
		for _, names := range directive.Dimensions {
			dimensions := map[string]string{}
			for _, name := range names {
				dimensions[name], _ = members[name].(string)
			}
			if slices.Contains(slices.Collect(maps.Values(dimensions)), "") {
				continue
			}
			for _, metric := range directive.Metrics {
				for _, value := range numbers(members[metric.Name]) {
					m.Add(directive.Namespace, metric.Name, dimensions, time.UnixMilli(head.AWS.Timestamp), value)
				}
			}
		}
	}
}

// numbers returns what a member of a log line has, one number or several.
func numbers(member any) (numbers []float64) {
	several, ok := member.([]any)
	if !ok {
		several = []any{member}
	}
	for _, one := range several {
		if number, ok := one.(float64); ok {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// Sum returns the sum of all data points that are kept.
func (m *Metrics) Sum(namespace, name string, dimensions map[string]string) float64 {
	all, _ := m.between(key(namespace, name, dimensions), time.Time{}, time.Now().Add(kept))
	return all.sum
}

// between returns the data points from since until before until as one. It is not ok
// when there are none.
func (m *Metrics) between(key string, since, until time.Time) (all point, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.series[key] {
		if p.at.Before(since) || !p.at.Before(until) {
			continue
		}
		if !ok {
			all.maximum = p.maximum
		}
		all.sum, all.maximum, ok = all.sum+p.sum, max(all.maximum, p.maximum), true
	}
	return all, ok
}

// The states of an alarm.
const (
	Firing  = "ALARM"
	Quiet   = "OK"
	Unknown = "INSUFFICIENT_DATA"
)

// State returns the state of an alarm: whether enough of its last periods breach the
// threshold, the last of which ends now. Unlike CloudWatch it looks no further back.
func (m *Metrics) State(a template.Alarm, now time.Time) string {
	period, value := m.watched(a)
	needed := cmp.Or(a.DatapointsToAlarm, a.EvaluationPeriods)
	breaching, missing := 0, 0
	until := now.Truncate(time.Second).Add(time.Second)
	for range a.EvaluationPeriods {
		point, ok := value(until.Add(-period), until)
		switch {
		case !ok:
			missing++
		case breaches(a, point):
			breaching++
		}
		until = until.Add(-period)
	}
	if a.TreatMissingData == "breaching" {
		breaching += missing
	}
	switch {
	case breaching >= needed:
		return Firing
	case missing == a.EvaluationPeriods && (a.TreatMissingData == "" || a.TreatMissingData == "missing"):
		return Unknown
	default:
		return Quiet
	}
}

// A reading returns the value between two times, and whether there is one.
type reading func(since, until time.Time) (float64, bool)

// filled is the one kind of expression that is known: a metric with a number where it
// has no data, at the times at which another has data.
var filled = regexp.MustCompile(`^FILL\((\w+), (\d+)\) \+ 0 \* (\w+)$`)

// watched returns how long an alarm's periods are, and what it watches. An unknown
// expression has no data.
func (m *Metrics) watched(a template.Alarm) (time.Duration, reading) {
	if a.Metrics == nil {
		return time.Duration(a.Period) * time.Second, m.reading(a.Statistic, a.Namespace, a.MetricName, a.Dimensions)
	}
	var period time.Duration
	byID, names := map[string]reading{}, []string(nil)
	for _, q := range a.Metrics {
		if stat := q.MetricStat; q.Expression == "" {
			byID[q.ID] = m.reading(stat.Stat, stat.Metric.Namespace, stat.Metric.MetricName, stat.Metric.Dimensions)
			period = time.Duration(stat.Period) * time.Second
		} else {
			names = filled.FindStringSubmatch(q.Expression)
		}
	}
	if names == nil || byID[names[1]] == nil || byID[names[3]] == nil {
		return period, func(time.Time, time.Time) (float64, bool) { return 0, false }
	}
	return period, func(since, until time.Time) (float64, bool) {
		point, ok := byID[names[1]](since, until)
		if !ok {
			point, _ = strconv.ParseFloat(names[2], 64)
		}
		_, ok = byID[names[3]](since, until)
		return point, ok
	}
}

func (m *Metrics) reading(statistic, namespace, name string, of []template.Dimension) reading {
	dimensions := map[string]string{}
	for _, d := range of {
		dimensions[d.Name] = d.Value
	}
	k := key(namespace, name, dimensions)
	return func(since, until time.Time) (float64, bool) {
		all, ok := m.between(k, since, until)
		if statistic == "Sum" {
			return all.sum, ok
		}
		return all.maximum, ok
	}
}

func breaches(a template.Alarm, value float64) bool {
	switch a.ComparisonOperator {
	case "GreaterThanOrEqualToThreshold":
		return value >= a.Threshold
	case "GreaterThanThreshold":
		return value > a.Threshold
	case "LessThanThreshold":
		return value < a.Threshold
	default:
		return value <= a.Threshold
	}
}

// Counted returns the sums of the metrics in log lines, named by their name and the
// values of their dimensions but the stack's: "Retried not found".
func Counted(lines string) map[string]float64 {
	var m Metrics
	for line := range strings.Lines(lines) {
		m.AddLine(line)
	}
	sums := map[string]float64{}
	for k, points := range m.series {
		parts := strings.Split(k, "\x00")
		words := []string{parts[1]}
		for i := 3; i < len(parts); i += 2 {
			if parts[i-1] != metrics.Stack {
				words = append(words, parts[i])
			}
		}
		for _, p := range points {
			sums[strings.Join(words, " ")] += p.sum
		}
	}
	return sums
}

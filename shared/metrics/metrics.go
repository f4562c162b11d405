// Package metrics names what the functions count, and writes it into their log
// lines in CloudWatch's embedded metric format: the line that says what happened
// is the data point, too, and no call is made.
//
// The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package metrics

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"time"
)

const (
	// Namespace is where CloudWatch keeps all metrics of all stacks.
	Namespace = "VeryfiIntake"
	// Stack is the dimension that every metric has: the stack's name.
	Stack = "Stack"
)

// A Unit is one of CloudWatch's.
type Unit string

// Units.
const (
	Count        Unit = "Count"
	Milliseconds Unit = "Milliseconds"
	Seconds      Unit = "Seconds"
)

// A Metric is what CloudWatch knows by a name.
type Metric struct {
	Name string
	Unit Unit
	// By is a second dimension, or "".
	By string
}

// Metrics of the webhook function. What is Received is accepted, rejected, answered 503, or
// a verification code.
var (
	Received        = Metric{"Received", Count, ""}
	Accepted        = Metric{"Accepted", Count, ""}
	Rejected        = Metric{"Rejected", Count, "Reason"}
	EnqueueFailures = Metric{"EnqueueFailures", Count, ""}
	SecretFailures  = Metric{"SecretFailures", Count, ""} // not filled, or cannot be read
)

// Metrics of the processor function. Veryfi's answers are those of the reconciler,
// too.
var (
	Retrieved     = Metric{"Retrieved", Count, ""}
	Stored        = Metric{"Stored", Count, ""}
	Recorded      = Metric{"Recorded", Count, "Status"} // a row without a document: failed, unsupported
	Retried       = Metric{"Retried", Count, "Class"}
	GivenUp       = Metric{"GivenUp", Count, "Class"}
	Rescued       = Metric{"Rescued", Count, ""}       // documents that the table refused, and the queue has
	TableFailures = Metric{"TableFailures", Count, ""} // tries that failed because of the table
	// TimeToRow is the time from the webhook to the stored document, RetryAge the age of a
	// message in the queue when a try failed that was not the last.
	TimeToRow = Metric{"TimeToRow", Milliseconds, ""}
	RetryAge  = Metric{"RetryAge", Seconds, ""}

	CredentialsRefused = Metric{"CredentialsRefused", Count, ""}
	VeryfiLatency      = Metric{"VeryfiLatency", Milliseconds, ""}
	Veryfi2xx          = Metric{"Veryfi2xx", Count, ""}
	Veryfi4xx          = Metric{"Veryfi4xx", Count, ""} // but for 429
	Veryfi429          = Metric{"Veryfi429", Count, ""}
	Veryfi5xx          = Metric{"Veryfi5xx", Count, ""}
	VeryfiNoAnswer     = Metric{"VeryfiNoAnswer", Count, ""}
)

// Metrics of the reconciler function: documents that had no row, by who asked for the
// run, and rows that have been retrying for too long. It has enqueued both.
var (
	Reconciled = Metric{"Reconciled", Count, "Run"}
	Stale      = Metric{"Stale", Count, ""}
)

// All returns every metric there is.
func All() []Metric {
	return []Metric{
		Received, Accepted, Rejected, EnqueueFailures, SecretFailures,
		Retrieved, Stored, Recorded, Retried, GivenUp, Rescued, TableFailures, TimeToRow, RetryAge,
		CredentialsRefused, VeryfiLatency, Veryfi2xx, Veryfi4xx, Veryfi429, Veryfi5xx, VeryfiNoAnswer,
		Reconciled, Stale,
	}
}

// OfStatus returns the metric of an HTTP status that Veryfi has answered with, 0 for
// none.
func OfStatus(status int) Metric {
	switch {
	case status == 429:
		return Veryfi429
	case status >= 500:
		return Veryfi5xx
	case status >= 300: // a redirection is not followed
		return Veryfi4xx
	case status > 0:
		return Veryfi2xx
	default:
		return VeryfiNoAnswer
	}
}

// A Value is one data point.
type Value struct {
	metric Metric
	by     string
	number float64
}

// Is returns a data point of a metric with no second dimension.
func (m Metric) Is(number float64) Value { return Value{m, "", number} }

// One is Is(1).
func (m Metric) One() Value { return m.Is(1) }

// Took is Is of a duration, in the metric's unit, to the millisecond or second.
func (m Metric) Took(d time.Duration) Value {
	if m.Unit == Seconds {
		return m.Is(float64(d / time.Second))
	}
	return m.Is(float64(d / time.Millisecond))
}

// For returns a data point of a metric with a second dimension.
func (m Metric) For(by string, number float64) Value { return Value{m, by, number} }

// A Recorder writes the metrics of one stack.
type Recorder struct {
	stack string
	now   func() time.Time
}

// New returns a recorder for the stack with that name. With no name it writes
// nothing: CloudWatch has no empty dimensions.
func New(stack string, now func() time.Time) Recorder { return Recorder{stack, now} }

// Of returns what makes data points of a log line: the attribute `_aws`, and those
// that it names. Values of one metric are all kept, up to the hundred that
// CloudWatch takes; those with a second dimension must agree in it.
func (r Recorder) Of(values ...Value) slog.Attr {
	if r.stack == "" || len(values) == 0 {
		return slog.Attr{}
	}
	head := make([]byte, 0, 256)
	head = append(head, `{"Timestamp":`...)
	head = strconv.AppendInt(head, r.now().UnixMilli(), 10)
	head = append(head, `,"CloudWatchMetrics":[`...)
	attrs := make([]slog.Attr, 1, 2+len(values))
	attrs = append(attrs, slog.String(Stack, r.stack))
	directives := 0
	for _, by := range dimensions(values) {
		if directives++; directives > 1 {
			head = append(head, ',')
		}
		head = append(head, `{"Namespace":"`+Namespace+`","Dimensions":[["`+Stack+`"`...)
		if by != "" {
			head = append(head, `,"`+by+`"`...)
		}
		head = append(head, `]],"Metrics":[`...)
		names := 0
		for i, v := range values {
			if v.metric.By != by || seenBefore(values[:i], v.metric) {
				continue
			}
			if names++; names > 1 {
				head = append(head, ',')
			}
			head = append(head, `{"Name":"`+v.metric.Name+`"`...)
			if v.metric.Unit != Count { // CloudWatch shows a count without a unit in the same way
				head = append(head, `,"Unit":"`+string(v.metric.Unit)+`"`...)
			}
			head = append(head, '}')
			if by != "" && names == 1 {
				attrs = append(attrs, slog.String(by, v.by))
			}
			attrs = append(attrs, slog.Any(v.metric.Name, numbers(values[i:], v.metric)))
		}
		head = append(head, `]}`...)
	}
	head = append(head, `]}`...)
	attrs[0] = slog.Any("_aws", json.RawMessage(head))
	return slog.Attr{Value: slog.GroupValue(attrs...)} // with no key, they are the line's own
}

// dimensions returns the second dimensions of values, each once.
func dimensions(values []Value) (found []string) {
	for _, v := range values {
		if !slices.Contains(found, v.metric.By) {
			found = append(found, v.metric.By)
		}
	}
	return found
}

func seenBefore(values []Value, m Metric) bool {
	return slices.ContainsFunc(values, func(v Value) bool { return v.metric == m })
}

// numbers returns the values of a metric as the format has them: a number, or a list.
func numbers(values []Value, m Metric) any {
	const most = 100 // of the format
	var all []float64
	for _, v := range values {
		if v.metric == m && len(all) < most {
			all = append(all, v.number)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

package template

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The resource types that are read.
const (
	queueType    = "AWS::SQS::Queue"
	tableType    = "AWS::DynamoDB::Table"
	functionType = "AWS::Serverless::Function"
	alarmType    = "AWS::CloudWatch::Alarm"
)

// A Queue is an SQS queue's settings.
type Queue struct {
	VisibilityTimeout time.Duration
	Retention         time.Duration
	// DeadLetterQueue is the logical id of the queue that takes messages
	// received MaxReceiveCount times, "" without redrive.
	DeadLetterQueue string
	MaxReceiveCount int
	MaximumSize     int // of a message, in bytes
}

// Queue returns the settings of a queue. What the template leaves out is as SQS
// has it: 30 s, 4 days and 1 MiB.
func (t *Template) Queue(id string) (Queue, error) {
	properties := struct {
		VisibilityTimeout, MessageRetentionPeriod int
		MaximumMessageSize                        int
		RedrivePolicy                             struct {
			DeadLetterTargetArn string `json:"deadLetterTargetArn"`
			MaxReceiveCount     int    `json:"maxReceiveCount"`
		}
	}{VisibilityTimeout: 30, MessageRetentionPeriod: 345600, MaximumMessageSize: 1 << 20}
	err := t.decode(id, queueType, t.Names(), &properties)
	return Queue{
		VisibilityTimeout: time.Duration(properties.VisibilityTimeout) * time.Second,
		Retention:         time.Duration(properties.MessageRetentionPeriod) * time.Second,
		DeadLetterQueue:   properties.RedrivePolicy.DeadLetterTargetArn,
		MaxReceiveCount:   properties.RedrivePolicy.MaxReceiveCount,
		MaximumSize:       properties.MaximumMessageSize,
	}, err
}

// A Table is a DynamoDB table's settings, named as in CloudFormation and in
// DynamoDB's API.
type Table struct {
	BillingMode            string
	AttributeDefinitions   []struct{ AttributeName, AttributeType string }
	KeySchema              []Key
	GlobalSecondaryIndexes []struct {
		IndexName  string
		KeySchema  []Key
		Projection struct {
			ProjectionType   string
			NonKeyAttributes []string
		}
	}
	TimeToLiveSpecification struct {
		AttributeName string
		Enabled       bool
	}
	StreamSpecification struct{ StreamViewType string } // empty for no stream
}

// A Key is one attribute of a key, HASH or RANGE.
type Key struct{ AttributeName, KeyType string }

// Table returns the settings of a table.
func (t *Template) Table(id string) (Table, error) {
	var table Table
	err := t.decode(id, tableType, t.Names(), &table)
	return table, err
}

// A Function is a Lambda function's settings. Of its events there is at most
// one route of an HTTP API, one queue and one schedule.
type Function struct {
	Architecture string // arm64 or x86_64
	Timeout      time.Duration
	MemorySize   int // MB
	Environment  map[string]string
	Route        *Route
	Source       *Source
	Schedule     *Schedule
}

// A Schedule is when EventBridge invokes a function, such as "rate(1 hour)", and
// whether it does.
type Schedule struct {
	Expression string
	Enabled    bool
}

// A Route is the method (or ANY) and path of an HTTP API's route.
type Route struct{ Method, Path string }

// A Source is an event source mapping for a queue.
type Source struct {
	// Queue is the logical id.
	Queue                   string
	BatchSize               int
	Window                  time.Duration
	MaximumConcurrency      int // 0 is no limit
	ReportBatchItemFailures bool
}

// Function returns the settings of a function, its variables resolved with the
// references. What the template leaves out is as SAM and Lambda have it.
func (t *Template) Function(id string, references References) (Function, error) {
	properties := struct {
		Architectures       []string
		Timeout, MemorySize int
		Environment         struct{ Variables map[string]any }
	}{Architectures: []string{"x86_64"}, Timeout: 3, MemorySize: 128}
	if err := t.decode(id, functionType, references, &properties); err != nil {
		return Function{}, err
	}
	function := Function{
		Architecture: strings.Join(properties.Architectures, " "), // there is one
		Timeout:      time.Duration(properties.Timeout) * time.Second,
		MemorySize:   properties.MemorySize,
		Environment:  map[string]string{},
	}
	for name, value := range properties.Environment.Variables {
		function.Environment[name] = fmt.Sprint(value)
	}
	err := t.events(id, &function)
	return function, err
}

func (t *Template) events(id string, function *Function) error {
	var properties struct {
		Events map[string]struct {
			Type       string
			Properties struct {
				Method, Path                   string
				Queue                          string
				BatchSize                      int
				MaximumBatchingWindowInSeconds int
				ScalingConfig                  struct{ MaximumConcurrency int }
				FunctionResponseTypes          []string
				Schedule, State                string
			}
		}
	}
	if err := t.decode(id, functionType, t.Names(), &properties); err != nil {
		return err
	}
	for name, event := range properties.Events {
		p := event.Properties
		switch event.Type {
		case "HttpApi":
			function.Route = &Route{Method: p.Method, Path: p.Path}
		case "SQS":
			function.Source = &Source{
				Queue:                   p.Queue,
				BatchSize:               cmp.Or(p.BatchSize, 10),
				Window:                  time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second,
				MaximumConcurrency:      p.ScalingConfig.MaximumConcurrency,
				ReportBatchItemFailures: slices.Contains(p.FunctionResponseTypes, "ReportBatchItemFailures"),
			}
		case "Schedule":
			function.Schedule = &Schedule{Expression: p.Schedule, Enabled: p.State != "DISABLED"}
		default:
			return fmt.Errorf("%s: the event %s of type %s is not supported", id, name, event.Type)
		}
	}
	return nil
}

// An Alarm is a CloudWatch alarm, named as in CloudFormation: on one metric, or on an
// expression over Metrics.
type Alarm struct {
	AlarmName, AlarmDescription string
	Namespace, MetricName       string
	Dimensions                  []Dimension
	Statistic                   string // Sum or Maximum
	Period                      int    // seconds
	EvaluationPeriods           int
	DatapointsToAlarm           int // 0 is EvaluationPeriods
	Threshold                   float64
	ComparisonOperator          string
	TreatMissingData            string
	AlarmActions, OKActions     []string
	Metrics                     []MetricQuery
}

// A MetricQuery is a metric that an expression has by its id, or the expression.
type MetricQuery struct {
	ID         string `json:"Id"`
	Expression string
	MetricStat struct {
		Metric struct {
			Namespace, MetricName string
			Dimensions            []Dimension
		}
		Period int
		Stat   string
	}
}

// A Dimension tells the metrics of one name apart.
type Dimension struct{ Name, Value string }

// Has reports whether a resource is created: whether it is there, and its condition
// holds.
func (t *Template) Has(id string) bool {
	r, ok := t.file.Resources[id]
	if !ok || r.Condition == "" {
		return ok
	}
	holds, err := resolver{template: t}.condition(r.Condition)
	return err == nil && holds
}

// Alarms returns the logical ids of the alarms that are created, sorted.
func (t *Template) Alarms() []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(t.file.Resources)) {
		if t.file.Resources[id].Type == alarmType && t.Has(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Alarm returns the settings of an alarm.
func (t *Template) Alarm(id string, references References) (Alarm, error) {
	var alarm Alarm
	err := t.decode(id, alarmType, references, &alarm)
	return alarm, err
}

// Outputs returns the outputs of a stack.
func (t *Template) Outputs(references References) (map[string]string, error) {
	outputs := map[string]string{}
	for name, output := range t.file.Outputs {
		value, err := resolver{t, references}.value(&output.Value)
		if err != nil {
			return nil, fmt.Errorf("the output %s: %w", name, err)
		}
		outputs[name] = fmt.Sprint(value)
	}
	return outputs, nil
}

// Parameters returns the parameters' values.
func (t *Template) Parameters() map[string]string {
	values := map[string]string{}
	for name, value := range t.parameters {
		values[name] = fmt.Sprint(value)
	}
	return values
}

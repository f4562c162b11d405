package cloudwatch

import (
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"veryfi-intake/deployment/template"
)

// A Server answers DescribeAlarms and GetMetricStatistics, in the protocol that the
// SDK for Go speaks with CloudWatch (Smithy RPC v2, CBOR).
type Server struct {
	Metrics *Metrics
	Alarms  []template.Alarm
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the client is gone
	}
	value, _ := cbor.Decode(body)
	input, ok := value.(cbor.Map)
	if !ok {
		input = cbor.Map{}
	}
	var output cbor.Map
	status := http.StatusOK
	switch operation := path.Base(r.URL.Path); operation {
	case "DescribeAlarms":
		output = s.describeAlarms(input)
	case "GetMetricStatistics":
		output = s.statistics(input)
	default:
		status = http.StatusBadRequest
		output = cbor.Map{"__type": cbor.String("UnknownOperationException"), "message": cbor.String("the stand-in does not know " + operation)}
	}
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	w.WriteHeader(status)
	_, _ = w.Write(cbor.Encode(output))
}

// alarmsInAnAnswer is few, so that callers must follow NextToken: CloudWatch has 100.
const alarmsInAnAnswer = 5

// describeAlarms finds alarms by the beginning of their names.
func (s *Server) describeAlarms(input cbor.Map) cbor.Map {
	prefix := text(input["AlarmNamePrefix"])
	first, _ := strconv.Atoi(text(input["NextToken"]))
	found, output := cbor.List{}, cbor.Map{}
	for i, a := range s.Alarms {
		if i < first || !strings.HasPrefix(a.AlarmName, prefix) {
			continue
		}
		if len(found) == alarmsInAnAnswer {
			output["NextToken"] = cbor.String(strconv.Itoa(i))
			break
		}
		found = append(found, s.describe(a))
	}
	output["MetricAlarms"] = found
	return output
}

func (s *Server) describe(a template.Alarm) cbor.Map {
	actions, dimensions := cbor.List{}, cbor.List{}
	for _, action := range a.AlarmActions {
		actions = append(actions, cbor.String(action))
	}
	for _, d := range a.Dimensions {
		dimensions = append(dimensions, cbor.Map{"Name": cbor.String(d.Name), "Value": cbor.String(d.Value)})
	}
	described := cbor.Map{
		"AlarmName":          cbor.String(a.AlarmName),
		"AlarmDescription":   cbor.String(a.AlarmDescription),
		"Namespace":          cbor.String(a.Namespace),
		"MetricName":         cbor.String(a.MetricName),
		"Dimensions":         dimensions,
		"Statistic":          cbor.String(a.Statistic),
		"Threshold":          cbor.Float64(a.Threshold),
		"Period":             cbor.Uint(a.Period),
		"EvaluationPeriods":  cbor.Uint(a.EvaluationPeriods),
		"ComparisonOperator": cbor.String(a.ComparisonOperator),
		"TreatMissingData":   cbor.String(a.TreatMissingData),
		"ActionsEnabled":     cbor.Bool(true),
		"AlarmActions":       actions,
		"StateValue":         cbor.String(s.Metrics.State(a, time.Now())),
	}
	if a.DatapointsToAlarm > 0 {
		described["DatapointsToAlarm"] = cbor.Uint(a.DatapointsToAlarm)
	}
	return described
}

// statistics returns one data point for each period that has any.
func (s *Server) statistics(input cbor.Map) cbor.Map {
	dimensions := map[string]string{}
	list, _ := input["Dimensions"].(cbor.List)
	for _, d := range list {
		if d, ok := d.(cbor.Map); ok {
			dimensions[text(d["Name"])] = text(d["Value"])
		}
	}
	since, err := cbor.AsTime(input["StartTime"])
	until, err2 := cbor.AsTime(input["EndTime"])
	seconds, err3 := cbor.AsInt64(input["Period"])
	points := cbor.List{}
	if err != nil || err2 != nil || err3 != nil || seconds < 1 {
		return cbor.Map{"Datapoints": points}
	}
	k := key(text(input["Namespace"]), text(input["MetricName"]), dimensions)
	for at := since; at.Before(until); at = at.Add(time.Duration(seconds) * time.Second) {
		end := at.Add(time.Duration(seconds) * time.Second)
		if all, ok := s.Metrics.between(k, at, end); ok {
			points = append(points, cbor.Map{
				"Timestamp": &cbor.Tag{ID: 1, Value: cbor.Float64(at.Unix())},
				"Sum":       cbor.Float64(all.sum),
				"Maximum":   cbor.Float64(all.maximum),
			})
		}
	}
	return cbor.Map{"Datapoints": points}
}

func text(value cbor.Value) string {
	s, _ := value.(cbor.String)
	return string(s)
}

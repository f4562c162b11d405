package doctor

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/metrics"
)

func TestStackMustBeDeployed(t *testing.T) {
	t.Parallel()
	for status, ok := range map[string]bool{"CREATE_COMPLETE": true, "UPDATE_COMPLETE": true, "UPDATE_ROLLBACK_COMPLETE": false, "UPDATE_ROLLBACK_FAILED": false, "DELETE_FAILED": false, "UPDATE_FAILED": false, "UPDATE_IN_PROGRESS": false} {
		found, err := doctor{Stack: &deployment.Stack{Status: status}}.stack(t.Context())
		if err != nil || len(found) != 1 || found[0].OK != ok {
			t.Errorf("%s: %v, %v", status, found, err)
		}
	}
}

func TestQueuesAreHeldAgainstTheTemplate(t *testing.T) {
	t.Parallel()
	documents := map[string]string{
		"VisibilityTimeout": "361", "MessageRetentionPeriod": "864000",
		"RedrivePolicy": `{"maxReceiveCount": 60, "deadLetterTargetArn": "arn:dead"}`,
	}
	deadLetters := map[string]string{"QueueArn": "arn:dead", "MessageRetentionPeriod": "1209600", "MaximumMessageSize": "1048576"}
	want := template.Queue{VisibilityTimeout: 361 * time.Second, Retention: 10 * 24 * time.Hour, MaxReceiveCount: 60, MaximumSize: 1 << 20}
	wantDeadLetters := template.Queue{Retention: 14 * 24 * time.Hour, MaximumSize: 1 << 20}
	if found := queues(documents, deadLetters, want, wantDeadLetters); !found[0].OK {
		t.Errorf("as they should be: %v", found)
	}
	for name, change := range map[string][2]string{
		"VisibilityTimeout of DocumentQueue is 36":         {"VisibilityTimeout", "36"},
		"MessageRetentionPeriod of DocumentQueue is 86400": {"MessageRetentionPeriod", "86400"},
		"maxReceiveCount of DocumentQueue is 6,":           {"RedrivePolicy", `{"maxReceiveCount":"6","deadLetterTargetArn":"arn:dead"}`},
		"no DeadLetterQueue":                               {"RedrivePolicy", ""},
		"no DeadLetterQueue:":                              {"RedrivePolicy", `{"maxReceiveCount":60,"deadLetterTargetArn":"arn:other"}`},
	} {
		changed := maps.Clone(documents)
		changed[change[0]] = change[1]
		if found := queues(changed, deadLetters, want, wantDeadLetters); found[0].OK || !strings.Contains(found[0].Text, name) {
			t.Errorf("%s: %v", name, found)
		}
	}
	for name, value := range map[string]string{"MessageRetentionPeriod": "86400", "MaximumMessageSize": "262144"} {
		changed := maps.Clone(deadLetters)
		changed[name] = value
		if found := queues(documents, changed, want, wantDeadLetters); found[0].OK || !strings.Contains(found[0].Text, name+" of DeadLetterQueue is "+value) {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestEventSourceIsHeldAgainstTheTemplate(t *testing.T) {
	t.Parallel()
	want := template.Source{Queue: "DocumentQueue", BatchSize: 10, Window: time.Second, MaximumConcurrency: 5, ReportBatchItemFailures: true}
	well := lambdatypes.EventSourceMappingConfiguration{
		UUID: aws.String("uuid"), State: aws.String("Enabled"), BatchSize: aws.Int32(10), MaximumBatchingWindowInSeconds: aws.Int32(1),
		FunctionResponseTypes: []lambdatypes.FunctionResponseType{"ReportBatchItemFailures"}, ScalingConfig: &lambdatypes.ScalingConfig{MaximumConcurrency: aws.Int32(5)},
	}
	if found := polls(well, want); !found[0].OK {
		t.Errorf("as it should be: %v", found)
	}
	for says, change := range map[string]func(*lambdatypes.EventSourceMappingConfiguration){
		"mapping is Disabled. `aws lambda update-event-source-mapping --uuid uuid --enabled`": func(m *lambdatypes.EventSourceMappingConfiguration) { m.State = aws.String("Disabled") },
		"Lambda DELETES messages that were not processed":                                     func(m *lambdatypes.EventSourceMappingConfiguration) { m.FunctionResponseTypes = nil },
		"MaximumConcurrency of the event source mapping is 0":                                 func(m *lambdatypes.EventSourceMappingConfiguration) { m.ScalingConfig = nil },
		"BatchSize of the event source mapping is 100":                                        func(m *lambdatypes.EventSourceMappingConfiguration) { m.BatchSize = aws.Int32(100) },
	} {
		changed := well
		change(&changed)
		if found := polls(changed, want); found[0].OK || !strings.Contains(found[0].Text, says) {
			t.Errorf("%s: %v", says, found)
		}
	}
}

func TestAlarmIsHeldAgainstTheTemplate(t *testing.T) {
	t.Parallel()
	want := template.Alarm{
		AlarmName: "s-one", Namespace: metrics.Namespace, MetricName: "M", Statistic: "Sum", Period: 300, EvaluationPeriods: 1, Threshold: 3,
		ComparisonOperator: "GreaterThanOrEqualToThreshold", TreatMissingData: "notBreaching", AlarmActions: []string{"topic"},
		Dimensions: []template.Dimension{{Name: "Stack", Value: "s"}, {Name: "Reason", Value: "r"}},
	}
	quiet := cloudwatchtypes.MetricAlarm{
		AlarmName: aws.String("s-one"), Namespace: aws.String(metrics.Namespace), MetricName: aws.String("M"), Statistic: "Sum", Period: aws.Int32(300), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(3),
		ComparisonOperator: cloudwatchtypes.ComparisonOperatorGreaterThanOrEqualToThreshold, TreatMissingData: aws.String("notBreaching"),
		Dimensions:     []cloudwatchtypes.Dimension{{Name: aws.String("Reason"), Value: aws.String("r")}, {Name: aws.String("Stack"), Value: aws.String("s")}},
		ActionsEnabled: aws.Bool(true), AlarmActions: []string{"topic"}, StateValue: cloudwatchtypes.StateValueOk,
	}
	if found := alarm(quiet, want); found != nil {
		t.Errorf("a quiet one: %v", found)
	}
	for says, change := range map[string]func(*cloudwatchtypes.MetricAlarm){
		"within the last 5 minutes. do this": func(a *cloudwatchtypes.MetricAlarm) {
			a.StateValue, a.AlarmDescription = "ALARM", aws.String("do this")
		},
		"does not tell":         func(a *cloudwatchtypes.MetricAlarm) { a.ActionsEnabled = aws.Bool(false) },
		"does not tell the":     func(a *cloudwatchtypes.MetricAlarm) { a.AlarmActions = []string{"another topic"} },
		"Statistic of s-one":    func(a *cloudwatchtypes.MetricAlarm) { a.Statistic = "Average" },
		"DatapointsToAlarm of":  func(a *cloudwatchtypes.MetricAlarm) { a.DatapointsToAlarm = aws.Int32(2) },
		"what s-one looks at":   func(a *cloudwatchtypes.MetricAlarm) { a.Dimensions = nil },
		"Threshold of s-one":    func(a *cloudwatchtypes.MetricAlarm) { a.Threshold = aws.Float64(30) },
		"Period of s-one":       func(a *cloudwatchtypes.MetricAlarm) { a.Period = aws.Int32(60) },
		"MetricName of s-one":   func(a *cloudwatchtypes.MetricAlarm) { a.MetricName = aws.String("O") },
		"TreatMissingData of s": func(a *cloudwatchtypes.MetricAlarm) { a.TreatMissingData = aws.String("missing") },
	} {
		changed := quiet
		change(&changed)
		if found := alarm(changed, want); len(found) != 1 || found[0].OK || !strings.Contains(found[0].Text, says) {
			t.Errorf("%s: %v", says, found)
		}
	}
}

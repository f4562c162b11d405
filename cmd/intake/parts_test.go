package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/document"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/veryfi"
)

func TestNumbersAreShownToTheDigit(t *testing.T) {
	t.Parallel()
	row := item{"document": &types.AttributeValueMemberM{Value: item{
		"id":    &types.AttributeValueMemberN{Value: "9223372036854775807"},
		"rate":  &types.AttributeValueMemberN{Value: "1.2345678901234567890123456789012345678"},
		"paid":  &types.AttributeValueMemberBOOL{Value: true},
		"logo":  &types.AttributeValueMemberNULL{Value: true},
		"lines": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: "<ñ> & 'x'"}}},
	}}}
	got, err := row.document()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":9223372036854775807,"lines":["<ñ> & 'x'"],"logo":null,"paid":true,"rate":1.2345678901234567890123456789012345678}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestGzippedDocumentIsShownAsReceived(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 990) + strings.Repeat("]", 990)
	for received, want := range map[string]string{
		`{"id": 7, "status": "processed", "n": 1e400}`:                                   `{"id": 7, "status": "processed", "n": 1e400}`,
		`{"id": 7, "a": [NaN, Infinity, -Infinity], "NaN": {"Infinity": NaN}}`:           `{"id": 7, "a": ["NaN", "Infinity", "-Infinity"], "NaN": {"Infinity": "NaN"}}`,
		`{"id": 7, "b": "NaN", "-Infinity": "\" NaN", "n": -0.10e+99, "o": null}`:        `{"id": 7, "b": "NaN", "-Infinity": "\" NaN", "n": -0.10e+99, "o": null}`,
		`{"id": 7, "n": 123456789012345678901234567890123456789012345678901234567890.0}`: `{"id": 7, "n": 123456789012345678901234567890123456789012345678901234567890.0}`,
		"{\"id\": 7,\n\t\"deep\": " + deep + ", \"t\": true, \"f\": false}":              "{\"id\": 7,\n\t\"deep\": " + deep + ", \"t\": true, \"f\": false}",
	} {
		d, err := document.Read([]byte(received), 7)
		if err != nil {
			t.Fatal(err)
		}
		zipped, err := d.Gzip()
		if err != nil {
			t.Fatal(err)
		}
		got, err := item{"document_gzip": &types.AttributeValueMemberB{Value: zipped}}.document()
		if err != nil || string(got) != want || !json.Valid(got) {
			t.Errorf("%s, %v", got, err)
		}
	}
	for _, broken := range []string{"", "{", `{"a" 1}`, "nan", "Inf", "-", `"a`, "1 2", "NaNNaN", "[1,]"} {
		if got, err := strict([]byte(broken)); err == nil {
			t.Errorf("%s becomes %s", broken, got)
		}
	}
	if _, err := (item{"document_gzip": &types.AttributeValueMemberB{Value: []byte("x")}}).document(); err == nil {
		t.Error("what cannot be read is no document")
	}
	if got, err := (item{}).document(); got != nil || err != nil {
		t.Errorf("a row without a document has %s, %v", got, err)
	}
}

func TestReconcilerIsAskedForWhatIsMeant(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		command reconcileCommand
		want    string
	}{
		{reconcileCommand{}, `{}`},
		{reconcileCommand{ID: []string{"7", "8"}}, `{"ids":[7,8]}`},
		{reconcileCommand{Since: "2026-01-01"}, `{"since":"2026-01-01T00:00:00Z","until":"2026-01-02T12:00:00Z"}`},
		{reconcileCommand{Since: "2026-01-01", Until: "2026-01-01 06:30:00"}, `{"since":"2026-01-01T00:00:00Z","until":"2026-01-01T06:30:00Z"}`},
		{reconcileCommand{Since: "yesterday"}, ``},
		{reconcileCommand{Since: "2h", Until: "3h"}, ``},
		{reconcileCommand{Since: "-2h"}, ``},
		{reconcileCommand{Since: "36h", Until: "2h"}, `{"since":"2026-01-01T00:00:00Z","until":"2026-01-02T10:00:00Z"}`},
		{reconcileCommand{ID: []string{"7"}, Since: "2h"}, ``},
		{reconcileCommand{ID: []string{"0"}}, ``},
		{reconcileCommand{Until: "2h"}, ``},
	} {
		got, err := test.command.payload(now)
		if string(got) != test.want || (err == nil) != json.Valid([]byte(test.want)) {
			t.Errorf("%+v: %s, %v", test.command, got, err)
		}
	}
}

func TestErrorsOfAWSSayWhatToDo(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"there is no stack s": &smithy.GenericAPIError{Code: "ValidationError", Message: "Stack with id s does not exist"},
		"Use a --profile":     &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "User x is not authorized"},
		"sign in again":       &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "expired"},
		"something else":      errors.New("something else"),
		"mistyped or deleted": &smithy.GenericAPIError{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."},
		"clock right":         &smithy.GenericAPIError{Code: "RequestExpired", Message: "Request has expired."},
		"aws sso login":       errors.New("failed to refresh cached credentials, refresh cached SSO token failed"),
		"does not answer":     &smithy.OperationError{ServiceID: "SQS", OperationName: "ReceiveMessage", Err: errors.New("net/http: timeout awaiting response headers")},
		"cannot be reached":   &smithy.OperationError{ServiceID: "SQS", OperationName: "ReceiveMessage", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}},
		"dial: refused":       &net.OpError{Op: "dial", Err: errors.New("refused")},
	} {
		if got := explain(err, globals{Stack: "s"}); !strings.Contains(got.Error(), want) {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

func TestTimesAreForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 seconds ago", 90 * time.Second: "90 seconds ago", 10 * time.Minute: "10 minutes ago", 5 * time.Hour: "5 hours ago", 72 * time.Hour: "3 days ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
}

func TestAStoryHasTheLinesOfItsRequest(t *testing.T) {
	t.Parallel()
	line := func(text, request, document string) logLine {
		return logLine{text: text, members: map[string]any{"request_id": request, "document_id": document}}
	}
	s := story{only: "7", requests: map[string]bool{}, waiting: map[string][]logLine{}}
	var got []string
	for _, lines := range [][]logLine{
		{line("several ids", "a", ""), line("another", "b", "8"), line("refused", "c", ""), {text: "text"}},
		{line("stored", "a", "7"), line("stored too", "a", "9"), line("about the request", "a", "")},
		{line("by hand", "", "7"), line("of nothing", "", "")},
	} {
		for _, l := range s.of(lines) {
			got = append(got, l.text)
		}
	}
	if diff := cmp.Diff([]string{"several ids", "stored", "about the request", "by hand"}, got); diff != "" {
		t.Error(diff)
	}
	for n := range 2 * mostWaiting {
		s.of([]logLine{line("refused", strconv.Itoa(n), "")})
	}
	if len(s.waiting) > mostWaiting {
		t.Errorf("%d requests are remembered", len(s.waiting))
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

func TestSubmissionIsNotTakenForLostWhileItMayBeThere(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		says string
	}{
		{&veryfi.Error{Class: failure.Refused, Status: 400}, "was refused"},
		{&veryfi.Error{Class: failure.Unavailable, Status: 502}, "may have been submitted"},
		{&veryfi.Error{Class: failure.Unavailable}, "may have been submitted"},
		{errors.New("Veryfi took the document and did not say its id"), "may have been submitted"},
		{context.Canceled, "may have been submitted"},
	} {
		err := unsubmitted("a.jpg", test.err)
		if !strings.Contains(err.Error(), "a.jpg "+test.says) || errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", test.err, err)
		}
	}
}

func TestStackThatIsNotThereSaysWhy(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"REVIEW_IN_PROGRESS": "never deployed", "CREATE_IN_PROGRESS": "wait until", "DELETE_IN_PROGRESS": "wait until",
		"ROLLBACK_COMPLETE": "delete-stack --stack-name s", "UPDATE_COMPLETE": "another version",
	} {
		if err := (&deployment{name: "s", status: status}).lacks("TableName"); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", status, err)
		}
	}
	for status, ok := range map[string]bool{"CREATE_COMPLETE": true, "UPDATE_COMPLETE": true, "UPDATE_ROLLBACK_COMPLETE": false, "UPDATE_ROLLBACK_FAILED": false, "DELETE_FAILED": false, "UPDATE_FAILED": false, "UPDATE_IN_PROGRESS": false} {
		found, err := doctor{deployment: &deployment{name: "s", status: status}}.stack()
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

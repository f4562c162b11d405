package doctor

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

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
		"does not notify":       func(a *cloudwatchtypes.MetricAlarm) { a.ActionsEnabled = aws.Bool(false) },
		"does not notify the":   func(a *cloudwatchtypes.MetricAlarm) { a.AlarmActions = []string{"another topic"} },
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

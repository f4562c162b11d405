package cloudwatch

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"veryfi-intake/deployment/template"
)

// config has the SDK ask a handler.
func config(t *testing.T, handler http.Handler) aws.Config {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1, Credentials: aws.AnonymousCredentials{}}
}

func TestAlarmsAreDescribed(t *testing.T) {
	t.Parallel()
	var m Metrics
	alarm := template.Alarm{
		AlarmName: "one", AlarmDescription: "what to do", Namespace: "N", MetricName: "M", Statistic: "Sum", Period: 60, EvaluationPeriods: 1,
		Threshold: 2, ComparisonOperator: "GreaterThanOrEqualToThreshold", TreatMissingData: "notBreaching", AlarmActions: []string{"topic"},
	}
	alarms := []template.Alarm{alarm}
	for n := range 2*alarmsInAnAnswer + 1 {
		other := alarm
		other.AlarmName = "two-" + strconv.Itoa(n)
		alarms = append(alarms, other)
	}
	client := cloudwatch.NewFromConfig(config(t, &Server{Metrics: &m, Alarms: alarms}))
	state := func() types.StateValue {
		out, err := client.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("one")})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.MetricAlarms) != 1 {
			t.Fatalf("%d alarms", len(out.MetricAlarms))
		}
		a := out.MetricAlarms[0]
		if *a.AlarmName != "one" || *a.AlarmDescription != "what to do" || *a.Threshold != 2 || *a.Period != 60 || len(a.AlarmActions) != 1 || !*a.ActionsEnabled {
			t.Errorf("%+v", a)
		}
		return a.StateValue
	}
	if got := state(); got != types.StateValueOk {
		t.Errorf("with no data it is %s", got)
	}
	m.Add("N", "M", nil, time.Now(), 2)
	if got := state(); got != types.StateValueAlarm {
		t.Errorf("at the threshold it is %s", got)
	}
	all := 0
	for pages := cloudwatch.NewDescribeAlarmsPaginator(client, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("two-")}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all += len(page.MetricAlarms)
	}
	if all != len(alarms)-1 {
		t.Errorf("%d alarms on all pages", all)
	}
	if _, err := client.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{}); err == nil {
		t.Error("another call has no error")
	}
}

func TestStatisticsAreByPeriod(t *testing.T) {
	t.Parallel()
	var m Metrics
	dimensions := map[string]string{"Stack": "s"}
	m.Add("N", "M", dimensions, noon.Add(10*time.Second), 2)
	m.Add("N", "M", dimensions, noon.Add(20*time.Second), 3)
	m.Add("N", "M", dimensions, noon.Add(130*time.Second), 5)
	client := cloudwatch.NewFromConfig(config(t, &Server{Metrics: &m}))
	out, err := client.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("N"), MetricName: aws.String("M"), Dimensions: []types.Dimension{{Name: aws.String("Stack"), Value: aws.String("s")}},
		StartTime: aws.Time(noon), EndTime: aws.Time(noon.Add(5 * time.Minute)), Period: aws.Int32(60), Statistics: []types.Statistic{types.StatisticSum},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Datapoints) != 2 || *out.Datapoints[0].Sum != 5 || *out.Datapoints[0].Maximum != 3 || !out.Datapoints[1].Timestamp.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("%+v", out.Datapoints)
	}
}

func TestLinesAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	var logs Logs
	for n, text := range []string{"one code", "two", "three code", "four code"} {
		logs.Add("group", text, noon.Add(time.Duration(n)*time.Second))
	}
	logs.Add("other", "code", noon)
	client := cloudwatchlogs.NewFromConfig(config(t, &logs))
	var got []string
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(client, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String("group"), FilterPattern: aws.String(`"code"`), StartTime: aws.Int64(noon.Add(time.Second).UnixMilli()), Limit: aws.Int32(1),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, *e.Message)
		}
	}
	if len(got) != 2 || got[0] != "three code" || got[1] != "four code" {
		t.Errorf("%q", got)
	}
	if _, err := client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{}); err == nil {
		t.Error("another call has no error")
	}
}

func TestLogsHaveAnEnd(t *testing.T) {
	t.Parallel()
	var logs Logs
	for range maxLines + 10 {
		logs.Add("group", "x", noon)
	}
	if n := len(logs.groups["group"]); n != maxLines {
		t.Errorf("%d lines are kept", n)
	}
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	intake "veryfi-intake"
	"veryfi-intake/local/standin"
	"veryfi-intake/local/template"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
)

// What a doctor looks at, in the order in which it is told.

// template returns this version's template.yaml with the stack's parameters.
func (d *deployment) template() (*template.Template, error) {
	t, err := template.Parse(intake.Template, nil)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for name := range t.Parameters() {
		if value, ok := d.parameters[name]; ok {
			known[name] = value
		}
	}
	return template.Parse(intake.Template, known)
}

func (d doctor) stack() ([]finding, error) {
	switch {
	case strings.HasSuffix(d.status, "_IN_PROGRESS"):
		return wrong("%s is %s: wait until that has ended, and look again", d.name, d.status), nil
	case strings.Contains(d.status, "FAILED"):
		return wrong("%s is %s: `aws cloudformation describe-stack-events --stack-name %s` says why", d.name, d.status, d.name), nil
	}
	days, _ := strconv.Atoi(d.parameters["DocumentRetentionDays"])
	hours, _ := strconv.Atoi(d.parameters["ReconcileWindowHours"])
	if days > 0 && hours >= days*24 {
		return wrong("documents are deleted after %d days, and the reconciler fetches them again, since it looks back %d hours: make DocumentRetentionDays longer or ReconcileWindowHours shorter", days, hours), nil
	}
	return fine("%s is %s", d.name, d.status), nil
}

const fill = "`intake secret set` asks for the four values of Veryfi's Settings > Keys"

func (d doctor) secret() ([]finding, error) {
	known, err := d.credentials(d)
	switch {
	case err != nil:
		return nil, err
	case known == secret.Credentials{}:
		return wrong("it is not filled: %s", fill), nil
	case known.ClientSecret == "":
		return wrong("it has no client_secret, so that every webhook is answered 503: %s", fill), nil
	case !retrieves(known):
		return wrong("it lacks client_id, api_key or username, so that no document can be retrieved: %s", fill), nil
	}
	return fine("filled"), nil
}

func (d doctor) asksVeryfi() ([]finding, error) {
	known, err := d.credentials(d)
	if err != nil {
		return nil, err
	}
	if !retrieves(known) {
		return wrong("it cannot be asked before the secret is filled"), nil
	}
	switch err := d.accepts(d, known); {
	case errors.Is(err, errRefused):
		return wrong("%v, and put the right ones in with `intake secret set`", err), nil
	case err != nil:
		return wrong("%v: it may be down; documents wait until it is back", err), nil
	default:
		return fine("it accepts the credentials"), nil
	}
}

func retrieves(c secret.Credentials) bool { return c.Retrieves() == nil }

// probeTimeout bounds a request to the webhook.
const probeTimeout = 15 * time.Second

func (d doctor) webhookAnswers() ([]finding, error) {
	ctx, cancel := context.WithTimeout(d, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.outputs[webhookURL], http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return wrong("%s does not answer: %v. Look at the log of the HTTP API, and deploy again", d.outputs[webhookURL], err), nil
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusOK {
		return wrong("%s answers %d: `intake tail` shows why; after a deployment, roll back", d.outputs[webhookURL], resp.StatusCode), nil
	}
	return fine("%s answers", d.outputs[webhookURL]), nil
}

func (d doctor) webhookRefuses() ([]finding, error) {
	ctx, cancel := context.WithTimeout(d, probeTimeout)
	defer cancel()
	forged := make([]byte, 32)
	_, _ = rand.Read(forged) // it never fails
	answer := standin.NewSender(time.Second).Post(ctx, d.outputs[webhookURL], standin.Webhook{
		Event: "document.created", Data: `{"id": 1}`, Signature: base64.StdEncoding.EncodeToString(forged),
	})
	switch {
	case answer.Err != nil:
		return wrong("the webhook does not answer: %v", answer.Err), nil
	case answer.Status == http.StatusUnauthorized:
		return fine("a forged request is refused"), nil
	case answer.Status == http.StatusServiceUnavailable:
		return wrong("the webhook answers 503: it has no client secret, or cannot read it. Fill the secret; then `intake tail` shows what is in the way"), nil
	case answer.Status < http.StatusBadRequest:
		return wrong("a FORGED request was answered with %d: something else than this version's webhook is behind the URL. Take the URL out of Veryfi's portal, and deploy again", answer.Status), nil
	}
	return wrong("a forged request was answered with %d, not with 401: `intake tail` shows why", answer.Status), nil
}

func (d doctor) queues() ([]finding, error) {
	client := sqs.NewFromConfig(d.aws)
	for id, url := range map[string]string{"DocumentQueue": d.outputs[queueURL], "DeadLetterQueue": d.outputs[deadLetterQueueURL]} {
		want, err := d.settings(d.template, id)
		if err != nil {
			return nil, err
		}
		out, err := client.GetQueueAttributes(d, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
		if err != nil {
			return nil, err
		}
		for name, value := range want {
			if got := out.Attributes[name]; !strings.Contains(got, value) {
				return wrong("%s of %s is %q, and the template says %s: somebody has changed it. `make deploy` alone does not put it back: set it in the console", name, id, got, value), nil
			}
		}
	}
	return fine("they are as the template says"), nil
}

// settings returns the attributes of a queue as the template has them, or a part of
// each. The emulator does not take retentions.
func (d *deployment) settings(t *template.Template, id string) (map[string]string, error) {
	queue, err := t.Queue(id)
	if err != nil {
		return nil, err
	}
	want := map[string]string{}
	if id == "DocumentQueue" {
		want["VisibilityTimeout"] = strconv.Itoa(int(queue.VisibilityTimeout.Seconds()))
		want["RedrivePolicy"] = fmt.Sprintf(`"maxReceiveCount":%d`, queue.MaxReceiveCount)
	}
	if d.aws.BaseEndpoint == nil {
		want["MessageRetentionPeriod"] = strconv.Itoa(int(queue.Retention.Seconds()))
	}
	return want, nil
}

func (d doctor) table() ([]finding, error) {
	want, err := d.template.Table("DocumentTable")
	if err != nil {
		return nil, err
	}
	client := dynamodb.NewFromConfig(d.aws)
	name := d.outputs[tableName]
	out, err := client.DescribeTable(d, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	table := out.Table
	if table.TableStatus != types.TableStatusActive && table.TableStatus != types.TableStatusUpdating {
		return wrong("it is %s: documents wait in the queue until it is ACTIVE", table.TableStatus), nil
	}
	for _, index := range want.GlobalSecondaryIndexes {
		i := slices.IndexFunc(table.GlobalSecondaryIndexes, func(g types.GlobalSecondaryIndexDescription) bool {
			return aws.ToString(g.IndexName) == index.IndexName
		})
		if i < 0 || table.GlobalSecondaryIndexes[i].IndexStatus != types.IndexStatusActive {
			return wrong("its index %s is not there, or not active: `make deploy` creates it", index.IndexName), nil
		}
	}
	expiry, err := client.DescribeTimeToLive(d, &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	if aws.ToString(expiry.TimeToLiveDescription.AttributeName) != want.TimeToLiveSpecification.AttributeName {
		return wrong("it deletes no expired rows, whatever DocumentRetentionDays says: `make deploy` turns that on"), nil
	}
	backup, err := client.DescribeContinuousBackups(d, &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && strings.Contains(api.ErrorCode(), "UnknownOperation"): // the emulator
	case err != nil:
		return nil, err
	case backup.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled:
		return wrong("point-in-time recovery is off: somebody has turned it off; turn it on in the console"), nil
	}
	return fine("it is %s, as the template says", table.TableStatus), nil
}

func (d doctor) alarms() ([]finding, error) {
	references := d.template.Names()
	references["AWS::StackName"] = d.name
	wanted := map[string]template.Alarm{}
	for _, id := range d.template.Alarms() {
		alarm, err := d.template.Alarm(id, references)
		if err != nil {
			return nil, err
		}
		wanted[alarm.AlarmName] = alarm
	}
	var found []finding
	pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(d.aws), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(d.name + "-")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(d)
		if err != nil {
			return nil, err
		}
		for _, is := range page.MetricAlarms {
			name := aws.ToString(is.AlarmName)
			want, ours := wanted[name]
			if !ours {
				continue
			}
			delete(wanted, name)
			switch {
			case is.StateValue == cloudwatchtypes.StateValueAlarm:
				found = append(found, wrong("%s RINGS. %s", name, aws.ToString(is.AlarmDescription))...)
			case !aws.ToBool(is.ActionsEnabled) || len(is.AlarmActions) == 0:
				found = append(found, wrong("%s tells nobody: enable its actions in the console", name)...)
			case aws.ToFloat64(is.Threshold) != want.Threshold || aws.ToString(is.MetricName) != want.MetricName:
				found = append(found, wrong("%s rings at %v of %s, and the template says %v of %s: `make deploy`", name,
					aws.ToFloat64(is.Threshold), aws.ToString(is.MetricName), want.Threshold, want.MetricName)...)
			}
		}
	}
	for name := range wanted {
		found = append(found, wrong("%s is not there: `make deploy` creates it", name)...)
	}
	if d.parameters["AlarmEmail"] == "" {
		found = append(found, finding{OK: true, Text: "nobody is mailed by the stack itself: `make deploy PARAMETERS=AlarmEmail=you@example.com` changes that"})
	}
	if !slices.ContainsFunc(found, func(f finding) bool { return !f.OK }) {
		found = append(found, fine("%d are quiet", len(d.template.Alarms()))...)
	}
	return found, nil
}

// processor looks whether Lambda polls the queue for it.
func (d doctor) processor() ([]finding, error) {
	_, _, arn, err := waiting(d, sqs.NewFromConfig(d.aws), d.outputs[queueURL])
	if err != nil {
		return nil, err
	}
	out, err := lambda.NewFromConfig(d.aws).ListEventSourceMappings(d, &lambda.ListEventSourceMappingsInput{EventSourceArn: &arn})
	if err != nil {
		return nil, err
	}
	for _, mapping := range out.EventSourceMappings {
		switch state := aws.ToString(mapping.State); state {
		case "Enabled", "Creating", "Enabling", "Updating":
		default:
			return wrong("it does not poll the queue: the event source mapping is %s. `aws lambda update-event-source-mapping --uuid %s --enabled` lets it", state, aws.ToString(mapping.UUID)), nil
		}
	}
	if len(out.EventSourceMappings) == 0 {
		return wrong("it does not poll the queue: the event source mapping is gone; `make deploy` from a change to ProcessorFunction's events puts it back"), nil
	}
	return fine("it polls the queue"), nil
}

func (d doctor) waiting() ([]finding, error) {
	visible, hidden, _, err := waiting(d, sqs.NewFromConfig(d.aws), d.outputs[queueURL])
	if err != nil {
		return nil, err
	}
	name := d.outputs[queueURL][strings.LastIndexByte(d.outputs[queueURL], '/')+1:]
	now := time.Now()
	oldest, err := d.datapoints("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name, cloudwatchtypes.StatisticMaximum, now.Add(-10*time.Minute), 60)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%d documents to be received, %d in work or waiting for their next try", visible, hidden)
	if len(oldest) > 0 && visible > 0 {
		age := time.Duration(aws.ToFloat64(oldest[len(oldest)-1].Maximum)) * time.Second
		text += fmt.Sprintf("; the oldest has waited %v", age)
		if age > 30*time.Minute {
			return wrong("%s. Either more come than may be retrieved (docs/limits.md), or the processor does not run: `intake tail`", text), nil
		}
	}
	return fine("%s", text), nil
}

// datapoints returns a metric's data points, oldest first.
func (d doctor) datapoints(namespace, metric, dimension, value string, statistic cloudwatchtypes.Statistic, since time.Time, period int32) ([]cloudwatchtypes.Datapoint, error) {
	out, err := cloudwatch.NewFromConfig(d.aws).GetMetricStatistics(d, &cloudwatch.GetMetricStatisticsInput{
		Namespace: &namespace, MetricName: &metric, Dimensions: []cloudwatchtypes.Dimension{{Name: &dimension, Value: &value}},
		StartTime: &since, EndTime: aws.Time(time.Now().Add(time.Minute)), Period: &period, Statistics: []cloudwatchtypes.Statistic{statistic},
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out.Datapoints, func(a, b cloudwatchtypes.Datapoint) int { return a.Timestamp.Compare(*b.Timestamp) })
	return out.Datapoints, nil
}

func (d doctor) deadLetters() ([]finding, error) {
	visible, hidden, _, err := waiting(d, sqs.NewFromConfig(d.aws), d.outputs[deadLetterQueueURL])
	switch {
	case err != nil:
		return nil, err
	case visible+hidden > 0:
		return wrong("%d documents were given up: `intake problems` says why; when that is mended, `intake redrive --all` brings them back", visible+hidden), nil
	}
	return fine("none"), nil
}

func (d doctor) problems() ([]finding, error) {
	const most = 100
	reader := store.NewReader(dynamodb.NewFromConfig(d.aws), d.outputs[tableName])
	var counts []string
	isWrong := false
	for _, status := range []store.Status{store.Error, store.Retrying, store.Failed, store.Unsupported} {
		rows, err := reader.Problems(d, status, most)
		if err != nil {
			return nil, err
		}
		if n := len(rows); n > 0 {
			counts = append(counts, fmt.Sprintf("%d%s %s", n, map[bool]string{true: " or more"}[n == most], status))
			isWrong = isWrong || status == store.Error || status == store.Retrying
		}
	}
	switch {
	case counts == nil:
		return fine("no row needs attention"), nil
	case isWrong:
		return wrong("rows need attention (%s): `intake problems` says why", strings.Join(counts, ", ")), nil
	}
	return fine("rows to look at (%s): `intake problems` lists them", strings.Join(counts, ", ")), nil
}

func (d doctor) lastDocument() ([]finding, error) {
	const days = 14
	points, err := d.datapoints(metrics.Namespace, metrics.Stored.Name, metrics.Stack, d.name, cloudwatchtypes.StatisticSum, time.Now().Add(-days*24*time.Hour), 3600)
	if err != nil {
		return nil, err
	}
	if len(points) == 0 {
		return wrong("none was stored in %d days: `intake submit FILE --wait` tries the whole way", days), nil
	}
	return fine("stored in the hour that began %s", ago(time.Since(*points[len(points)-1].Timestamp))), nil
}

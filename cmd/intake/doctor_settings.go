package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	intake "veryfi-intake"
	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/veryfi"
)

// Whether the stack is as this version's template says.

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

// drifted is a finding about what is not as the template says. CloudFormation puts
// nothing back whose template has not changed.
func drifted(what, is, want string) []finding {
	return wrong("%s is %s, and the template says %s: set it back in the console, or `make deploy` if this version is not deployed yet", what, is, want)
}

func (d doctor) stack() ([]finding, error) {
	switch {
	case strings.HasSuffix(d.status, "_IN_PROGRESS"):
		return wrong("%s is %s: wait until that has ended, and look again", d.name, d.status), nil
	case d.status == "UPDATE_ROLLBACK_FAILED":
		return wrong("%s is %s: mend what `aws cloudformation describe-stack-events --stack-name %s` names, then `aws cloudformation continue-update-rollback --stack-name %s`", d.name, d.status, d.name, d.name), nil
	case d.status == "DELETE_FAILED":
		return wrong("%s is %s: mend what `aws cloudformation describe-stack-events --stack-name %s` names, then `aws cloudformation delete-stack --stack-name %s`", d.name, d.status, d.name, d.name), nil
	case strings.Contains(d.status, "FAILED"), strings.Contains(d.status, "ROLLBACK"):
		return wrong("%s is %s: the last deployment has failed. `aws cloudformation describe-stack-events --stack-name %s` says why; mend that, and `make deploy`", d.name, d.status, d.name), nil
	}
	if processors, rate := d.number("ProcessorConcurrency"), d.number("VeryfiRequestsPerSecond"); !veryfi.Fits(int(processors), rate) {
		const reconciling = veryfi.Reconcilers * veryfi.ReconcilerRequestsPerSecond
		return wrong("its processors may make %v requests a second, and the reconciler %d: Veryfi answers %d in all, so keep the processors below %d: lower ProcessorConcurrency or VeryfiRequestsPerSecond",
			processors*rate, reconciling, veryfi.RequestsPerSecond, veryfi.RequestsPerSecond-reconciling), nil
	}
	if days, hours := d.number("DocumentRetentionDays"), d.number("ReconcileWindowHours"); days > 0 && hours >= days*24 {
		return wrong("documents are deleted after %v days, and the reconciler fetches them again, since it looks back %v hours: make DocumentRetentionDays longer or ReconcileWindowHours shorter", days, hours), nil
	}
	return fine("%s is %s", d.name, d.status), nil
}

// number returns a parameter of the stack that is a number, or 0.
func (d *deployment) number(parameter string) float64 {
	n, _ := strconv.ParseFloat(d.parameters[parameter], 64)
	return n
}

func (d doctor) queues() ([]finding, error) {
	client := sqs.NewFromConfig(d.aws)
	attributes := func(url string) (map[string]string, error) {
		out, err := client.GetQueueAttributes(d, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
		if err != nil {
			return nil, err
		}
		return out.Attributes, nil
	}
	documents, err := attributes(d.outputs[queueURL])
	if err != nil {
		return nil, err
	}
	deadLetters, err := attributes(d.outputs[deadLetterQueueURL])
	if err != nil {
		return nil, err
	}
	want, err := d.template.Queue("DocumentQueue")
	if err != nil {
		return nil, err
	}
	wantDeadLetters, err := d.template.Queue("DeadLetterQueue")
	if err != nil {
		return nil, err
	}
	return queues(documents, deadLetters, want, wantDeadLetters), nil
}

// queues compares the queues' attributes, as SQS has them, with the template's.
func queues(documents, deadLetters map[string]string, want, wantDeadLetters template.Queue) []finding {
	var redrive struct {
		DeadLetterTargetARN string      `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.Number `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(documents["RedrivePolicy"]), &redrive); err != nil || redrive.DeadLetterTargetARN != deadLetters["QueueArn"] {
		return wrong("DocumentQueue has no DeadLetterQueue: what is given up is lost. Set its dead-letter queue back in the console, to %s", deadLetters["QueueArn"])
	}
	for _, setting := range []struct{ what, is, want string }{
		{"maxReceiveCount of DocumentQueue", redrive.MaxReceiveCount.String(), strconv.Itoa(want.MaxReceiveCount)},
		{"VisibilityTimeout of DocumentQueue", documents["VisibilityTimeout"], seconds(want.VisibilityTimeout)},
		{"MessageRetentionPeriod of DocumentQueue", documents["MessageRetentionPeriod"], seconds(want.Retention)},
		{"MaximumMessageSize of DocumentQueue", documents["MaximumMessageSize"], strconv.Itoa(want.MaximumSize)},
		{"MaximumMessageSize of DeadLetterQueue", deadLetters["MaximumMessageSize"], strconv.Itoa(wantDeadLetters.MaximumSize)},
		{"MessageRetentionPeriod of DeadLetterQueue", deadLetters["MessageRetentionPeriod"], seconds(wantDeadLetters.Retention)},
	} {
		if setting.is != setting.want && setting.is != "" { // the emulator does not report all
			return drifted(setting.what, setting.is, setting.want)
		}
	}
	return fine("they are as the template says")
}

// seconds is how SQS writes a time.
func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// tableLookBack is how far the doctor looks back for what the table has refused.
const tableLookBack = time.Hour

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
			return wrong("its index %s is not there, or not active yet: wait, or `make deploy` if this version is not deployed yet", index.IndexName), nil
		}
	}
	expiry, err := client.DescribeTimeToLive(d, &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	if aws.ToString(expiry.TimeToLiveDescription.AttributeName) != want.TimeToLiveSpecification.AttributeName {
		return drifted("the attribute by which it deletes expired rows", strconv.Quote(aws.ToString(expiry.TimeToLiveDescription.AttributeName)), strconv.Quote(want.TimeToLiveSpecification.AttributeName)), nil
	}
	backup, err := client.DescribeContinuousBackups(d, &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && strings.Contains(api.ErrorCode(), "UnknownOperation"): // the emulator
	case err != nil:
		return nil, err
	case backup.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled:
		return drifted("point-in-time recovery", "off", "on"), nil
	}
	failures, err := d.datapoints(metrics.Namespace, metrics.TableFailures.Name, metrics.Stack, d.name, cloudwatchtypes.StatisticSum, time.Now().Add(-tableLookBack), time.Minute)
	if err != nil {
		return nil, err
	}
	if len(failures) > 0 {
		last := failures[len(failures)-1]
		return wrong("it has refused to read or write rows, the last time %s: `intake tail --since 1h` shows its answer, mostly a permission, a key or a limit. Documents wait in the queue; rows about them may be missing", ago(time.Since(*last.Timestamp))), nil
	}
	return fine("it is %s, as the template says", table.TableStatus), nil
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
	want, err := d.template.Function("ProcessorFunction", d.references())
	if err != nil {
		return nil, err
	}
	if len(out.EventSourceMappings) == 0 {
		return wrong("it does not poll the queue: the event source mapping is gone; `make deploy` from a change to ProcessorFunction's events puts it back"), nil
	}
	return polls(out.EventSourceMappings[0], *want.Source), nil
}

// polls compares the event source mapping with the template's.
func polls(is lambdatypes.EventSourceMappingConfiguration, want template.Source) []finding {
	update := "`aws lambda update-event-source-mapping --uuid " + aws.ToString(is.UUID)
	switch state := aws.ToString(is.State); state {
	case "Enabled", "Creating", "Enabling", "Updating":
	default:
		return wrong("it does not poll the queue: the event source mapping is %s. %s --enabled` lets it", state, update)
	}
	if want.ReportBatchItemFailures && !slices.Contains(is.FunctionResponseTypes, lambdatypes.FunctionResponseTypeReportBatchItemFailures) {
		return wrong("Lambda DELETES messages that were not processed: somebody has changed the event source mapping. %s --function-response-types ReportBatchItemFailures` mends it", update)
	}
	most := 0
	if is.ScalingConfig != nil {
		most = int(aws.ToInt32(is.ScalingConfig.MaximumConcurrency))
	}
	for _, setting := range []struct {
		name     string
		is, want int
	}{
		{"MaximumConcurrency", most, want.MaximumConcurrency},
		{"BatchSize", int(aws.ToInt32(is.BatchSize)), want.BatchSize},
		{"MaximumBatchingWindowInSeconds", int(aws.ToInt32(is.MaximumBatchingWindowInSeconds)), int(want.Window.Seconds())},
	} {
		if setting.is != setting.want {
			return drifted(setting.name+" of the event source mapping", strconv.Itoa(setting.is), strconv.Itoa(setting.want))
		}
	}
	return fine("it polls the queue")
}

// references are the names that alarms and functions use, as far as the outputs tell
// them; others have the logical id.
func (d doctor) references() template.References {
	references := d.template.Names()
	references["AWS::StackName"] = d.name
	references["AlarmTopic"] = d.outputs[alarmTopic]
	references["DocumentQueue.QueueName"] = queueName(d.outputs[queueURL])
	references["DeadLetterQueue.QueueName"] = queueName(d.outputs[deadLetterQueueURL])
	return references
}

// queueName returns the name at the end of a queue's URL.
func queueName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

func (d doctor) alarms() ([]finding, error) {
	wanted := map[string]template.Alarm{}
	for _, id := range d.template.Alarms() {
		alarm, err := d.template.Alarm(id, d.references())
		if err != nil {
			return nil, err
		}
		wanted[alarm.AlarmName] = alarm
	}
	total := len(wanted)
	var found []finding
	pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(d.aws), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(d.name + "-")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(d)
		if err != nil {
			return nil, err
		}
		for _, is := range page.MetricAlarms {
			if want, ours := wanted[aws.ToString(is.AlarmName)]; ours {
				delete(wanted, want.AlarmName)
				found = append(found, alarm(is, want)...)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		found = append(found, wrong("%s is not there: `make deploy` if this version is not deployed yet; if somebody has deleted it, create it in the console as template.yaml has it", name)...)
	}
	if found == nil {
		return fine("%d are quiet", total), nil
	}
	return found, nil
}

// alarm returns what is to be said of an alarm: nothing while it is quiet.
func alarm(is cloudwatchtypes.MetricAlarm, want template.Alarm) []finding {
	switch {
	case is.StateValue == cloudwatchtypes.StateValueAlarm:
		lookBack := time.Duration(want.Period*want.EvaluationPeriods) * time.Second
		return wrong("%s RINGS, for something within the last %v. %s", want.AlarmName, forPeople(lookBack), aws.ToString(is.AlarmDescription))
	case !aws.ToBool(is.ActionsEnabled) || !slices.Equal(is.AlarmActions, want.AlarmActions):
		return wrong("%s does not tell the stack's topic: put its actions back in the console", want.AlarmName)
	}
	for _, setting := range []struct {
		name     string
		is, want any
	}{
		{"Namespace", aws.ToString(is.Namespace), want.Namespace},
		{"MetricName", aws.ToString(is.MetricName), want.MetricName},
		{"Statistic", string(is.Statistic), want.Statistic},
		{"DatapointsToAlarm", int(aws.ToInt32(is.DatapointsToAlarm)), want.DatapointsToAlarm},
		{"Threshold", aws.ToFloat64(is.Threshold), want.Threshold},
		{"Period", int(aws.ToInt32(is.Period)), want.Period},
		{"EvaluationPeriods", int(aws.ToInt32(is.EvaluationPeriods)), want.EvaluationPeriods},
		{"ComparisonOperator", string(is.ComparisonOperator), want.ComparisonOperator},
		{"TreatMissingData", aws.ToString(is.TreatMissingData), want.TreatMissingData},
	} {
		if setting.is != setting.want {
			return drifted(setting.name+" of "+want.AlarmName, fmt.Sprint(setting.is), fmt.Sprint(setting.want))
		}
	}
	// The names of functions and of the API are not known here.
	if want.Namespace != metrics.Namespace && want.Namespace != "AWS/SQS" {
		return nil
	}
	var dimensions []template.Dimension
	for _, d := range is.Dimensions {
		dimensions = append(dimensions, template.Dimension{Name: aws.ToString(d.Name), Value: aws.ToString(d.Value)})
	}
	byName := func(a, b template.Dimension) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(dimensions, byName)
	if wanted := slices.SortedFunc(slices.Values(want.Dimensions), byName); !slices.Equal(dimensions, wanted) {
		return drifted("what "+want.AlarmName+" looks at", fmt.Sprint(dimensions), fmt.Sprint(wanted))
	}
	return nil
}

// receivers looks whether somebody hears the alarms.
func (d doctor) receivers() ([]finding, error) {
	out, err := sns.NewFromConfig(d.aws).GetTopicAttributes(d, &sns.GetTopicAttributesInput{TopicArn: aws.String(d.outputs[alarmTopic])})
	if err != nil {
		return nil, err
	}
	switch confirmed, pending := out.Attributes["SubscriptionsConfirmed"], out.Attributes["SubscriptionsPending"]; {
	case pending != "0", confirmed == "0" && d.parameters["AlarmEmail"] != "":
		return wrong("a receiver of alarms has not confirmed it: follow the link in the mail of AWS Notifications, which may be among the spam. After two days it is void: then subscribe the address again, to the topic AlarmTopicArn in the console"), nil
	case confirmed == "0":
		return fine("nobody hears of alarms: `make deploy PARAMETERS=AlarmEmail=you@example.com` changes that"), nil
	default:
		return fine("%s hear of alarms", confirmed), nil
	}
}

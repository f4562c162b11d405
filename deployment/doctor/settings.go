package doctor

import (
	"cmp"
	"context"
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
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/veryfi"
)

// Whether the stack is as this version's template says.

func (d doctor) stack(context.Context) ([]Finding, error) {
	const events = "`aws cloudformation describe-stack-events --stack-name "
	switch {
	case strings.HasSuffix(d.Status, "_IN_PROGRESS"):
		return wrong("%s is %s: wait until that has ended, and look again", d.Name, d.Status), nil
	case d.Status == "UPDATE_ROLLBACK_FAILED":
		return wrong("%s is %s: fix what "+events+"%s` names, then `aws cloudformation continue-update-rollback --stack-name %s`", d.Name, d.Status, d.Name, d.Name), nil
	case d.Status == "DELETE_FAILED":
		return wrong("%s is %s: fix what "+events+"%s` names, then `aws cloudformation delete-stack --stack-name %s`", d.Name, d.Status, d.Name, d.Name), nil
	case strings.Contains(d.Status, "FAILED"), strings.Contains(d.Status, "ROLLBACK"):
		return wrong("%s is %s: the last deployment has failed. "+events+"%s` says why; fix that, and `make deploy`", d.Name, d.Status, d.Name), nil
	}
	if processors, rate := d.number("ProcessorConcurrency"), d.number("VeryfiRequestsPerSecond"); !veryfi.Fits(int(processors), rate) {
		const reconciling = veryfi.Reconcilers * veryfi.ReconcilerRequestsPerSecond
		return wrong("its processors may make %v requests a second, and the reconciler %d: Veryfi answers %d in all, so keep the processors below %d: lower ProcessorConcurrency or VeryfiRequestsPerSecond",
			processors*rate, reconciling, veryfi.RequestsPerSecond, veryfi.RequestsPerSecond-reconciling), nil
	}
	if days, hours := d.number("DocumentRetentionDays"), d.number("ReconcileWindowHours"); days > 0 && hours >= days*24 {
		return wrong("documents are deleted after %v days, and the reconciler fetches them again, since it looks back %v hours: make DocumentRetentionDays longer or ReconcileWindowHours shorter", days, hours), nil
	}
	return fine("%s is %s", d.Name, d.Status), nil
}

// number returns a parameter of the stack that is a number, or 0.
func (d doctor) number(parameter string) float64 {
	n, _ := strconv.ParseFloat(d.Parameters[parameter], 64)
	return n
}

func (d doctor) queues(ctx context.Context) ([]Finding, error) {
	documents, err1 := d.Queue(ctx, deployment.QueueURL)
	deadLetters, err2 := d.Queue(ctx, deployment.DeadLetterQueueURL)
	want, err3 := d.template.Queue("DocumentQueue")
	wantDeadLetters, err4 := d.template.Queue("DeadLetterQueue")
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	var redrive struct {
		DeadLetterTargetARN string      `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.Number `json:"maxReceiveCount"`
	}
	_ = json.Unmarshal([]byte(documents.Attributes["RedrivePolicy"]), &redrive) // it names no queue, then
	if redrive.DeadLetterTargetARN != deadLetters.ARN {
		return wrong("DocumentQueue has no DeadLetterQueue: what is given up is lost. Set its dead-letter queue back in the console, to %s", deadLetters.ARN), nil
	}
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	for _, setting := range []struct {
		name, is string
		want     int
	}{
		{"maxReceiveCount of DocumentQueue", redrive.MaxReceiveCount.String(), want.MaxReceiveCount},
		{"VisibilityTimeout of DocumentQueue", documents.Attributes["VisibilityTimeout"], seconds(want.VisibilityTimeout)},
		{"MessageRetentionPeriod of DocumentQueue", documents.Attributes["MessageRetentionPeriod"], seconds(want.Retention)},
		{"MaximumMessageSize of DocumentQueue", documents.Attributes["MaximumMessageSize"], want.MaximumSize},
		{"MaximumMessageSize of DeadLetterQueue", deadLetters.Attributes["MaximumMessageSize"], wantDeadLetters.MaximumSize},
		{"MessageRetentionPeriod of DeadLetterQueue", deadLetters.Attributes["MessageRetentionPeriod"], seconds(wantDeadLetters.Retention)},
	} {
		if setting.is != strconv.Itoa(setting.want) && setting.is != "" { // the emulator does not report all
			return drifted(setting.name, setting.is, setting.want), nil
		}
	}
	return fine("they are as the template says"), nil
}

func (d doctor) table(ctx context.Context) ([]Finding, error) {
	want, err := d.template.Table("DocumentTable")
	if err != nil {
		return nil, err
	}
	client := dynamodb.NewFromConfig(d.AWS)
	name := d.Outputs[deployment.TableName]
	out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	table := out.Table
	if table.TableStatus != types.TableStatusActive && table.TableStatus != types.TableStatusUpdating {
		return wrong("it is %s: documents wait in the queue until it is ACTIVE", table.TableStatus), nil
	}
	for _, index := range want.GlobalSecondaryIndexes {
		if !slices.ContainsFunc(table.GlobalSecondaryIndexes, func(g types.GlobalSecondaryIndexDescription) bool {
			return aws.ToString(g.IndexName) == index.IndexName && g.IndexStatus == types.IndexStatusActive
		}) {
			return wrong("its index %s is not there, or not active yet: wait, or `make deploy` if this version is not deployed yet", index.IndexName), nil
		}
	}
	expiry, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	if err != nil {
		return nil, err
	}
	if is := aws.ToString(expiry.TimeToLiveDescription.AttributeName); is != want.TimeToLiveSpecification.AttributeName {
		return drifted("the attribute by which it deletes expired rows", strconv.Quote(is), strconv.Quote(want.TimeToLiveSpecification.AttributeName)), nil
	}
	backup, err := client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && strings.Contains(api.ErrorCode(), "UnknownOperation"): // the emulator
	case err != nil:
		return nil, err
	case backup.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled:
		return drifted("point-in-time recovery", "off", "on"), nil
	}
	last, _, err := d.latest(ctx, point{metrics.Namespace, metrics.TableFailures.Name, metrics.Stack, d.Name}, time.Hour, time.Minute)
	if err != nil {
		return nil, err
	}
	if !last.IsZero() {
		return wrong("it has refused to read or write rows, the last time %s: `intake tail --since 1h` shows its answer, mostly a permission, a key or a limit. Documents wait in the queue; rows about them may be missing", d.ago(last)), nil
	}
	return fine("it is %s, as the template says", table.TableStatus), nil
}

// processor looks whether Lambda polls the queue for it, as the template says.
func (d doctor) processor(ctx context.Context) ([]Finding, error) {
	function, err := d.template.Function("ProcessorFunction", d.references())
	if err != nil {
		return nil, err
	}
	queue, err := d.Queue(ctx, deployment.QueueURL)
	if err != nil {
		return nil, err
	}
	out, err := lambda.NewFromConfig(d.AWS).ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{EventSourceArn: &queue.ARN})
	if err != nil {
		return nil, err
	}
	if len(out.EventSourceMappings) == 0 {
		return wrong("it does not poll the queue: the event source mapping is gone; `make deploy` from a change to ProcessorFunction's events puts it back"), nil
	}
	is, want := out.EventSourceMappings[0], function.Source
	update := "`aws lambda update-event-source-mapping --uuid " + aws.ToString(is.UUID)
	if state := aws.ToString(is.State); !slices.Contains([]string{"Enabled", "Creating", "Enabling", "Updating"}, state) {
		return wrong("it does not poll the queue: the event source mapping is %s. %s --enabled` starts it again", state, update), nil
	}
	if want.ReportBatchItemFailures && !slices.Contains(is.FunctionResponseTypes, lambdatypes.FunctionResponseTypeReportBatchItemFailures) {
		return wrong("Lambda DELETES messages that were not processed: somebody has changed the event source mapping. %s --function-response-types ReportBatchItemFailures` fixes it", update), nil
	}
	if is.ScalingConfig == nil {
		is.ScalingConfig = &lambdatypes.ScalingConfig{}
	}
	found := compare("the event source mapping",
		setting{"MaximumConcurrency", int(aws.ToInt32(is.ScalingConfig.MaximumConcurrency)), want.MaximumConcurrency},
		setting{"BatchSize", int(aws.ToInt32(is.BatchSize)), want.BatchSize},
		setting{"MaximumBatchingWindowInSeconds", int(aws.ToInt32(is.MaximumBatchingWindowInSeconds)), int(want.Window.Seconds())},
	)
	if found == nil {
		found = fine("it polls the queue")
	}
	return found, nil
}

// references are the names that alarms and functions use, as far as the outputs have
// them; the others are logical ids.
func (d doctor) references() template.References {
	references := d.template.Names()
	references["AWS::StackName"] = d.Name
	references["AlarmTopic"] = d.Outputs[deployment.AlarmTopic]
	references["DocumentQueue.QueueName"] = queueName(d.Outputs[deployment.QueueURL])
	references["DeadLetterQueue.QueueName"] = queueName(d.Outputs[deployment.DeadLetterQueueURL])
	return references
}

// queueName returns the name at the end of a queue's URL.
func queueName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

func (d doctor) alarms(ctx context.Context) ([]Finding, error) {
	wanted := map[string]template.Alarm{}
	for _, id := range d.template.Alarms() {
		alarm, err := d.template.Alarm(id, d.references())
		if err != nil {
			return nil, err
		}
		wanted[alarm.AlarmName] = alarm
	}
	total := len(wanted)
	var found []Finding
	pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(d.AWS), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(d.Name + "-")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
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

// alarm returns what is wrong with an alarm: nothing while it is quiet.
func alarm(is cloudwatchtypes.MetricAlarm, want template.Alarm) []Finding {
	switch {
	case is.StateValue == cloudwatchtypes.StateValueAlarm:
		lookBack := time.Duration(want.Period*want.EvaluationPeriods) * time.Second
		return wrong("%s FIRES, for something within the last %v. %s", want.AlarmName, deployment.ForPeople(lookBack), aws.ToString(is.AlarmDescription))
	case !aws.ToBool(is.ActionsEnabled) || !slices.Equal(is.AlarmActions, want.AlarmActions):
		return wrong("%s does not notify the stack's topic: put its actions back in the console", want.AlarmName)
	}
	found := compare(want.AlarmName,
		setting{"Namespace", aws.ToString(is.Namespace), want.Namespace},
		setting{"MetricName", aws.ToString(is.MetricName), want.MetricName},
		setting{"Statistic", string(is.Statistic), want.Statistic},
		setting{"DatapointsToAlarm", int(aws.ToInt32(is.DatapointsToAlarm)), want.DatapointsToAlarm},
		setting{"Threshold", aws.ToFloat64(is.Threshold), want.Threshold},
		setting{"Period", int(aws.ToInt32(is.Period)), want.Period},
		setting{"EvaluationPeriods", int(aws.ToInt32(is.EvaluationPeriods)), want.EvaluationPeriods},
		setting{"ComparisonOperator", string(is.ComparisonOperator), want.ComparisonOperator},
		setting{"TreatMissingData", aws.ToString(is.TreatMissingData), want.TreatMissingData},
	)
	// The names of functions and of the API are not known here.
	if found != nil || want.Namespace != metrics.Namespace && want.Namespace != "AWS/SQS" {
		return found
	}
	dimensions, wanted := map[string]string{}, map[string]string{}
	for _, d := range is.Dimensions {
		dimensions[aws.ToString(d.Name)] = aws.ToString(d.Value)
	}
	for _, d := range want.Dimensions {
		wanted[d.Name] = d.Value
	}
	if !maps.Equal(dimensions, wanted) {
		return drifted("what "+want.AlarmName+" looks at", fmt.Sprint(dimensions), fmt.Sprint(wanted))
	}
	return nil
}

// receivers looks whether somebody receives the alarms.
func (d doctor) receivers(ctx context.Context) ([]Finding, error) {
	out, err := sns.NewFromConfig(d.AWS).GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(d.Outputs[deployment.AlarmTopic])})
	if err != nil {
		return nil, err
	}
	switch confirmed, pending := out.Attributes["SubscriptionsConfirmed"], out.Attributes["SubscriptionsPending"]; {
	case pending != "0", confirmed == "0" && d.Parameters["AlarmEmail"] != "":
		return wrong("a receiver of alarms has not confirmed it: follow the link in the mail of AWS Notifications, which may be among the spam. After two days it is void: then subscribe the address again, to the topic AlarmTopicArn in the console"), nil
	case confirmed == "0":
		return fine("nobody receives alarms: `make deploy PARAMETERS=AlarmEmail=you@example.com` changes that"), nil
	default:
		return fine("%s receive alarms", confirmed), nil
	}
}

// ownKey is the section of the docs that has the statements.
const ownKey = `docs/operate.md, "Your own key"`

// key looks whether the policy of the user's own key names the services that use it by
// themselves. The policy belongs to the key, so the stack cannot write it. With AWS's
// own keys there is nothing to look at.
func (d doctor) key(ctx context.Context) ([]Finding, error) {
	key := d.Parameters["KmsKeyArn"]
	if key == "" {
		return nil, nil
	}
	out, err := kms.NewFromConfig(d.AWS).GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: &key})
	if deployment.IsDenied(err) {
		return fine("you may not read the policy of %s: have somebody who may compare `aws kms get-key-policy --key-id %s` with %s", key, key, ownKey), nil
	}
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, user := range []struct{ service, without string }{
		{"cloudwatch.amazonaws.com", "alarms reach nobody"},
		{"logs." + d.AWS.Region + ".amazonaws.com", "nothing is logged"},
	} {
		if !allows(aws.ToString(out.Policy), user.service) {
			found = append(found, wrong("the policy of %s does not name %s, and without that %s: add the statement that %s has", key, user.service, user.without, ownKey)...)
		}
	}
	if found == nil {
		return fine("its policy names alarms and logs"), nil
	}
	return found, nil
}

// allows reports whether a key's policy allows a service anything. What exactly, and on
// which conditions, is the owner's to say.
func allows(policy, service string) bool {
	var document struct {
		Statement oneOrMore[struct {
			Effect    string
			Principal json.RawMessage // an object, or "*"
		}]
	}
	if json.Unmarshal([]byte(policy), &document) != nil {
		return false
	}
	for _, statement := range document.Statement {
		var principal struct{ Service oneOrMore[string] }
		_ = json.Unmarshal(statement.Principal, &principal)
		if strings.EqualFold(statement.Effect, "Allow") && slices.Contains(principal.Service, service) {
			return true
		}
	}
	return false
}

// A oneOrMore is what IAM writes as a list, or without one as a single element.
type oneOrMore[T any] []T

// UnmarshalJSON reads either.
func (o *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	if strings.HasPrefix(string(text), "[") {
		return json.Unmarshal(text, (*[]T)(o))
	}
	*o = make([]T, 1)
	return json.Unmarshal(text, &(*o)[0])
}

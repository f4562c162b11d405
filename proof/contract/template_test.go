package contract_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/veryfi"
)

const (
	lambdaTrust = `{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"}}],"Version":"2012-10-17"}`
	// For pipes of this account only, as AWS asks against a confused deputy.
	pipeTrust = `{"Statement":[{"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"AWS::AccountId"}},"Effect":"Allow","Principal":{"Service":"pipes.amazonaws.com"}}],"Version":"2012-10-17"}`
	// The only policy that queues have denies, and allows nobody.
	tlsOnly = `{"Statement":[{"Action":"sqs:*","Condition":{"Bool":{"aws:SecureTransport":"false"}},"Effect":"Deny","Principal":"*","Resource":"*"}],"Version":"2012-10-17"}`

	acceptedWebhooks = `{"Id":"accepted","MetricStat":{"Metric":{"Dimensions":[{"Name":"Stack","Value":"AWS::StackName"}],"MetricName":"Accepted","Namespace":"VeryfiIntake"},"Period":3600,"Stat":"Sum"},"ReturnData":false}`
	// There is data of it as long as the queue is polled, so since there is a stack.
	waitingDocuments = `{"Id":"waiting","MetricStat":{"Metric":{"Dimensions":[{"Name":"QueueName","Value":"DocumentQueue.QueueName"}],"MetricName":"ApproximateNumberOfMessagesVisible","Namespace":"AWS/SQS"},"Period":3600,"Stat":"Maximum"},"ReturnData":false}`
)

// right are values that nothing else decides, and what another one does.
var right = []struct{ path, value, otherwise string }{
	{"VeryfiSecret.SecretString", "", "CloudFormation writes it over the filled secret when it changes"},
	{"VeryfiSecret.GenerateSecretString", "", "CloudFormation writes it over the filled secret when it changes"},

	{"HttpApi.AccessLogSettings.DestinationArn", "AccessLogGroup.Arn", "the log goes elsewhere"},
	{"AccessLogGroup.LogGroupName", "/aws/vendedlogs/apis/AWS::StackName", "API Gateway's policy for log groups fills up"},
	{"WebhookLogGroup.LogGroupName", "/aws/lambda/AWS::StackName-webhook", "nobody finds the log"},
	{"ProcessorLogGroup.LogGroupName", "/aws/lambda/AWS::StackName-processor", "nobody finds the log"},
	{"ReconcilerLogGroup.LogGroupName", "/aws/lambda/AWS::StackName-reconciler", "nobody finds the log"},
	{"WebhookFunction.LoggingConfig", `{"LogFormat":"JSON","LogGroup":"WebhookLogGroup","SystemLogLevel":"WARN"}`, "Lambda writes two lines more for each request, or lines and metrics are dropped"},
	{"ProcessorFunction.LoggingConfig", `{"LogFormat":"JSON","LogGroup":"ProcessorLogGroup","SystemLogLevel":"WARN"}`, "Lambda writes two lines more for each batch, or lines and metrics are dropped"},
	{"ReconcilerFunction.LoggingConfig", `{"LogFormat":"JSON","LogGroup":"ReconcilerLogGroup"}`, "lines and metrics are dropped"},
	{"WebhookFunction.Runtime", "provided.al2023", "the binaries do not run"},
	{"WebhookFunction.Handler", "bootstrap", "the binaries do not run"},
	{"WebhookFunction.CodeUri", ".", "another folder is built"},

	{"WebhookFunction.Events.Veryfi", `{"Properties":{"ApiId":"HttpApi","Method":"ANY","Path":"/webhook/veryfi","PayloadFormatVersion":"2.0"},"Type":"HttpApi"}`, "the route is another one"},
	{"ProcessorFunction.Events.Documents.Type", "SQS", "the processor does not poll"},
	{"ProcessorFunction.Events.Documents.Properties.Queue", "DocumentQueue.Arn", "the processor polls another queue"},
	{"ProcessorFunction.Events.Documents.Properties.FunctionResponseTypes", `["ReportBatchItemFailures"]`, "one failed record fails its whole batch"},
	{"ProcessorFunction.RecursiveLoop", "Allow", "Lambda drops an event at its 16th round"}, // documents go back to the processor's own queue
	{"ReconcilerFunction.Events.Schedule.Type", "Schedule", "the reconciler does not run"},
	{"ReconcilerFunction.Events.Schedule.Properties.State", "ENABLED", "the reconciler does not run"},
	{"ReconcilerFunction.EventInvokeConfig", `{"MaximumEventAgeInSeconds":3600,"MaximumRetryAttempts":0}`, "failed runs are repeated, or kept until the next ones"},
	{"ReconcilerFunction.Timeout", "900", "a run may not end; 15 minutes are Lambda's most"},

	{"DocumentQueue.RedrivePolicy.deadLetterTargetArn", "DeadLetterQueue.Arn", "dead letters do not go where they belong"},
	{"DeadLetterQueue.RedrivePolicy", "", "dead letters do not stay where they belong"},
	{"DocumentQueue.MaximumMessageSize", "1048576", "a document that the table refuses may not fit; 1 MiB is SQS's most"},
	{"DeadLetterQueue.MaximumMessageSize", "1048576", "a document that was given up may not fit"},
	{"DeadLetterQueue.MessageRetentionPeriod", "1209600", "DeadLetterQueue forgets before the 14 days that SQS has"},
	{"QueuePolicy.Queues", `["DocumentQueue","DeadLetterQueue","EventDeadLetterQueue"]`, "not all queues want TLS"},
	{"QueuePolicy.PolicyDocument", tlsOnly, "queues take what comes without TLS"},

	{"DocumentTable.BillingMode", "PAY_PER_REQUEST", "with another billing mode a burst is throttled"},
	{"DocumentTable.PointInTimeRecoverySpecification", `{"PointInTimeRecoveryEnabled":true}`, "the table cannot be restored"},
	{"DocumentTable.TimeToLiveSpecification", `{"AttributeName":"expires_at","Enabled":true}`, "rows, which have expires_at, do not expire"},
	{"DocumentTable.AttributeDefinitions", `[{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"problem","AttributeType":"S"},{"AttributeName":"updated_at","AttributeType":"S"}]`, "rows have their keys as text"},
	{"DocumentTable.KeySchema", `[{"AttributeName":"id","KeyType":"HASH"}]`, "rows have another key"},
	{"DocumentTable.GlobalSecondaryIndexes.0.IndexName", "problems", "nobody finds the index"},
	{"DocumentTable.GlobalSecondaryIndexes.0.KeySchema", `[{"AttributeName":"problem","KeyType":"HASH"},{"AttributeName":"updated_at","KeyType":"RANGE"}]`, "the index has another key"},
	{"DocumentTable.GlobalSecondaryIndexes.0.Projection.ProjectionType", "INCLUDE", "the index holds all or nothing"},
	{"DocumentTable.GlobalSecondaryIndexes.1", "", "a second index costs a write for each row"},
	{"DocumentTable.StreamSpecification", `{"StreamViewType":"NEW_IMAGE"}`, "a stream without the row's new state"},

	{"WebhookRole.AssumeRolePolicyDocument", lambdaTrust, "it can be assumed by nobody, or by whom it is not for"},
	{"ProcessorRole.AssumeRolePolicyDocument", lambdaTrust, "it can be assumed by nobody, or by whom it is not for"},
	{"ReconcilerRole.AssumeRolePolicyDocument", lambdaTrust, "it can be assumed by nobody, or by whom it is not for"},
	{"PipeRole.AssumeRolePolicyDocument", pipeTrust, "it can be assumed by nobody, or by whom it is not for"},

	{"AlarmSubscription", `{"Endpoint":"you@example.com","Protocol":"email","TopicArn":"AlarmTopic"}`, "nobody is mailed"},
	{"SilenceAlarm.Metrics", `[{"Expression":"FILL(accepted, 0) + 0 * waiting","Id":"silence"},` + acceptedWebhooks + "," + waitingDocuments + "]", "silence is not noticed, or before there was a stack"},
	{"SilenceAlarm.EvaluationPeriods", "24", "SilenceAlarmHours is not heard"},
	{"SilenceAlarm.ComparisonOperator", "LessThanThreshold", "it fires while webhooks come"},
	{"SilenceAlarm.Threshold", "1", "it fires while webhooks come"},
	{"Dashboard.DashboardName", "AWS::StackName-AWS::Region", "stacks in two regions share a dashboard: its name is the account's"},

	{"DocumentPipe.RoleArn", "PipeRole.Arn", "the pipe may not read"},
	{"DocumentPipe.Source", "DocumentTable.StreamArn", "the pipe reads another stream"},
	{"DocumentPipe.Target", defaultBus, "the events go to another bus"},
	// 12 hours, half of what a stream keeps; 10 events are PutEvents' most; when it is turned on, others hear of what happens then.
	{"DocumentPipe.SourceParameters.DynamoDBStreamParameters", `{"BatchSize":10,"DeadLetterConfig":{"Arn":"EventDeadLetterQueue.Arn"},"MaximumRecordAgeInSeconds":43200,"OnPartialBatchItemFailure":"AUTOMATIC_BISECT","StartingPosition":"LATEST"}`, "one event holds up all behind it, is lost without a word, or old ones are told"},
	// `retrying` is on its way, and a REMOVE has no image.
	{"DocumentPipe.SourceParameters.FilterCriteria", `{"Filters":[{"Pattern":"{\"eventName\": [\"INSERT\", \"MODIFY\"], \"dynamodb\": {\"NewImage\": {\"status\": {\"S\": [\"processed\", \"failed\", \"error\", \"unsupported\"]}}}}"}]}`, "others hear of rows that do not stay so, or of too few"},
	{"EventDeadLetterQueue.MessageRetentionPeriod", "1209600", "EventDeadLetterQueue forgets before the 14 days that SQS has"},
}

const defaultBus = "arn:AWS::Partition:events:AWS::Region:AWS::AccountId:event-bus/default"

func (c *contract) valuesAreRight() {
	for _, r := range right {
		if value := c.value(r.path); value != r.value {
			c.errorf("%s: %s (it is %q, not %q)", r.path, r.otherwise, value, r.value)
		}
	}
}

// fixedName is the property that would give a resource a name of its own, by the types
// that hold data.
var fixedName = map[string]string{"AWS::SecretsManager::Secret": "Name", "AWS::DynamoDB::Table": "TableName", "AWS::SQS::Queue": "QueueName"}

func (c *contract) dataOutlivesTheStack() {
	for kind, name := range fixedName {
		for _, id := range c.ids(kind) {
			r := c.file.Resources[id]
			if id != "EventDeadLetterQueue" && (r["DeletionPolicy"] != "RetainExceptOnCreate" || r["UpdateReplacePolicy"] != "Retain") {
				c.errorf("%s goes with the stack, or when it is replaced", id)
			}
			if c.value(id+"."+name) != "" {
				c.errorf("%s has a fixed name: the next stack cannot be created next to what is left of this one", id)
			}
		}
	}
}

func (c *contract) queuesAgreeWithTheFunctions() {
	documents, err := c.template.Queue("DocumentQueue")
	deadLetters, err2 := c.template.Queue("DeadLetterQueue")
	processor := c.function("ProcessorFunction")
	tries, err3 := strconv.Atoi(processor.Environment["MAX_TRIES"])
	hours, err4 := strconv.Atoi(processor.Environment["GIVE_UP_AFTER_HOURS"])
	if !c.check(err) || !c.check(err2) || !c.check(err3) || !c.check(err4) || processor.Source == nil {
		c.errorf("ProcessorFunction does not poll a queue")
		return
	}
	const day = 24 * time.Hour
	patience := time.Duration(documents.MaxReceiveCount) * documents.VisibilityTimeout
	outlast := min(time.Duration(hours)*time.Hour, longestWaits(tries)-longestRetryAfters)
	for _, must := range []struct {
		hold bool
		say  string
	}{
		{documents.VisibilityTimeout >= 6*processor.Timeout+processor.Source.Window, "the visibility timeout must be six times the processor's timeout, plus the window: Lambda's guide asks for it"},
		{documents.VisibilityTimeout <= 10*processor.Timeout, "after a crash a document waits for the visibility timeout: too long"},
		{outlast >= 2*day, fmt.Sprintf("%d tries and %d hours outlast %v only", tries, hours, outlast)},
		{documents.Retention-retrieve.MaxAge >= day, fmt.Sprintf("DocumentQueue forgets a message after %v, and the processor gives up after %v only", documents.Retention, retrieve.MaxAge)},
		{patience >= 4*day, fmt.Sprintf("a processor that cannot run empties the queue within %v", patience)},
		{deadLetters.Retention-documents.Retention >= 4*day, "a message keeps its age when SQS moves it: too little is left to redrive it from DeadLetterQueue"},
		{processor.Source.BatchSize >= 1 && processor.Source.BatchSize <= 10, "the processor reads the rows of ten records in one call, and Lambda wants a longer window for more"},
		{processor.Source.Window == 0, fmt.Sprintf("a document waits %v for others", processor.Source.Window)},
		{processor.Timeout >= 45*time.Second, "ProcessorFunction has too little time for a slow answer of Veryfi (20 s) and a slow table (13 s)"},
	} {
		if !must.hold {
			c.errorf("%s", must.say)
		}
	}
}

// longestRetryAfters is how long the tries can take that keep to retry-after.
const longestRetryAfters = retrieve.ExactTries * queue.MaxDelay

// longestWaits returns how long so many tries can take, without the work itself.
func longestWaits(tries int) time.Duration {
	all, wait := longestRetryAfters, retrieve.FirstWait
	for range tries {
		all += wait + wait/2 // up to half of it by chance
		wait = min(2*wait, retrieve.MaxWait)
	}
	return all
}

func (c *contract) stackStaysBelowVeryfisLimits() {
	processor, reconciler := c.function("ProcessorFunction"), c.function("ReconcilerFunction")
	rate, err := strconv.ParseFloat(processor.Environment["VERYFI_REQUESTS_PER_SECOND"], 64)
	lists, err2 := strconv.ParseFloat(reconciler.Environment["VERYFI_REQUESTS_PER_SECOND"], 64)
	if !c.check(err) || !c.check(err2) || processor.Source == nil {
		return
	}
	environments := processor.Source.MaximumConcurrency
	if rate <= 0 || lists != veryfi.ReconcilerRequestsPerSecond || environments < 2 || !veryfi.Fits(environments, rate) {
		c.errorf("%d processors with %v requests a second, and %v for the list, is more than Veryfi allows, or not what shared/veryfi computes with", environments, rate, lists)
	}
	const newAccount = 10 // executions at the same time
	if environments > newAccount/2 {
		c.errorf("%d processors leave the webhook less than half of what a new account has", environments)
	}
	for id := range functions {
		if c.value(id+".ReservedConcurrentExecutions") != "" {
			c.errorf("%s reserves concurrency: a new account has none to give away", id)
		}
	}
}

func (c *contract) reconcilerOverlapsItsRuns() {
	set := c.function("ReconcilerFunction").Environment
	if hours, err := strconv.Atoi(set["RECONCILE_WINDOW_HOURS"]); err != nil || hours < 6 || hours > 48 {
		c.errorf("RECONCILE_WINDOW_HOURS: windows of %d hours overlap too little to outlast runs that fail, or read too many rows", hours)
	}
	if minutes, err := strconv.Atoi(set["RECONCILE_GRACE_MINUTES"]); err != nil || minutes < 30 || minutes > 120 {
		c.errorf("RECONCILE_GRACE_MINUTES: a webhook has %d minutes to arrive", minutes)
	}
}

func (c *contract) webhookIsReached() {
	// Its own limit for an answer is 9 s.
	if timeout := c.function("WebhookFunction").Timeout; timeout <= 9*time.Second || timeout >= 30*time.Second {
		c.errorf("WebhookFunction has a time-out of %v: it must be longer than its answers take, and API Gateway gives up after 30 s", timeout)
	}
	var api struct {
		DefaultRouteSettings struct{ ThrottlingRateLimit, ThrottlingBurstLimit float64 }
	}
	c.decode(c.full, "HttpApi", &api)
	if rate, burst := api.DefaultRouteSettings.ThrottlingRateLimit, api.DefaultRouteSettings.ThrottlingBurstLimit; rate < 60 || rate > 1000 || burst < rate || burst > 2*rate {
		c.errorf("HttpApi lets %v requests a second pass: Veryfi may send sixty, and a flood must cost little", rate)
	}
}

// indexServesTheCode looks at what the index of problems holds: what a list shows and
// the reconciler makes messages of, and nothing large.
func (c *contract) indexServesTheCode() {
	table, err := c.template.Table("DocumentTable")
	if !c.check(err) || len(table.GlobalSecondaryIndexes) == 0 {
		return
	}
	held := table.GlobalSecondaryIndexes[0].Projection.NonKeyAttributes
	for _, name := range []string{"document", "document_gzip", "data"} {
		if slices.Contains(held, name) {
			c.errorf("DocumentTable: the index holds %s a second time", name)
		}
	}
	for _, name := range []string{"status", "error", "event", "created", "received_at", "attempts", "request_id", "parent_id"} {
		if !slices.Contains(held, name) {
			c.errorf("DocumentTable: the index lacks %s, which the reconciler makes messages of", name)
		}
	}
}

// functionsMakeTheMostOfTheirMemory keeps what docs/performance.md measured.
func (c *contract) functionsMakeTheMostOfTheirMemory() {
	const oneCPU = 1769 // MB with which a function has a whole one
	for id := range functions {
		f := c.function(id)
		limit, err := strconv.Atoi(strings.TrimSuffix(f.Environment["GOMEMLIMIT"], "MiB"))
		if err != nil || limit < f.MemorySize*3/4 || limit > f.MemorySize*4/5 {
			c.errorf("%s: GOMEMLIMIT is %s with %d MB: three to four fifths leave room for what Go does not count", id, f.Environment["GOMEMLIMIT"], f.MemorySize)
		}
		if f.Environment["GOMAXPROCS"] != "1" || f.MemorySize >= oneCPU {
			c.errorf("%s: GOMAXPROCS is %q with %d MB", id, f.Environment["GOMAXPROCS"], f.MemorySize)
		}
		if collect, err := strconv.Atoi(f.Environment["GOGC"]); err != nil || collect < 400 {
			c.errorf("%s: GOGC is %q", id, f.Environment["GOGC"])
		}
		// Go ignores an empty one.
		if folder := f.Environment["SSL_CERT_DIR"]; !filepath.IsAbs(folder) || exists(folder) {
			c.errorf("%s: SSL_CERT_DIR is %q, which must be a path and not exist", id, folder)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (c *contract) aBareBuildFitsABareDeploy() {
	built := regexp.MustCompile(`(?m)^ARCH *\?= *(\w+)$`).FindStringSubmatch(read(c.t, "Makefile"))
	for id := range functions {
		if f := c.function(id); built == nil || f.Architecture != built[1] {
			c.errorf("%s is deployed as %s, but the Makefile builds %q", id, f.Architecture, built)
		}
	}
}

// outputsAreThoseThatAreUsed compares with what docs/reference.md says; which outputs
// the operator's command needs, its own test knows.
func (c *contract) outputsAreThoseThatAreUsed() {
	values, err := c.template.Outputs(c.names)
	c.check(err)
	for name, want := range map[string]string{
		"SecretId": "VeryfiSecret", "TableName": "DocumentTable", "QueueUrl": "DocumentQueue", "DeadLetterQueueUrl": "DeadLetterQueue",
		"ReconcilerName": "ReconcilerFunction", "AlarmTopicArn": "AlarmTopic",
		"WebhookLogGroupName": "WebhookLogGroup", "ProcessorLogGroupName": "ProcessorLogGroup", "ReconcilerLogGroupName": "ReconcilerLogGroup",
		"WebhookUrl":   "https://HttpApi.execute-api.AWS::Region.AWS::URLSuffix/webhook/veryfi",
		"DashboardUrl": "https://AWS::Region.console.aws.amazon.com/cloudwatch/home?region=AWS::Region#dashboards/dashboard/Dashboard",
	} {
		if values[name] != want {
			c.errorf("the output %s is %q, not %q", name, values[name], want)
		}
		if c.file.Outputs[name].Description == "" {
			c.errorf("nobody says what the output %s is", name)
		}
	}
	said, is := slices.Sorted(maps.Keys(c.reference("Outputs"))), slices.Sorted(maps.Keys(c.file.Outputs))
	if !slices.Equal(said, is) {
		c.errorf("docs/reference.md has the outputs %v, the template %v", said, is)
	}
}

// reference returns the names in the first column of the table in a section of
// docs/reference.md, each with what the second column says of it.
func (c *contract) reference(section string) map[string]string {
	_, rest, _ := strings.Cut(read(c.t, "docs/reference.md"), "\n## "+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n#")
	said := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|([^|]*)\\|").FindAllStringSubmatch(rest, -1) {
		values := strings.Split(row[2], ", ")
		for i, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[1], -1) {
			said[name[1]] = strings.Trim(values[min(i, len(values)-1)], " `")
		}
	}
	return said
}

// A parameter is what one of the template's must take and refuse: some values, and of a
// number those from one to another. Its samples are in stackFile with what they change.
type parameter struct {
	takes, refuses, samples []string
	from, to                int
}

const aKey = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

var parameters = map[string]parameter{
	"Architecture": {takes: []string{"arm64"}, refuses: []string{"", "arm"}, samples: []string{"x86_64"}},
	"VeryfiBaseUrl": {
		takes:   []string{"https://api.veryfi.com", "https://eu.example.com:8443/api", "https://10.0.0.52:8080/v2/a_b~c"},
		refuses: []string{"", "http://api.veryfi.com", "https://api.veryfi.com/", "https://", "api.veryfi.com", "https://a b", "https://a:b", "https://a?b=c", "https://%"},
		samples: []string{"https://eu.example.com"},
	},
	"ProcessorConcurrency": {from: 2, to: 50, samples: []string{"7"}}, // Lambda takes 2 and more
	"VeryfiRequestsPerSecond": {
		takes:   []string{"0.1", "0.5", "0.99", "1", "9", "10", "11", "7.5", "19", "20", "28", "28.99", "29"},
		refuses: []string{"0", "0.0", "0.01", "0.09", "29.1", "30", "100", "1.", ".5", "1,5", "0.123", "", "-1", "007", "1e1", " 5"},
		samples: []string{"3.25"},
	},
	"ReconcileEnabled":      {takes: []string{"true"}, refuses: []string{"", "no"}, samples: []string{"false"}},
	"ReconcileSchedule":     {takes: []string{"rate(1 hour)", "rate(15 minutes)", "cron(0 8-18 ? * MON-FRI *)"}, refuses: []string{"", "hourly", "rate()", "1 hour"}, samples: []string{"cron(0 * * * ? *)"}},
	"ReconcileWindowHours":  {from: 1, to: 720, samples: []string{"17"}},
	"ReconcileGraceMinutes": {from: 0, to: 1440, samples: []string{"19"}},
	"ReconcileKinds": {
		takes:   []string{"document", "check", "document,check,bank_statement,w2,anydocument", "w_8ben_e,x"},
		refuses: []string{"", ",", "document,", ",document", "document, check", "document check", "Check", "bank-statement", "documents/x", "2w"},
		samples: []string{"document,check"},
	},
	"MoreKinds": {
		takes:   []string{"", "parse=parse", "w9=w-8ben-e,w_9=w9s", "a=1,b=2,c=3,d=4,e=5"},
		refuses: []string{"parse", "parse=", "=parse", "parse=parse,", ",parse=parse", "parse=parse, contract=contracts", "parse=parse contract=contracts", "Parse=parse", "9w=w9s", "parse=Parse", "parse=-parse", "parse=../x", "parse=a/b", "parse=a_b", "parse=a?b", "par-se=parse", "parse#=parse", "parse=parse=parse", "a=1,b=2,c=3,d=4,e=5,f=6", strings.Repeat("a", 65) + "=a", "a=" + strings.Repeat("a", 65)},
		samples: []string{"parse=parse,contract=contracts"},
	},
	"LogRetentionDays":      {takes: []string{"1", "30", "3653"}, refuses: []string{"0", "2", "31", "30.0", "", "-1"}, samples: []string{"14"}},
	"DocumentRetentionDays": {from: 0, to: 36_500, samples: []string{"23"}},
	"AlarmEmail":            {takes: []string{""}, refuses: []string{"you", "you@", "a b@example.com"}, samples: []string{"you@example.com"}},
	"SilenceAlarmHours":     {from: 0, to: 168, samples: []string{"29"}}, // an alarm looks back a week at most
	"KmsKeyArn": {
		takes:   []string{"", "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "arn:aws-us-gov:kms:us-gov-west-2:012345678901:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
		refuses: []string{"alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:eu-central-1:111122223333:alias/mine", "arn:aws:kms:eu-central-1:111122223333:key/"},
		samples: []string{aKey},
	},
	"DocumentEvents": {takes: []string{"off"}, refuses: []string{"", "on"}, samples: []string{"stream", "eventbridge"}},
}

// parametersAreHarmless holds because everybody who may look at a stack sees its
// parameters, and because nobody changes what they do not know of.
func (c *contract) parametersAreHarmless() {
	said, is := c.reference("Settings"), slices.Sorted(maps.Keys(c.file.Parameters))
	if names := slices.Sorted(maps.Keys(said)); !slices.Equal(names, is) || !slices.Equal(slices.Sorted(maps.Keys(parameters)), is) {
		c.errorf("docs/reference.md has the settings %v, the template %v, this test %v", names, is, slices.Sorted(maps.Keys(parameters)))
	}
	for name, p := range c.file.Parameters {
		if regexp.MustCompile(`(?i)secret|password|token|key|username|client`).MatchString(strings.TrimSuffix(name, "KeyArn")) {
			c.errorf("the parameter %s looks like a credential", name)
		}
		if value := *p.Default; value != said[name] {
			c.errorf("%s is %q by default, and docs/reference.md says %q", name, value, said[name])
		}
		if p.Description == "" {
			c.errorf("nobody says what the parameter %s is", name)
		}
	}
	for name, want := range map[string]string{ // with others, documents are deleted, credentials go elsewhere, and what nobody asked for is there
		"DocumentRetentionDays": "0", "VeryfiBaseUrl": veryfi.DefaultBaseURL, "SilenceAlarmHours": "0", "DocumentEvents": "off", "ReconcileSchedule": "rate(1 hour)", "ReconcileKinds": "document", "MoreKinds": "",
	} {
		if p := c.file.Parameters[name]; p.Default != nil && *p.Default != want {
			c.errorf("%s is %q by default, not %q", name, *p.Default, want)
		}
	}
}

// parametersTakeWhatTheyShould holds because what is mistyped is best refused before
// anything is deployed.
func (c *contract) parametersTakeWhatTheyShould() {
	for name, p := range c.file.Parameters {
		want, known := parameters[name]
		if !known {
			continue
		}
		if p.Type != "String" {
			c.errorf("%s is a %s: a Number may be 0.5 or 1e2", name, p.Type)
		}
		for _, value := range append(want.samples, want.takes...) {
			if !p.Takes(value) {
				c.errorf("the parameter %s does not take %q", name, value)
			}
		}
		for _, value := range want.refuses {
			if p.Takes(value) {
				c.errorf("the parameter %s takes %q", name, value)
			}
		}
		if want.to > 0 {
			if got := remembered(p, numbersTaken); got != fmt.Sprintf("from %d to %d", want.from, want.to) {
				c.errorf("the parameter %s takes %s, not from %d to %d", name, got, want.from, want.to)
			} else if p.ConstraintDescription != "must be a whole number "+got+"." {
				c.errorf("the parameter %s takes numbers %s, and says %q", name, got, p.ConstraintDescription)
			}
		}
	}
	p := c.file.Parameters["VeryfiRequestsPerSecond"]
	if got := remembered(p, requestsTaken); got != "from 0.10 to 28.99" {
		c.errorf("VeryfiRequestsPerSecond takes %s", got)
	}
	if p.ConstraintDescription != "must be a number from 0.1 to 29 with two decimals at most." {
		c.errorf("VeryfiRequestsPerSecond says %q", p.ConstraintDescription)
	}
}

// noWholeNumbers are forms that Go, Java or CloudFormation may take for a number.
var noWholeNumbers = []string{"", "-1", "+5", " 5", "5 ", "5\n", "007", "00", "5.0", "1e1", "0x10", "5f", "Inf", "NaN", "٥"}

// numbersTaken tries all numbers there may be, and returns "from 2 to 50", or what
// else is taken.
func numbersTaken(takes func(string) bool) string {
	for _, value := range noWholeNumbers {
		if takes(value) {
			return strconv.Quote(value)
		}
	}
	from, to, taken := -1, -1, 0
	for n := range 40_000 {
		if takes(strconv.Itoa(n)) {
			if from < 0 {
				from = n
			}
			to = n
			taken++
		}
	}
	return fmt.Sprintf("from %d to %d", from, to) + map[bool]string{false: ", but not all"}[taken == to-from+1]
}

// requestsTaken tries all numbers with two decimals, and returns "from 0.10 to 28.99",
// or the first whole number that is taken and should not be, or the other way round.
func requestsTaken(takes func(string) bool) string {
	from, to := "", ""
	for n := range 40_00 {
		if text := fmt.Sprintf("%d.%02d", n/100, n%100); takes(text) {
			from, to = cmp.Or(from, text), text
		}
		if whole := strconv.Itoa(n / 100); takes(whole) != (n >= 1_00 && n < 30_00) {
			return whole
		}
	}
	return "from " + from + " to " + to
}

var answers sync.Map // of the last two, by pattern

// remembered asks once for a pattern.
func remembered(p template.Parameter, ask func(takes func(string) bool) string) string {
	if p.AllowedPattern == nil {
		return "what its type takes"
	}
	answer, ok := answers.Load(*p.AllowedPattern)
	if !ok {
		pattern, err := regexp.Compile(`^(?:` + *p.AllowedPattern + `)$`) // CloudFormation compares with the whole value
		if err != nil {
			return err.Error()
		}
		answer = ask(pattern.MatchString)
		answers.Store(*p.AllowedPattern, answer)
	}
	return answer.(string)
}

func readJSON(c *contract, path string, into any) {
	if err := json.Unmarshal([]byte(read(c.t, path)), into); err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
}

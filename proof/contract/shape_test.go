package contract_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/veryfi"
)

// What the template has at all. The other checks look at what they know; these let
// nothing in that nobody has thought of.

// thoughtOf are the resources, by type, and the properties they have. A new one is
// added here with a thought of what it can break: a filter on a queue's messages loses
// documents, a VPC has no way to Veryfi, a key of one's own needs permissions.
var thoughtOf = map[string]struct{ ids, properties []string }{
	"AWS::SecretsManager::Secret": {[]string{"VeryfiSecret"}, []string{"Description", "KmsKeyId"}},
	"AWS::SQS::Queue": {[]string{"DeadLetterQueue", "DocumentQueue", "EventDeadLetterQueue"}, []string{
		"SqsManagedSseEnabled", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "MaximumMessageSize", "VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy",
	}},
	"AWS::SQS::QueuePolicy": {[]string{"QueuePolicy"}, []string{"Queues", "PolicyDocument"}},
	"AWS::DynamoDB::Table": {[]string{"DocumentTable"}, []string{
		"BillingMode", "SSESpecification", "PointInTimeRecoverySpecification", "TimeToLiveSpecification", "StreamSpecification", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes",
	}},
	"AWS::Logs::LogGroup":        {[]string{"AccessLogGroup", "ProcessorLogGroup", "ReconcilerLogGroup", "WebhookLogGroup"}, []string{"LogGroupName", "RetentionInDays", "KmsKeyId"}},
	"AWS::IAM::Role":             {[]string{"PipeRole", "ProcessorRole", "ReconcilerRole", "WebhookRole"}, []string{"AssumeRolePolicyDocument", "Policies"}},
	"AWS::Serverless::HttpApi":   {[]string{"HttpApi"}, []string{"Description", "DefaultRouteSettings", "AccessLogSettings"}},
	"AWS::Serverless::Function":  {slices.Sorted(maps.Keys(functions)), []string{"Description", "Role", "MemorySize", "Timeout", "RecursiveLoop", "EventInvokeConfig", "LoggingConfig", "Environment", "Events"}},
	"AWS::SNS::Topic":            {[]string{"AlarmTopic"}, []string{"DisplayName", "KmsMasterKeyId"}},
	"AWS::SNS::Subscription":     {[]string{"AlarmSubscription"}, []string{"TopicArn", "Protocol", "Endpoint"}},
	"AWS::Pipes::Pipe":           {[]string{"DocumentPipe"}, []string{"Description", "RoleArn", "Source", "SourceParameters", "Target", "TargetParameters"}},
	"AWS::CloudWatch::Dashboard": {[]string{"Dashboard"}, []string{"DashboardName", "DashboardBody"}},
	"AWS::CloudWatch::Alarm": {nil, []string{ // which there are, alarmsRing knows
		"AlarmName", "AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold",
		"TreatMissingData", "AlarmActions", "OKActions", "Metrics",
	}},
}

// conditional are the resources that are not always there.
var conditional = map[string]string{
	"AlarmSubscription": "TellsSomebody", "SilenceAlarm": "FiresWhenSilent", "DocumentPipe": "SendsEvents", "PipeRole": "SendsEvents",
	"EventDeadLetterQueue": "SendsEvents", "EventDeadLettersAlarm": "SendsEvents", "PipeAlarm": "SendsEvents", "PipePartAlarm": "SendsEvents",
}

// globals are what all functions have in common.
var globals = []string{"Architectures", "CodeUri", "Environment", "Handler", "Runtime"}

// eventsThoughtOf is the one event of each function, and its properties.
var eventsThoughtOf = map[string]struct {
	kind       string
	properties []string
}{
	"WebhookFunction":    {"HttpApi", []string{"ApiId", "Path", "Method", "PayloadFormatVersion"}},
	"ProcessorFunction":  {"SQS", []string{"Queue", "BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "ScalingConfig"}},
	"ReconcilerFunction": {"Schedule", []string{"Description", "Schedule", "State"}},
}

// unthought reports names that are not among those that are known.
func (c *contract) unthought(what string, names, known []string) {
	for _, name := range names {
		if !slices.Contains(known, name) {
			c.errorf("%s has %s, which nobody has thought of: if it is right, add it to the test", what, name)
		}
	}
}

func (c *contract) nothingIsThereThatNobodyThoughtOf() {
	if c.file.Transform != "AWS::Serverless-2016-10-31" {
		c.errorf("the template is transformed by %v", c.file.Transform)
	}
	c.unthought("Globals", slices.Sorted(maps.Keys(c.file.Globals)), []string{"Function"})
	c.unthought("Globals.Function", slices.Sorted(maps.Keys(c.file.Globals["Function"])), globals)
	for kind, thought := range thoughtOf {
		if ids := c.ids(kind); thought.ids != nil && !slices.Equal(ids, thought.ids) {
			c.errorf("there are %v of %s, and %v are thought of", ids, kind, thought.ids)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.file.Resources)) {
		r := c.file.Resources[id]
		attributes := []string{"Type", "Properties"}
		if conditional[id] != "" {
			attributes = append(attributes, "Condition")
		}
		if c.holdsData(id) {
			attributes = append(attributes, "DeletionPolicy", "UpdateReplacePolicy")
		}
		if r.Type == "AWS::Serverless::Function" {
			attributes = append(attributes, "Metadata")
			if !maps.Equal(r.Metadata, map[string]any{"BuildMethod": "makefile"}) {
				c.errorf("%s is built by SAM (%v), not by the Makefile: with the C library of the machine that builds", id, r.Metadata)
			}
		}
		c.unthought(id, r.attributes, attributes)
		c.unthought(id, slices.Sorted(maps.Keys(r.Properties)), thoughtOf[r.Type].properties)
		if r.Condition != conditional[id] {
			c.errorf("%s is there on the condition %q, not %q", id, r.Condition, conditional[id])
		}
	}
	for name, want := range map[string]any{"Runtime": "provided.al2023", "Handler": "bootstrap", "CodeUri": "."} {
		if c.file.Globals["Function"][name] != want {
			c.errorf("the functions' %s is %v, not %v", name, c.file.Globals["Function"][name], want)
		}
	}
	if billing := c.file.Resources["DocumentTable"].Properties["BillingMode"]; billing != "PAY_PER_REQUEST" {
		c.errorf("DocumentTable has the billing mode %v: a burst would be throttled", billing)
	}
}

func (c *contract) functionsHaveOneEventEach() {
	for id, thought := range eventsThoughtOf {
		var properties struct {
			Events map[string]struct {
				Type       string
				Properties map[string]any
			}
		}
		c.decode(c.file.Resources[id].Properties, &properties)
		if len(properties.Events) != 1 {
			c.errorf("%s has %d events, not one", id, len(properties.Events))
		}
		for name, event := range properties.Events {
			if event.Type != thought.kind {
				c.errorf("%s has an event of type %s, not %s", id, event.Type, thought.kind)
			}
			c.unthought(id+"'s event "+name, slices.Sorted(maps.Keys(event.Properties)), thought.properties)
		}
	}
}

// rolesAreForTheirService lets a role be taken by the service that it is for.
func (c *contract) rolesAreForTheirService() {
	for _, id := range c.ids("AWS::IAM::Role") {
		var properties struct {
			AssumeRolePolicyDocument struct {
				Version   string
				Statement []struct {
					Effect, Action string
					Principal      any
					Condition      map[string]map[string]string
				}
			}
		}
		c.decode(c.file.Resources[id].Properties, &properties)
		trust := properties.AssumeRolePolicyDocument
		if len(trust.Statement) != 1 || trust.Version != policyVersion || trust.Statement[0].Effect != "Allow" || trust.Statement[0].Action != "sts:AssumeRole" {
			c.errorf("%s can be assumed by nobody, or by whom it is not for", id)
			continue
		}
		service, account := "lambda.amazonaws.com", ""
		if id == "PipeRole" { // for pipes of this account, as AWS asks against a confused deputy
			service, account = "pipes.amazonaws.com", "AWS::AccountId"
		}
		statement := trust.Statement[0]
		if who, _ := statement.Principal.(map[string]any); len(who) != 1 || who["Service"] != service {
			c.errorf("%s can be assumed by %v", id, statement.Principal)
		}
		if statement.Condition["StringEquals"]["aws:SourceAccount"] != account || len(statement.Condition) > 1 || account == "" && statement.Condition != nil {
			c.errorf("%s can be assumed on the condition %v", id, statement.Condition)
		}
	}
}

func (c *contract) conditionsMeanWhatTheySay() {
	for _, test := range []struct{ parameter, off, on, resource string }{
		{"AlarmEmail", "", "you@example.com", "AlarmSubscription"},
		{"SilenceAlarmHours", "0", "24", "SilenceAlarm"},
		{"DocumentEvents", "off", "eventbridge", "DocumentPipe"},
		{"DocumentEvents", "stream", "eventbridge", "PipeRole"},
		{"DocumentEvents", "stream", "eventbridge", "PipeAlarm"},
	} {
		for value, want := range map[string]bool{test.off: false, test.on: true} {
			if c.with(map[string]string{test.parameter: value}).Has(test.resource) != want {
				c.errorf("with %s=%q there is the resource %s: %v", test.parameter, value, test.resource, !want)
			}
		}
	}
	for value, want := range map[string]string{"off": "", "stream": "NEW_IMAGE", "eventbridge": "NEW_IMAGE"} {
		t := c.with(map[string]string{"DocumentEvents": value})
		if table, err := t.Table("DocumentTable"); err != nil || table.StreamSpecification.StreamViewType != want {
			c.errorf("with DocumentEvents=%s the table has a stream of %q, not %q (%v)", value, table.StreamSpecification.StreamViewType, want, err)
		}
	}
}

// parametersAreHarmless holds because everybody who may look at a stack sees its
// parameters, because nobody changes what they do not know of, and because what is
// mistyped is best refused before anything is deployed.
func (c *contract) parametersAreHarmless() {
	said := c.readme("Settings")
	if names := slices.Sorted(maps.Keys(c.file.Parameters)); !slices.Equal(slices.Sorted(maps.Keys(said)), names) {
		c.errorf("README has the settings %v, the template %v", slices.Sorted(maps.Keys(said)), names)
	}
	for name, p := range c.file.Parameters {
		if regexp.MustCompile(`(?i)secret|password|token|key|username|client`).MatchString(strings.TrimSuffix(name, "KeyArn")) {
			c.errorf("the parameter %s looks like a credential", name)
		}
		if value := *p.Default; value != said[name] {
			c.errorf("%s is %q by default, and README says %q", name, value, said[name])
		}
		if p.Description == "" {
			c.errorf("nobody says what the parameter %s is", name)
		}
		if p.Type != "String" || p.AllowedValues == nil && p.AllowedPattern == nil {
			c.errorf("%s takes any %s", name, p.Type)
		}
		if !regexp.MustCompile(`(!Ref |\[!Ref |\$\{)` + name + `\b`).MatchString(c.text) {
			c.errorf("the parameter %s changes nothing", name)
		}
	}
	if days := c.file.Parameters["DocumentRetentionDays"].Default; *days != "0" {
		c.errorf("documents are deleted after %v days unless somebody forbids it", *days)
	}
	if base := c.file.Parameters["VeryfiBaseUrl"].Default; *base != veryfi.DefaultBaseURL {
		c.errorf("VeryfiBaseUrl is %v by default: the credentials would go there", *base)
	}
	c.parametersTakeWhatTheyShould()
}

// taken are values that parameters take, and refused such that they do not. Of each
// number the tests of the functions try more.
var taken, refused = map[string][]string{
	"Architecture":            {"arm64", "x86_64"},
	"VeryfiBaseUrl":           {"https://api.veryfi.com", "https://eu.example.com:8443/api", "https://10.0.0.52:8080/v2/a_b~c"},
	"ProcessorConcurrency":    {"2", "9", "10", "49", "50"},
	"VeryfiRequestsPerSecond": {"0.1", "0.5", "0.99", "1", "11", "7.5", "28.99", "29"},
	"ReconcileEnabled":        {"true", "false"},
	"ReconcileSchedule":       {"rate(1 hour)", "rate(15 minutes)", "cron(0 8-18 ? * MON-FRI *)"},
	"ReconcileWindowHours":    {"1", "9", "10", "99", "100", "699", "700", "719", "720"},
	"ReconcileGraceMinutes":   {"0", "1", "60", "999", "1000", "1399", "1400", "1439", "1440"},
	"LogRetentionDays":        {"1", "30", "3653"},
	"DocumentRetentionDays":   {"0", "1", "90", "9999", "10000", "29999", "30000", "35999", "36000", "36499", "36500"},
	"AlarmEmail":              {"", "you@example.com"},
	"SilenceAlarmHours":       {"0", "1", "24", "99", "100", "159", "160", "168"},
	"KmsKeyArn": {"", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
		"arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab", "arn:aws-us-gov:kms:us-gov-west-2:012345678901:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
	"DocumentEvents": {"off", "stream", "eventbridge"},
}, map[string][]string{
	"Architecture":            {"", "arm"},
	"VeryfiBaseUrl":           {"", "http://api.veryfi.com", "https://api.veryfi.com/", "https://", "api.veryfi.com", "https://a b", "https://a:b", "https://a?b=c", "https://%"},
	"ProcessorConcurrency":    {"0", "1", "51", "60", "100"},
	"VeryfiRequestsPerSecond": {"0", "0.0", "0.01", "0.09", "29.1", "30", "100", "1.", ".5", "1,5", "0.123"},
	"ReconcileEnabled":        {"", "no"},
	"ReconcileSchedule":       {"", "hourly", "rate()", "1 hour"},
	"ReconcileWindowHours":    {"0", "721", "730", "800", "1000"},
	"ReconcileGraceMinutes":   {"1441", "1450", "1500", "10000"},
	"LogRetentionDays":        {"0", "2", "31", "30.0"},
	"DocumentRetentionDays":   {"36501", "36600", "37000", "40000", "100000"},
	"AlarmEmail":              {"you", "you@", "a b@example.com"},
	"SilenceAlarmHours":       {"169", "170", "200", "1000"},
	"KmsKeyArn":               {"alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:eu-central-1:111122223333:alias/mine", "arn:aws:kms:eu-central-1:111122223333:key/"},
	"DocumentEvents":          {"", "on"},
}

// noWholeNumbers are forms that Go, Java or CloudFormation may take for a number.
var noWholeNumbers = []string{"", "-1", "+5", " 5", "5 ", "5\n", "007", "00", "5.0", "1e1", "0x10", "5f", "Inf", "NaN", "٥"}

func (c *contract) parametersTakeWhatTheyShould() {
	number := regexp.MustCompile(`^[0-9]+$`)
	for name, p := range c.file.Parameters {
		for _, value := range taken[name] {
			if !p.Takes(value) {
				c.errorf("the parameter %s does not take %q", name, value)
			}
		}
		values := refused[name]
		if number.MatchString(*p.Default) {
			values = append(slices.Clone(noWholeNumbers), values...)
			if p.AllowedValues == nil && !regexp.MustCompile(`^must be a .*number from [0-9.]+ to [0-9]+.*\.$`).MatchString(p.ConstraintDescription) {
				c.errorf("%s does not say what it takes: %q", name, p.ConstraintDescription)
			}
		}
		for _, value := range values {
			if decimal := name == "VeryfiRequestsPerSecond" && value == "5.0"; !decimal && p.Takes(value) {
				c.errorf("the parameter %s takes %q", name, value)
			}
		}
		if taken[name] == nil || refused[name] == nil {
			c.errorf("nobody has tried what the parameter %s takes", name)
		}
	}
}

// TestNumbersAreThoseOfTheirRange tries all of them.
func TestNumbersAreThoseOfTheirRange(t *testing.T) {
	t.Parallel()
	var file struct {
		Parameters map[string]template.Parameter `yaml:"Parameters"`
	}
	if err := yaml.Unmarshal([]byte(deployed(t)), &file); err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`number from ([0-9.]+) to ([0-9]+)`)
	for name, limits := range map[string][2]int{ // from what Lambda takes; what an alarm looks back at most
		"ProcessorConcurrency": {2, 50}, "ReconcileWindowHours": {1, 720}, "ReconcileGraceMinutes": {0, 1440}, "DocumentRetentionDays": {0, 36_500}, "SilenceAlarmHours": {0, 168},
	} {
		p := file.Parameters[name]
		if match := said.FindStringSubmatch(p.ConstraintDescription); match == nil || match[1] != strconv.Itoa(limits[0]) || match[2] != strconv.Itoa(limits[1]) {
			t.Errorf("%s says %q", name, p.ConstraintDescription)
		}
		for n := range limits[1] + 200 {
			if got := p.Takes(strconv.Itoa(n)); got != (n >= limits[0] && n <= limits[1]) {
				t.Fatalf("%s takes %d: %v", name, n, got)
			}
		}
	}
	rate := file.Parameters["VeryfiRequestsPerSecond"]
	for n := range 30_00 {
		want := n >= 10 && n <= 29_00
		whole, text := strconv.Itoa(n/100), fmt.Sprintf("%d.%02d", n/100, n%100)
		if got := rate.Takes(text); got != want && n != 29_00 {
			t.Fatalf("VeryfiRequestsPerSecond takes %s: %v", text, got)
		}
		if got := rate.Takes(whole); n%100 == 0 && got != want {
			t.Fatalf("VeryfiRequestsPerSecond takes %s: %v", whole, got)
		}
	}
}

// reached is what each parameter changes: properties of resources, or resources that
// are there (+) or not.
var reached = map[string]struct {
	value string
	paths []string
}{
	"Architecture":            {"x86_64", []string{"ProcessorFunction.Architectures", "ReconcilerFunction.Architectures", "WebhookFunction.Architectures"}},
	"VeryfiBaseUrl":           {"https://eu.example.com", []string{"ProcessorFunction.Environment.Variables.VERYFI_BASE_URL", "ReconcilerFunction.Environment.Variables.VERYFI_BASE_URL"}},
	"ProcessorConcurrency":    {"7", []string{"ProcessorFunction.Events.Documents.Properties.ScalingConfig.MaximumConcurrency"}},
	"VeryfiRequestsPerSecond": {"3.25", []string{"ProcessorFunction.Environment.Variables.VERYFI_REQUESTS_PER_SECOND"}},
	"ReconcileEnabled":        {"false", []string{"ReconcilerFunction.Events.Schedule.Properties.State"}},
	"ReconcileSchedule":       {"cron(0 * * * ? *)", []string{"ReconcilerFunction.Events.Schedule.Properties.Schedule"}},
	"ReconcileWindowHours":    {"17", []string{"ReconcilerFunction.Environment.Variables.RECONCILE_WINDOW_HOURS"}},
	"ReconcileGraceMinutes":   {"19", []string{"ReconcilerFunction.Environment.Variables.RECONCILE_GRACE_MINUTES"}},
	"LogRetentionDays": {"14", []string{
		"AccessLogGroup.RetentionInDays", "ProcessorLogGroup.RetentionInDays", "ReconcilerLogGroup.RetentionInDays", "WebhookLogGroup.RetentionInDays",
	}},
	"DocumentRetentionDays": {"23", []string{"ProcessorFunction.Environment.Variables.DOCUMENT_RETENTION_DAYS"}},
	"AlarmEmail":            {"you@example.com", []string{"+AlarmSubscription"}},
	"SilenceAlarmHours":     {"29", []string{"+SilenceAlarm", "Dashboard.DashboardBody"}},
	"KmsKeyArn": {aKey, []string{
		"AccessLogGroup.KmsKeyId", "AlarmTopic.KmsMasterKeyId",
		"DeadLetterQueue.KmsDataKeyReusePeriodSeconds", "DeadLetterQueue.KmsMasterKeyId", "DeadLetterQueue.SqsManagedSseEnabled",
		"DocumentQueue.KmsDataKeyReusePeriodSeconds", "DocumentQueue.KmsMasterKeyId", "DocumentQueue.SqsManagedSseEnabled",
		"DocumentTable.SSESpecification", "ProcessorLogGroup.KmsKeyId", "ProcessorRole.Policies", "ReconcilerLogGroup.KmsKeyId", "ReconcilerRole.Policies",
		"VeryfiSecret.KmsKeyId", "WebhookLogGroup.KmsKeyId", "WebhookRole.Policies",
	}},
	"DocumentEvents": {"eventbridge", []string{
		"+DocumentPipe", "+EventDeadLetterQueue", "+EventDeadLettersAlarm", "+PipeAlarm", "+PipePartAlarm", "+PipeRole",
		"Dashboard.DashboardBody", "DocumentTable.StreamSpecification", "QueuePolicy.Queues",
	}},
}

// parametersReachWhatTheyAreFor changes one after another.
func (c *contract) parametersReachWhatTheyAreFor() {
	before := c.flat(c.template)
	for name := range c.file.Parameters {
		want := reached[name]
		after := c.flat(c.with(map[string]string{name: want.value}))
		var paths []string
		for path, value := range after {
			if _, there := before[path]; !there && !strings.Contains(path, ".") {
				paths = append(paths, "+"+path)
			} else if id, _, _ := strings.Cut(path, "."); before[id] != "" && before[path] != value {
				paths = append(paths, path)
				if leaf := path[strings.LastIndex(path, ".")+1:]; before[path] != "" && leaf != "State" && leaf != "DashboardBody" && leaf != "Queues" && leaf != "Policies" && !strings.Contains(value, want.value) {
					c.errorf("%s: %s is %s", name, path, value)
				}
			}
		}
		for path := range before {
			if after[path] == "" {
				paths = append(paths, path)
			}
		}
		slices.Sort(paths)
		if !slices.Equal(paths, want.paths) {
			c.errorf("the parameter %s changes %v, not %v", name, paths, want.paths)
		}
	}
}

// flat returns the properties of all resources that are there by their paths, lists as
// one value, and of each resource its type. What only one of two has is one path.
func (c *contract) flat(t *template.Template) map[string]string {
	flat := map[string]string{}
	var add func(path string, value any)
	add = func(path string, value any) {
		members, ok := value.(map[string]any)
		if !ok || strings.HasSuffix(path, "Specification") {
			text, err := json.Marshal(value)
			c.check(err)
			flat[path] = string(text)
			return
		}
		for name, member := range members {
			add(path+"."+name, member)
		}
	}
	for id, r := range c.file.Resources {
		if t.Has(id) {
			flat[id] = r.Type
			add(id, c.properties(t, id))
		}
	}
	return flat
}

const aKey = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// aKeyEncryptsAllThatIsKept holds what a key of the user's own needs, and that nothing
// of it is there without one.
func (c *contract) aKeyEncryptsAllThatIsKept() {
	without := c.with(map[string]string{"DocumentEvents": "eventbridge"})
	with := c.with(map[string]string{"DocumentEvents": "eventbridge", "KmsKeyArn": aKey})
	encrypted := map[string]func(map[string]any) any{
		"AWS::SecretsManager::Secret": func(p map[string]any) any { return p["KmsKeyId"] },
		"AWS::Logs::LogGroup":         func(p map[string]any) any { return p["KmsKeyId"] },
		"AWS::SNS::Topic":             func(p map[string]any) any { return p["KmsMasterKeyId"] },
		"AWS::SQS::Queue": func(p map[string]any) any {
			if p["SqsManagedSseEnabled"] == nil {
				return p["KmsMasterKeyId"]
			}
			return nil
		},
		"AWS::DynamoDB::Table": func(p map[string]any) any {
			if s, ok := p["SSESpecification"].(map[string]any); ok && s["SSEEnabled"] == true && s["SSEType"] == "KMS" {
				return s["KMSMasterKeyId"]
			}
			return nil
		},
	}
	for kind, key := range encrypted {
		for _, id := range c.ids(kind) {
			if got := key(c.properties(with, id)); got != aKey {
				c.errorf("%s is encrypted with %v, not with the key that is given", id, got)
			}
		}
	}
	for path, value := range c.flat(without) {
		if strings.Contains(strings.ToLower(path+value), "kms") {
			c.errorf("%s is %s without a key", path, value)
		}
	}
	for _, id := range c.ids("AWS::SQS::Queue") {
		if reuse := c.properties(with, id)["KmsDataKeyReusePeriodSeconds"]; id != "EventDeadLetterQueue" && fmt.Sprint(reuse) != "300" {
			c.errorf("%s uses a key for %v s that was disabled", id, reuse)
		}
		if c.properties(without, id)["SqsManagedSseEnabled"] != true {
			c.errorf("%s is not encrypted", id)
		}
	}
	for _, id := range c.ids("AWS::IAM::Role") {
		c.mayUseTheKey(with, id)
	}
}

// mayUseTheKey compares a role with the services that it calls and that use the key
// for it ("Amazon SQS Key management", "DynamoDB encryption at rest usage notes").
func (c *contract) mayUseTheKey(with *template.Template, role string) {
	var properties struct {
		Policies []struct{ PolicyDocument struct{ Statement []any } }
	}
	c.decode(c.properties(with, role), &properties)
	services := map[string]bool{}
	for action := range c.allowed(role) {
		if service, _, _ := strings.Cut(action, ":"); slices.Contains([]string{"sqs", "dynamodb", "secretsmanager"}, service) {
			services[service+".*"] = true
		}
	}
	var statement struct {
		Effect    string
		Action    []string
		Resource  string
		Condition map[string]map[string][]string
	}
	for _, policy := range properties.Policies {
		statements := policy.PolicyDocument.Statement
		c.decode(statements[len(statements)-1], &statement)
	}
	via := slices.Sorted(slices.Values(statement.Condition["StringLike"]["kms:ViaService"]))
	if statement.Effect != "Allow" || !slices.Equal(statement.Action, []string{"kms:Decrypt", "kms:GenerateDataKey"}) || statement.Resource != aKey ||
		len(statement.Condition) != 1 || !slices.Equal(via, slices.Sorted(maps.Keys(services))) {
		c.errorf("%s may use the key by %+v, and calls %v", role, statement, slices.Sorted(maps.Keys(services)))
	}
}

// queuesWantTLS holds the one policy that queues have: it denies, and allows nobody.
func (c *contract) queuesWantTLS() {
	for events, want := range map[string][]any{"off": {"DocumentQueue", "DeadLetterQueue"}, "stream": {"DocumentQueue", "DeadLetterQueue"}, "eventbridge": {"DocumentQueue", "DeadLetterQueue", "EventDeadLetterQueue"}} {
		policy := c.properties(c.with(map[string]string{"DocumentEvents": events}), "QueuePolicy")
		if queues, _ := policy["Queues"].([]any); !slices.Equal(queues, want) {
			c.errorf("of the queues %v, %v want TLS", want, queues)
		}
		statement := map[string]any{
			"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*", "Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		}
		if document := policy["PolicyDocument"]; !reflect.DeepEqual(document, map[string]any{"Version": policyVersion, "Statement": []any{statement}}) {
			c.errorf("queues take what comes without TLS: %v", document)
		}
	}
}

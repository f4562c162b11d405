package intake_test

import (
	"maps"
	"regexp"
	"slices"
	"strconv"

	"veryfi-intake/local/template"
	"veryfi-intake/shared/veryfi"
)

// What the template has at all. The other checks look at what they know; these let
// nothing in that nobody has thought of.

// thoughtOf are the resources, by type, and the properties they have. A new one is
// added here with a thought of what it can break: a filter on a queue's messages loses
// documents, a VPC has no way to Veryfi, a key of one's own needs permissions.
var thoughtOf = map[string]struct{ ids, properties []string }{
	"AWS::SecretsManager::Secret": {[]string{"VeryfiSecret"}, []string{"Description", "SecretString"}},
	"AWS::SQS::Queue":             {[]string{"DeadLetterQueue", "DocumentQueue"}, []string{"SqsManagedSseEnabled", "VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy"}},
	"AWS::DynamoDB::Table": {[]string{"DocumentTable"}, []string{
		"BillingMode", "PointInTimeRecoverySpecification", "TimeToLiveSpecification", "StreamSpecification", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes",
	}},
	"AWS::Logs::LogGroup":        {[]string{"AccessLogGroup", "ProcessorLogGroup", "ReconcilerLogGroup", "WebhookLogGroup"}, []string{"LogGroupName", "RetentionInDays"}},
	"AWS::IAM::Role":             {[]string{"PipeRole", "ProcessorRole", "ReconcilerRole", "WebhookRole"}, []string{"AssumeRolePolicyDocument", "Policies"}},
	"AWS::Serverless::HttpApi":   {[]string{"HttpApi"}, []string{"Description", "DefaultRouteSettings", "AccessLogSettings"}},
	"AWS::Serverless::Function":  {slices.Sorted(maps.Keys(functions)), []string{"Description", "Role", "MemorySize", "Timeout", "RecursiveLoop", "LoggingConfig", "Environment", "Events"}},
	"AWS::SNS::Topic":            {[]string{"AlarmTopic"}, []string{"DisplayName"}},
	"AWS::SNS::Subscription":     {[]string{"AlarmSubscription"}, []string{"TopicArn", "Protocol", "Endpoint"}},
	"AWS::Pipes::Pipe":           {[]string{"DocumentPipe"}, []string{"Description", "RoleArn", "Source", "SourceParameters", "Target", "TargetParameters"}},
	"AWS::CloudWatch::Dashboard": {[]string{"Dashboard"}, []string{"DashboardName", "DashboardBody"}},
	"AWS::CloudWatch::Alarm": {nil, []string{ // which there are, alarmsRing knows
		"AlarmName", "AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold",
		"TreatMissingData", "AlarmActions", "OKActions",
	}},
}

// conditional are the resources that are not always there.
var conditional = map[string]string{
	"AlarmSubscription": "TellsSomebody", "SilenceAlarm": "RingsWhenSilent", "DocumentPipe": "SendsEvents", "PipeRole": "SendsEvents", "PipeAlarm": "SendsEvents", "PipePartAlarm": "SendsEvents",
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
		if holdsData(r.Type) {
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
			t, err := template.Parse([]byte(c.text), map[string]string{test.parameter: value})
			if c.check(err) && t.Has(test.resource) != want {
				c.errorf("with %s=%q there is the resource %s: %v", test.parameter, value, test.resource, !want)
			}
		}
	}
	for value, want := range map[string]string{"off": "", "stream": "NEW_IMAGE", "eventbridge": "NEW_IMAGE"} {
		t, err := template.Parse([]byte(c.text), map[string]string{"DocumentEvents": value})
		if !c.check(err) {
			continue
		}
		if table, err := t.Table("DocumentTable"); err != nil || table.StreamSpecification.StreamViewType != want {
			c.errorf("with DocumentEvents=%s the table has a stream of %q, not %q (%v)", value, table.StreamSpecification.StreamViewType, want, err)
		}
	}
}

// A parameter of the template.
type parameter struct {
	Type           string   `yaml:"Type"`
	Default        any      `yaml:"Default"`
	AllowedValues  []any    `yaml:"AllowedValues"`
	AllowedPattern string   `yaml:"AllowedPattern"`
	MinValue       *float64 `yaml:"MinValue"`
	MaxValue       *float64 `yaml:"MaxValue"`
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
		if regexp.MustCompile(`(?i)secret|password|token|key|username|client`).MatchString(name) {
			c.errorf("the parameter %s looks like a credential", name)
		}
		if value := asString(p.Default); value != said[name] {
			c.errorf("%s is %q by default, and README says %q", name, value, said[name])
		}
		bounded := p.AllowedValues != nil || p.AllowedPattern != "" || p.MinValue != nil && p.MaxValue != nil
		if !bounded {
			c.errorf("%s takes any %s", name, p.Type)
		}
		if !regexp.MustCompile(`(!Ref |\[!Ref |\$\{)` + name + `\b`).MatchString(c.text) {
			c.errorf("the parameter %s changes nothing", name)
		}
	}
	if days := c.file.Parameters["DocumentRetentionDays"].Default; days != 0 {
		c.errorf("documents are deleted after %v days unless somebody forbids it", days)
	}
	if base := c.file.Parameters["VeryfiBaseUrl"].Default; base != veryfi.DefaultBaseURL {
		c.errorf("VeryfiBaseUrl is %v by default: the credentials would go there", base)
	}
	for name, want := range map[string][2]float64{
		"ProcessorConcurrency":    {2, 50}, // from what Lambda takes
		"VeryfiRequestsPerSecond": {0.1, 29},
		"ReconcileWindowHours":    {1, 720},
		"ReconcileGraceMinutes":   {0, 1440},
		"DocumentRetentionDays":   {0, 36500}, // what the processor takes
		"SilenceAlarmHours":       {0, 168},   // seven days, which an alarm looks back at most
	} {
		p := c.file.Parameters[name]
		if p.Type != "Number" || p.MinValue == nil || p.MaxValue == nil || *p.MinValue != want[0] || *p.MaxValue != want[1] {
			c.errorf("the parameter %s is no Number from %v to %v", name, want[0], want[1])
		}
	}
}

// asString is how README and CloudFormation write a default.
func asString(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

package intake_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"veryfi-intake/functions/processor/handler"
	"veryfi-intake/local/cloudwatch"
	"veryfi-intake/local/template"
	"veryfi-intake/shared/metrics"
)

// ofAWS are the metrics of AWS that are used, by namespace: their one dimension, and
// what its value must be of.
var ofAWS = map[string]struct {
	dimension, kind, suffix string
	names                   []string
}{
	"AWS/SQS": {"QueueName", "AWS::SQS::Queue", ".QueueName", []string{
		"ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible", "ApproximateAgeOfOldestMessage",
	}},
	"AWS/Lambda":     {"FunctionName", "AWS::Serverless::Function", "", []string{"Errors", "Throttles", "RecursiveInvocationsDropped"}},
	"AWS/ApiGateway": {"ApiId", "AWS::Serverless::HttpApi", "", []string{"5xx"}},
	// "Monitoring Amazon EventBridge Pipes"
	"AWS/EventBridge/Pipes": {"PipeName", "AWS::Pipes::Pipe", "", []string{"ExecutionFailed", "ExecutionPartiallyFailed"}},
}

// metric checks that somebody writes the metric with just these dimensions.
func (c *contract) metric(where, namespace, name string, dimensions map[string]string) {
	if namespace != metrics.Namespace {
		known := ofAWS[namespace]
		id, ok := strings.CutSuffix(dimensions[known.dimension], known.suffix)
		if !slices.Contains(known.names, name) || len(dimensions) != 1 || !ok || c.file.Resources[id].Type != known.kind {
			c.errorf("%s: AWS has no metric %s %s of %v", where, namespace, name, dimensions)
		}
		return
	}
	i := slices.IndexFunc(metrics.All(), func(m metrics.Metric) bool { return m.Name == name })
	if i < 0 {
		c.errorf("%s: there is no metric %s", where, name)
		return
	}
	m := metrics.All()[i]
	value, both := dimensions[m.By]
	if dimensions[metrics.Stack] != "AWS::StackName" || m.By != "" && !both || len(dimensions) != map[bool]int{true: 2, false: 1}[m.By != ""] {
		c.errorf("%s: %s has the dimensions Stack and %q, not %v", where, name, m.By, dimensions)
	}
	emitted := false
	for _, function := range functions {
		code := codeOf(c.t, "./functions/"+function)
		used := code.metrics[name] || strings.HasPrefix(name, "Veryfi") && code.metrics["OfStatus"]
		emitted = emitted || used && (value == "" || code.literals[value])
	}
	if !emitted {
		c.errorf("%s: no function counts %s of %q", where, name, value)
	}
}

// TestAnIdleStackIsQuiet has no data of any metric, as a stack on a day without
// documents.
func TestAnIdleStackIsQuiet(t *testing.T) {
	t.Parallel()
	for hours, want := range map[string][]string{"0": nil, "24": {"SilenceAlarm"}} {
		stack, err := template.Read("template.yaml", map[string]string{"SilenceAlarmHours": hours})
		if err != nil {
			t.Fatal(err)
		}
		references := stack.Names()
		references["AWS::StackName"] = "idle"
		var none cloudwatch.Metrics
		var ringing []string
		for _, id := range stack.Alarms() {
			a, err := stack.Alarm(id, references)
			if err != nil {
				t.Fatal(err)
			}
			if none.State(a, time.Now()) != cloudwatch.Quiet {
				ringing = append(ringing, id)
			}
		}
		if !slices.Equal(ringing, want) {
			t.Errorf("SilenceAlarmHours=%s: %v", hours, ringing)
		}
	}
}

// TestEachAlarmRingsAtItsThreshold gives each alarm its own metric, as it is written
// down: at the threshold it rings, and just below it does not.
func TestEachAlarmRingsAtItsThreshold(t *testing.T) {
	t.Parallel()
	stack, err := template.Read("template.yaml", map[string]string{"SilenceAlarmHours": "24", "DocumentEvents": "eventbridge"})
	if err != nil {
		t.Fatal(err)
	}
	references := stack.Names()
	references["AWS::StackName"] = "busy"
	now := time.Now()
	state := func(a template.Alarm, value float64) string {
		dimensions := map[string]string{}
		for _, d := range a.Dimensions {
			dimensions[d.Name] = d.Value
		}
		var m cloudwatch.Metrics
		m.Add(a.Namespace, a.MetricName, dimensions, now, value)
		return m.State(a, now)
	}
	for _, id := range stack.Alarms() {
		a, err := stack.Alarm(id, references)
		if err != nil {
			t.Fatal(err)
		}
		at, below := cloudwatch.Ringing, cloudwatch.Quiet
		if id == "SilenceAlarm" { // one webhook in the last hour ends it
			at, below = cloudwatch.Quiet, cloudwatch.Ringing
		}
		if got := state(a, a.Threshold); got != at {
			t.Errorf("%s: at %v it is %s", id, a.Threshold, got)
		}
		if got := state(a, a.Threshold-1); got != below {
			t.Errorf("%s: at %v it is %s", id, a.Threshold-1, got)
		}
	}
}

type alarm struct {
	AlarmName, AlarmDescription, Namespace, MetricName, Statistic, ComparisonOperator, TreatMissingData string
	Dimensions                                                                                          []struct{ Name, Value string }
	Period, DatapointsToAlarm                                                                           int
	EvaluationPeriods                                                                                   any // a number, or a parameter
	Threshold                                                                                           float64
	AlarmActions, OKActions                                                                             []string
	ActionsEnabled                                                                                      *bool
}

// what names the metric that an alarm looks at: its name, and the values of its
// dimensions.
func (a alarm) what() string {
	what := a.MetricName
	for _, d := range a.Dimensions {
		what += " " + d.Value
	}
	return what
}

// rings are the metrics that somebody must be told of, each with the threshold and the
// time that docs/operate.md says.
var rings = map[string]struct {
	threshold float64
	lookBack  time.Duration // 0 for a parameter
}{
	"ApproximateNumberOfMessagesVisible DeadLetterQueue.QueueName":  {1, 5 * time.Minute},
	"ApproximateAgeOfOldestMessage DocumentQueue.QueueName":         {30 * 60, 5 * time.Minute},
	"ApproximateNumberOfMessagesNotVisible DocumentQueue.QueueName": {60_000, 5 * time.Minute},
	"RetryAge AWS::StackName":                                       {4 * 3600, 2 * time.Hour},
	"5xx HttpApi":                                                   {1, 5 * time.Minute},
	"Rejected AWS::StackName signature":                             {5, time.Hour},
	"CredentialsRefused AWS::StackName":                             {1, 2 * time.Hour},
	"Veryfi429 AWS::StackName":                                      {5, 15 * time.Minute},
	"TableFailures AWS::StackName":                                  {3, 2 * time.Hour},
	"Errors ProcessorFunction":                                      {1, 5 * time.Minute},
	"Errors ReconcilerFunction":                                     {1, time.Hour},
	"Reconciled AWS::StackName scheduled":                           {1, time.Hour},
	"RecursiveInvocationsDropped ProcessorFunction":                 {1, 5 * time.Minute},
	"ExecutionFailed DocumentPipe":                                  {1, 5 * time.Minute},
	"ExecutionPartiallyFailed DocumentPipe":                         {1, 5 * time.Minute},
	"Accepted AWS::StackName":                                       {1, 0},
}

func (c *contract) alarmsRing() {
	ringing := map[string]bool{}
	var names []string
	for _, id := range c.ids("AWS::CloudWatch::Alarm") {
		var a alarm
		c.decode(c.file.Resources[id].Properties, &a)
		dimensions, what := map[string]string{}, a.what()
		for _, d := range a.Dimensions {
			dimensions[d.Name] = d.Value
		}
		ringing[what] = true
		names = append(names, strings.TrimPrefix(a.AlarmName, "${AWS::StackName}-"))
		periods, _ := a.EvaluationPeriods.(float64)
		lookBack := time.Duration(a.Period) * time.Duration(periods) * time.Second
		if want := rings[what]; a.Threshold != want.threshold || lookBack != want.lookBack {
			c.errorf("%s rings at %v within %v, and docs/operate.md says %v within %v", id, a.Threshold, lookBack, want.threshold, want.lookBack)
		}
		c.metric(id, a.Namespace, a.MetricName, dimensions)
		c.alarm(id, a)
	}
	for needed := range rings {
		if !ringing[needed] {
			c.errorf("no alarm rings for %s", needed)
		}
	}
	slices.Sort(names)
	if said := said(c.t, "Alarms"); !slices.Equal(said, names) {
		c.errorf("docs/operate.md has the alarms %v, the template %v", said, names)
	}
	if email := c.file.Resources["AlarmSubscription"]; email.Condition != "TellsSomebody" || email.Properties["TopicArn"] != "AlarmTopic" || email.Properties["Endpoint"] != "AlarmEmail" || email.Properties["Protocol"] != "email" {
		c.errorf("AlarmSubscription is %+v", email)
	}
}

// said returns the names in the first column of the table in a section of
// docs/operate.md, sorted. What stands behind "by" is no name.
func said(t *testing.T, section string) (names []string) {
	t.Helper()
	text, err := os.ReadFile("docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## "+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(rest, -1) {
		column, _, _ := strings.Cut(row[1], " by ")
		for _, name := range regexp.MustCompile("`([\\w-]+)`").FindAllStringSubmatch(column, -1) {
			names = append(names, name[1])
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryMetricIsExplained(t *testing.T) {
	t.Parallel()
	var names []string
	for _, m := range metrics.All() {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	if said := said(t, "What is counted"); !slices.Equal(said, names) {
		t.Errorf("docs/operate.md has the metrics %v, the code %v", said, names)
	}
}

// toDo is what an alarm's description says to do first.
var toDo = regexp.MustCompile(`First: .{30,}$`)

func (c *contract) alarm(id string, a alarm) {
	if !strings.HasPrefix(a.AlarmName, "${AWS::StackName}-") {
		c.errorf("%s is named %q, as that of another stack", id, a.AlarmName)
	}
	if len(a.AlarmDescription) > 1024 || !toDo.MatchString(a.AlarmDescription) {
		c.errorf("%s does not say what to do first", id)
	}
	if !slices.Equal(a.AlarmActions, []string{"AlarmTopic"}) || !slices.Equal(a.OKActions, a.AlarmActions) || a.ActionsEnabled != nil {
		c.errorf("%s tells nobody", id)
	}
	periods, isNumber := a.EvaluationPeriods.(float64)
	lookBack := time.Duration(a.Period) * time.Duration(periods) * time.Second
	silence := a.ComparisonOperator == "LessThanThreshold"
	switch {
	case silence:
		if a.TreatMissingData != "breaching" || a.Threshold != 1 || a.EvaluationPeriods != "SilenceAlarmHours" || a.Period != 3600 || c.file.Resources[id].Condition != "RingsWhenSilent" {
			c.errorf("%s does not ring when nothing comes: %+v", id, a)
		}
		if c.file.Parameters["SilenceAlarmHours"].Default != 0 {
			c.errorf("%s is not off by default", id)
		}
	case a.TreatMissingData != "notBreaching":
		c.errorf("%s takes no data for %q: while nothing happens there is none", id, a.TreatMissingData)
	case a.ComparisonOperator != "GreaterThanOrEqualToThreshold" || a.Threshold < 1:
		c.errorf("%s rings for %s %v", id, a.ComparisonOperator, a.Threshold)
	case !isNumber || periods < 1 || a.DatapointsToAlarm > int(periods):
		c.errorf("%s looks at %v periods", id, a.EvaluationPeriods)
	case a.Period%60 != 0 || a.Period < 60 || lookBack > 24*time.Hour:
		c.errorf("%s has periods of %d s, and looks back %v", id, a.Period, lookBack)
	}
	gauges := []string{"RetryAge"}
	if strings.HasPrefix(a.MetricName, "Approximate") || slices.Contains(gauges, a.MetricName) {
		if a.Statistic != "Maximum" {
			c.errorf("%s: the %s of %s says nothing", id, a.Statistic, a.MetricName)
		}
	} else if a.Statistic != "Sum" {
		c.errorf("%s: the %s of %s says nothing", id, a.Statistic, a.MetricName)
	}
	// Between two tries there is no data.
	ofTries := []string{metrics.RetryAge.Name, metrics.CredentialsRefused.Name, metrics.TableFailures.Name}
	if slices.Contains(ofTries, a.MetricName) && (lookBack < handler.MaxWait*3/2 || a.DatapointsToAlarm != 1) {
		c.errorf("%s looks back %v, and tries are up to %v apart", id, lookBack, handler.MaxWait*3/2)
	}
}

// search is what CloudWatch's SEARCH is given.
var search = regexp.MustCompile(`^SEARCH\('\{(\w+),(\w+),(\w+)\} MetricName="(\w+)" Stack="([^"]+)"', 'Sum', \d+\)$`)

func (c *contract) dashboardShowsWhatThereIs() {
	body, err := c.template.Dashboard("Dashboard", c.references)
	if !c.check(err) {
		return
	}
	var dashboard struct {
		Widgets []struct {
			Type                string
			X, Y, Width, Height int
			Properties          struct {
				Title, Markdown, Region string
				Metrics                 [][]any
				Alarms                  []string
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		c.errorf("Dashboard is not JSON: %v", err)
		return
	}
	var rows, alarms []string
	shown := map[string]bool{}
	for i, w := range dashboard.Widgets {
		const wide = 24 // units of a dashboard
		if w.Width < 1 || w.Height < 1 || w.X < 0 || w.X+w.Width > wide {
			c.errorf("Dashboard: %q is not within its width", w.Properties.Title)
		}
		for _, other := range dashboard.Widgets[:i] {
			if w.X < other.X+other.Width && other.X < w.X+w.Width && w.Y < other.Y+other.Height && other.Y < w.Y+w.Height {
				c.errorf("Dashboard: %q covers %q", w.Properties.Title, other.Properties.Title)
			}
		}
		switch w.Type {
		case "text":
			rows = append(rows, strings.TrimPrefix(w.Properties.Markdown, "## "))
		case "alarm":
			alarms = append(alarms, w.Properties.Alarms...)
		case "metric":
			for _, m := range w.Properties.Metrics {
				name, what := c.shown(m)
				shown[name], shown[what] = true, true
			}
		}
		if w.Type == "metric" && w.Properties.Region != "AWS::Region" {
			c.errorf("Dashboard shows the region %q", w.Properties.Region)
		}
	}
	if want := []string{"Arriving", "Waiting", "Stored", "Wrong"}; !slices.Equal(rows, want) {
		c.errorf("Dashboard has the rows %v", rows)
	}
	for _, m := range metrics.All() {
		if !shown[m.Name] {
			c.errorf("Dashboard does not show %s", m.Name)
		}
	}
	for _, id := range c.ids("AWS::CloudWatch::Alarm") {
		if c.file.Resources[id].Condition != "" { // a widget of what is not there would be an error
			continue
		}
		var a alarm
		c.decode(c.file.Resources[id].Properties, &a)
		arn := "arn:AWS::Partition:cloudwatch:AWS::Region:AWS::AccountId:alarm:" + strings.ReplaceAll(a.AlarmName, "${AWS::StackName}", "AWS::StackName")
		if !slices.Contains(alarms, arn) {
			c.errorf("Dashboard does not show %s", id)
		}
		if what := a.what(); a.Namespace != metrics.Namespace && !shown[what] {
			c.errorf("Dashboard does not show %s, for which %s rings", what, id)
		}
	}
}

// shown checks one line of a widget, and returns the metric's name, and what alarms call
// it.
func (c *contract) shown(line []any) (name, what string) {
	if options, ok := line[0].(map[string]any); ok {
		match := search.FindStringSubmatch(asText(options["expression"]))
		if match == nil {
			c.errorf("Dashboard: the expression %v cannot be read", options["expression"])
			return "", ""
		}
		i := slices.IndexFunc(metrics.All(), func(m metrics.Metric) bool { return m.Name == match[4] })
		if i < 0 || match[1] != metrics.Namespace || match[2] != metrics.Stack || match[3] != metrics.All()[i].By || match[5] != "AWS::StackName" {
			c.errorf("Dashboard: nothing is found by %s", match[0])
		}
		return match[4], ""
	}
	var texts []string
	for _, part := range line {
		if text, ok := part.(string); ok {
			texts = append(texts, text)
		}
	}
	dimensions, what := map[string]string{}, texts[1]
	for pair := range slices.Chunk(texts[2:], 2) {
		dimensions[pair[0]] = pair[len(pair)-1]
		what += " " + pair[len(pair)-1]
	}
	c.metric("Dashboard", texts[0], texts[1], dimensions)
	return texts[1], what
}

// eventsTellWhatARowHas holds the pipe to the table.
func (c *contract) eventsTellWhatARowHas() {
	if c.file.Parameters["DocumentEvents"].Default != "off" || c.file.Resources["DocumentPipe"].Condition != "SendsEvents" {
		c.errorf("DocumentPipe is not off by default")
	}
	c.pipeReachesBothEnds()
	var pipe struct {
		SourceParameters struct {
			DynamoDBStreamParameters map[string]any
			FilterCriteria           struct{ Filters []struct{ Pattern string } }
		}
		TargetParameters struct {
			InputTemplate                 string
			EventBridgeEventBusParameters map[string]any
		}
	}
	c.decode(c.file.Resources["DocumentPipe"].Properties, &pipe)
	if len(pipe.SourceParameters.FilterCriteria.Filters) != 1 {
		c.errorf("DocumentPipe has %d filters", len(pipe.SourceParameters.FilterCriteria.Filters))
		return
	}
	var pattern struct {
		DynamoDB struct {
			NewImage struct{ Status struct{ S []string } }
		}
	}
	if err := json.Unmarshal([]byte(pipe.SourceParameters.FilterCriteria.Filters[0].Pattern), &pattern); err != nil {
		c.errorf("DocumentPipe: the filter is not JSON: %v", err)
	}
	if start := pipe.SourceParameters.DynamoDBStreamParameters["StartingPosition"]; start != "LATEST" {
		c.errorf("DocumentPipe begins at %v: when it is turned on, other systems hear of what happens then", start)
	}
	statuses := slices.Sorted(slices.Values(pattern.DynamoDB.NewImage.Status.S))
	if want := []string{"error", "failed", "processed", "unsupported"}; !slices.Equal(statuses, want) {
		c.errorf("DocumentPipe tells of %v, and rows that stay so are %v", statuses, want)
	}
	// What the template makes of a row must be what the sample event shows.
	paths := regexp.MustCompile(`<\$\.dynamodb\.NewImage\.(\w+)\.S>`)
	var event map[string]any
	text := paths.ReplaceAllString(pipe.TargetParameters.InputTemplate, `"$1"`)
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		c.errorf("DocumentPipe: the event is not JSON: %v", err)
		return
	}
	inEveryRow := []string{"id", "status", "updated_at"}
	for name, value := range event {
		if attribute := asText(value); name != "stack" && name != "table" && (attribute != name || !slices.Contains(inEveryRow, name)) {
			c.errorf("DocumentPipe: %s is the attribute %s, or not in every row", name, attribute)
		}
	}
	var sample struct {
		Source     string         `json:"source"`
		DetailType string         `json:"detail-type"`
		Detail     map[string]any `json:"detail"`
	}
	readJSON(c.t, "events/eventbridge-document-status-change.json", &sample)
	if !maps.EqualFunc(event, sample.Detail, func(any, any) bool { return true }) {
		c.errorf("DocumentPipe sends %v, and events/eventbridge-document-status-change.json has %v", slices.Sorted(maps.Keys(event)), slices.Sorted(maps.Keys(sample.Detail)))
	}
	bus := pipe.TargetParameters.EventBridgeEventBusParameters
	if bus["Source"] != sample.Source || bus["DetailType"] != sample.DetailType {
		c.errorf("DocumentPipe sends %v, and the sample is of %s, %s", bus, sample.Source, sample.DetailType)
	}
}

// pipeReachesBothEnds holds the pipe to the table's stream, the default bus, and a role
// that may do just what a pipe does ("Amazon EventBridge Pipes permissions").
func (c *contract) pipeReachesBothEnds() {
	const stream, bus = "DocumentTable.StreamArn", "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"
	properties := c.file.Resources["DocumentPipe"].Properties
	if properties["RoleArn"] != "PipeRole.Arn" || properties["Source"] != stream || properties["Target"] != bus {
		c.errorf("DocumentPipe goes from %v to %v as %v", properties["Source"], properties["Target"], properties["RoleArn"])
	}
	want := map[string][]string{
		"dynamodb:DescribeStream": {stream}, "dynamodb:GetRecords": {stream}, "dynamodb:GetShardIterator": {stream}, "dynamodb:ListStreams": {stream},
		"events:PutEvents": {bus},
	}
	if got := c.allowed("PipeRole"); !maps.EqualFunc(got, want, slices.Equal) {
		c.errorf("PipeRole may %v, and needs %v", got, want)
	}
}

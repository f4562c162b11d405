package contract_test

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/local/aws/cloudwatch"
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

// alarms returns all alarms there can be, by their logical ids.
func alarms(t *testing.T) map[string]template.Alarm {
	t.Helper()
	stack, err := template.Read("template.yaml", map[string]string{"SilenceAlarmHours": "20", "DocumentEvents": "eventbridge"})
	if err != nil {
		t.Fatal(err)
	}
	references, found := stack.Names(), map[string]template.Alarm{}
	references["AWS::StackName"] = "busy"
	for _, id := range stack.Alarms() {
		if found[id], err = stack.Alarm(id, references); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// count adds a value of a metric at a time.
func count(m *cloudwatch.Metrics, namespace, metric string, of []template.Dimension, at time.Time, value float64) {
	dimensions := map[string]string{}
	for _, d := range of {
		dimensions[d.Name] = d.Value
	}
	m.Add(namespace, metric, dimensions, at, value)
}

// TestAnIdleStackIsQuiet has no data of any metric, as a stack that was just created.
func TestAnIdleStackIsQuiet(t *testing.T) {
	t.Parallel()
	var none cloudwatch.Metrics
	for id, a := range alarms(t) {
		if state := none.State(a, time.Now()); state != cloudwatch.Quiet {
			t.Errorf("%s is in the state %s", id, state)
		}
	}
}

// TestSilenceIsNoticedWhenItsHoursAreOver goes through the first days of a stack hour
// by hour: nobody sends a webhook, then somebody does, then nobody again.
func TestSilenceIsNoticedWhenItsHoursAreOver(t *testing.T) {
	t.Parallel()
	silence, created := alarms(t)["SilenceAlarm"], time.Now().Truncate(time.Hour)
	var m cloudwatch.Metrics
	const webhook = 30 // hours after the stack was created
	for hour := range 60 {
		at := created.Add(time.Duration(hour)*time.Hour + 30*time.Minute)
		count(&m, "AWS/SQS", "ApproximateNumberOfMessagesVisible", []template.Dimension{{Name: "QueueName", Value: "DocumentQueue"}}, at, 0)
		if hour == webhook {
			count(&m, "VeryfiIntake", "Accepted", []template.Dimension{{Name: "Stack", Value: "busy"}}, at, 1)
		}
		fires := hour >= 19 && hour < webhook || hour >= webhook+20
		if got := m.State(silence, at.Add(29*time.Minute)); (got == cloudwatch.Firing) != fires {
			t.Errorf("after %d hours it is %s", hour+1, got)
		}
	}
}

// TestEachAlarmFiresAtItsThreshold gives each alarm its own metric, as it is written
// down: at the threshold it fires, just below it does not, and after the time it looks
// back it is over.
func TestEachAlarmFiresAtItsThreshold(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for id, a := range alarms(t) {
		if id == "SilenceAlarm" {
			continue
		}
		lookBack := time.Duration(a.Period*a.EvaluationPeriods) * time.Second
		for _, test := range []struct {
			value float64
			after time.Duration
			want  string
		}{
			{a.Threshold, 0, cloudwatch.Firing},
			{a.Threshold - 1, 0, cloudwatch.Quiet},
			{a.Threshold, lookBack - time.Second, cloudwatch.Firing},
			{a.Threshold, lookBack + time.Second, cloudwatch.Quiet},
		} {
			var m cloudwatch.Metrics
			count(&m, a.Namespace, a.MetricName, a.Dimensions, now, test.value)
			if got := m.State(a, now.Add(test.after)); got != test.want {
				t.Errorf("%s: %v after %v it is %s", id, test.after, test.value, got)
			}
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
	Metrics                                                                                             []template.MetricQuery
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

// watched is what each alarm looks at, by its name: the metric, and of what.
var watched = map[string]string{
	"dead-letters":       "ApproximateNumberOfMessagesVisible DeadLetterQueue.QueueName",
	"oldest-message":     "ApproximateAgeOfOldestMessage DocumentQueue.QueueName",
	"in-flight":          "ApproximateNumberOfMessagesNotVisible DocumentQueue.QueueName",
	"retrying":           "RetryAge AWS::StackName",
	"webhook-5xx":        "5xx HttpApi",
	"signatures":         "Rejected AWS::StackName signature",
	"credentials":        "CredentialsRefused AWS::StackName",
	"throttled":          "Veryfi429 AWS::StackName",
	"table":              "TableFailures AWS::StackName",
	"processor-errors":   "Errors ProcessorFunction",
	"reconciler-errors":  "Errors ReconcilerFunction",
	"reconciled":         "Reconciled AWS::StackName scheduled",
	"dropped-events":     "RecursiveInvocationsDropped ProcessorFunction",
	"pipe":               "ExecutionFailed DocumentPipe",
	"pipe-part":          "ExecutionPartiallyFailed DocumentPipe",
	"event-dead-letters": "ApproximateNumberOfMessagesVisible EventDeadLetterQueue.QueueName",
	"silence":            "Accepted AWS::StackName",
}

// A rule is when an alarm fires.
type rule struct {
	threshold        float64
	period, lookBack time.Duration // 0 for a parameter's
}

// rules reads the table of alarms in docs/operate.md: a number, in seconds when it is a
// time; the time in which it is reached; how long the alarm looks back.
func rules(t *testing.T) map[string]rule {
	t.Helper()
	found := map[string]rule{}
	for _, row := range rows(t, "Alarms") {
		r := rule{period: duration(row[2]), lookBack: duration(row[3])}
		if wait := duration(row[1]); wait != 0 {
			r.threshold = wait.Seconds()
		} else {
			number, _, _ := strings.Cut(strings.ReplaceAll(row[1], ",", ""), " ")
			r.threshold, _ = strconv.ParseFloat(number, 64)
		}
		for _, name := range names(row[0]) {
			found[name] = r
		}
	}
	return found
}

// duration reads "4 hours"; what is none is 0.
func duration(text string) time.Duration {
	number, unit, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(number)
	return time.Duration(n) * map[string]time.Duration{"minute": time.Minute, "hour": time.Hour}[strings.TrimSuffix(unit, "s")]
}

func (c *contract) alarmsFire() {
	rules, there := rules(c.t), map[string]bool{}
	for _, id := range c.ids("AWS::CloudWatch::Alarm") {
		var a alarm
		c.decode(c.file.Resources[id].Properties, &a)
		if a.Metrics != nil {
			c.expression(id, &a)
		}
		name, what := strings.TrimPrefix(a.AlarmName, "${AWS::StackName}-"), a.what()
		dimensions := map[string]string{}
		for _, d := range a.Dimensions {
			dimensions[d.Name] = d.Value
		}
		if there[name] {
			c.errorf("there are two alarms %s", name)
		}
		there[name] = true
		if watched[name] != what {
			c.errorf("%s looks at %s, and docs/operate.md says %s of %s", id, what, name, watched[name])
		}
		periods, _ := a.EvaluationPeriods.(float64)
		is := rule{a.Threshold, time.Duration(a.Period) * time.Second, time.Duration(a.Period) * time.Duration(periods) * time.Second}
		if is != rules[name] {
			c.errorf("%s fires at %v, and docs/operate.md says %v", id, is, rules[name])
		}
		c.metric(id, a.Namespace, a.MetricName, dimensions)
		c.alarm(id, a)
	}
	for name, what := range watched {
		if !there[name] {
			c.errorf("no alarm fires for %s", what)
		}
	}
	if said := slices.Sorted(maps.Keys(rules)); !slices.Equal(said, slices.Sorted(maps.Keys(there))) {
		c.errorf("docs/operate.md has the alarms %v, the template %v", said, slices.Sorted(maps.Keys(there)))
	}
	if email := c.file.Resources["AlarmSubscription"]; email.Condition != "TellsSomebody" || email.Properties["TopicArn"] != "AlarmTopic" || email.Properties["Endpoint"] != "AlarmEmail" || email.Properties["Protocol"] != "email" {
		c.errorf("AlarmSubscription is %+v", email)
	}
}

// expression holds the one alarm on an expression, and has it be of the metric that is
// filled.
func (c *contract) expression(id string, a *alarm) {
	const silence = "FILL(accepted, 0) + 0 * waiting"
	byID := map[string]template.MetricQuery{}
	for _, q := range a.Metrics {
		byID[q.ID] = q
	}
	accepted, waiting := byID["accepted"].MetricStat, byID["waiting"].MetricStat
	if len(a.Metrics) != 3 || byID["silence"].Expression != silence || accepted.Period != waiting.Period {
		c.errorf("%s is of %+v, not of %s", id, a.Metrics, silence)
	}
	// Of the query itself, which has data while the queue is polled.
	if waiting.Metric.Namespace != "AWS/SQS" || waiting.Stat != "Maximum" || waiting.Metric.MetricName != "ApproximateNumberOfMessagesVisible" || !slices.Equal(waiting.Metric.Dimensions, []template.Dimension{{Name: "QueueName", Value: "DocumentQueue.QueueName"}}) {
		c.errorf("%s counts hours in which the stack was not there: %+v", id, waiting)
	}
	for i, query := range c.file.Resources[id].Properties["Metrics"].([]any) {
		if returned := query.(map[string]any)["ReturnData"]; (returned == nil) != (i == 0) || returned == true {
			c.errorf("%s: CloudWatch wants one result, and query %d is returned: %v", id, i, returned)
		}
	}
	a.Namespace, a.MetricName, a.Statistic, a.Period = accepted.Metric.Namespace, accepted.Metric.MetricName, accepted.Stat, accepted.Period
	for _, d := range accepted.Metric.Dimensions {
		a.Dimensions = append(a.Dimensions, struct{ Name, Value string }{d.Name, d.Value})
	}
}

// rows returns the cells of the table in a section of docs/operate.md, without its head.
func rows(t *testing.T, section string) (found [][]string) {
	t.Helper()
	text, err := os.ReadFile("docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## "+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "| `") {
			found = append(found, strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | "))
		}
	}
	return found
}

// names returns what stands in backquotes. What stands behind "by" is no name.
func names(cell string) (found []string) {
	cell, _, _ = strings.Cut(cell, " by ")
	for _, name := range regexp.MustCompile("`([\\w-]+)`").FindAllStringSubmatch(cell, -1) {
		found = append(found, name[1])
	}
	return found
}

func TestEveryMetricIsExplained(t *testing.T) {
	t.Parallel()
	var counted, said []string
	for _, m := range metrics.All() {
		counted = append(counted, m.Name)
	}
	for _, row := range rows(t, "What is counted") {
		said = append(said, names(row[0])...)
	}
	slices.Sort(counted)
	slices.Sort(said)
	if !slices.Equal(said, counted) {
		t.Errorf("docs/operate.md has the metrics %v, the code %v", said, counted)
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
		if a.TreatMissingData != "notBreaching" || a.Threshold != 1 || a.EvaluationPeriods != "SilenceAlarmHours" || a.Period != 3600 || c.file.Resources[id].Condition != "FiresWhenSilent" {
			c.errorf("%s does not fire when nothing comes: %+v", id, a)
		}
		if *c.file.Parameters["SilenceAlarmHours"].Default != "0" {
			c.errorf("%s is not off by default", id)
		}
	case a.TreatMissingData != "notBreaching":
		c.errorf("%s takes no data for %q: while nothing happens there is none", id, a.TreatMissingData)
	case a.ComparisonOperator != "GreaterThanOrEqualToThreshold" || a.Threshold < 1:
		c.errorf("%s fires for %s %v", id, a.ComparisonOperator, a.Threshold)
	case !isNumber || periods < 1 || a.DatapointsToAlarm > int(periods):
		c.errorf("%s looks at %v periods", id, a.EvaluationPeriods)
	case a.Period%60 != 0 || a.Period < 60 || lookBack > 24*time.Hour:
		c.errorf("%s has periods of %d s, and looks back %v", id, a.Period, lookBack)
	case periods > 1 && (a.Period > 900 || a.DatapointsToAlarm != 1):
		c.errorf("%s repeats for %v and more what is over: CloudWatch looks some periods further back", id, 2*time.Duration(a.Period)*time.Second)
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
	if slices.Contains(ofTries, a.MetricName) && (lookBack < retrieve.MaxWait*3/2 || a.DatapointsToAlarm != 1) {
		c.errorf("%s looks back %v, and tries are up to %v apart", id, lookBack, retrieve.MaxWait*3/2)
	}
}

// search is what CloudWatch's SEARCH is given.
var search = regexp.MustCompile(`^SEARCH\('\{(\w+),(\w+),(\w+)\} MetricName="(\w+)" Stack="([^"]+)"', 'Sum', 300\)$`)

func (c *contract) dashboardShowsWhatThereIs() {
	c.dashboard(c.template)
	c.dashboard(c.with(map[string]string{"DocumentEvents": "stream"}))
	c.dashboard(c.with(map[string]string{"SilenceAlarmHours": "24", "DocumentEvents": "eventbridge"}))
	if name := c.file.Resources["Dashboard"].Properties["DashboardName"]; name != "${AWS::StackName}-${AWS::Region}" {
		c.errorf("Dashboard is named %v: the names of dashboards are an account's, in all its regions", name)
	}
}

// dashboard looks at the dashboard of a template with values of its parameters.
func (c *contract) dashboard(t *template.Template) {
	properties, err := t.Properties("Dashboard", c.references)
	if !c.check(err) {
		return
	}
	body := properties["DashboardBody"].(string)
	var dashboard struct {
		Widgets []struct {
			Type                string
			X, Y, Width, Height int
			Properties          struct {
				Title, Markdown, Region, View, Stat string
				Period                              int
				Metrics                             [][]any
				Alarms                              []string
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		c.errorf("Dashboard is not JSON: %v", err)
		return
	}
	var rows, alarms []string
	shown := map[string]bool{}
	area, bottom := 0, 0
	const wide = 24 // units of a dashboard
	for i, w := range dashboard.Widgets {
		area, bottom = area+w.Width*w.Height, max(bottom, w.Y+w.Height)
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
				shown[name+" "+c.shownAs(name, w.Properties.Stat, m)] = true
			}
			if w.Properties.Title == "" || w.Properties.View != "timeSeries" || w.Properties.Period != 300 {
				c.errorf("Dashboard: %q shows %s of %d s", w.Properties.Title, w.Properties.View, w.Properties.Period)
			}
		}
		if w.Type == "metric" && w.Properties.Region != "AWS::Region" {
			c.errorf("Dashboard shows the region %q", w.Properties.Region)
		}
	}
	if area != wide*bottom {
		c.errorf("Dashboard has gaps: %d units of %d are filled", area, wide*bottom)
	}
	for _, what := range []string{
		"ApproximateNumberOfMessagesVisible DocumentQueue.QueueName", "Errors WebhookFunction", "Throttles WebhookFunction", "TimeToRow p50", "TimeToRow p95", "VeryfiLatency p50", "VeryfiLatency p95",
	} {
		if !shown[what] {
			c.errorf("Dashboard does not show %s", what)
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
		var a alarm
		c.decode(c.file.Resources[id].Properties, &a)
		arn := "arn:AWS::Partition:cloudwatch:AWS::Region:AWS::AccountId:alarm:" + strings.ReplaceAll(a.AlarmName, "${AWS::StackName}", "AWS::StackName")
		if there := t.Has(id); there != slices.Contains(alarms, arn) {
			c.errorf("Dashboard does not show %s, or shows what is not there", id)
		} else if c.file.Resources[id].Condition != "" { // others have no widget of their metric
			continue
		}
		if what := a.what(); a.Namespace != metrics.Namespace && !shown[what] {
			c.errorf("Dashboard does not show %s, for which %s fires", what, id)
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

// labels are what lines are called in a widget, by their statistic or function.
var labels = map[string]string{"p50": "half", "p95": "95 of 100", "WebhookFunction": "webhook", "ProcessorFunction": "processor", "ReconcilerFunction": "reconciler"}

// shownAs checks and returns the statistic of a line: of counts the sum, of what is
// measured something else.
func (c *contract) shownAs(metric, stat string, line []any) string {
	options, _ := line[len(line)-1].(map[string]any)
	if own := asText(options["stat"]); own != "" {
		stat = own
	}
	label := asText(options["label"])
	for of, name := range labels {
		if is := stat == of || len(line) > 3 && line[3] == of; is != strings.HasPrefix(label, name) && label != "" && label != "events dropped" {
			c.errorf("Dashboard: %v is called %q", line, label)
		}
	}
	measured := strings.HasPrefix(metric, "Approximate") || slices.Contains([]string{metrics.RetryAge.Name, metrics.TimeToRow.Name, "VeryfiLatency"}, metric)
	if good := regexp.MustCompile(`^(Maximum|p\d+)$`).MatchString(stat); good != measured || !measured && stat != "Sum" {
		c.errorf("Dashboard: the %s of %s says nothing", stat, metric)
	}
	return stat
}

// eventsTellWhatARowHas holds the pipe to the table.
func (c *contract) eventsTellWhatARowHas() {
	if *c.file.Parameters["DocumentEvents"].Default != "off" || c.file.Resources["DocumentPipe"].Condition != "SendsEvents" {
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
		EventName []string
		DynamoDB  struct {
			NewImage struct{ Status struct{ S []string } }
		}
	}
	if err := json.Unmarshal([]byte(pipe.SourceParameters.FilterCriteria.Filters[0].Pattern), &pattern); err != nil {
		c.errorf("DocumentPipe: the filter is not JSON: %v", err)
	}
	if !slices.Equal(pattern.EventName, []string{"INSERT", "MODIFY"}) { // a REMOVE has no image, and is no news
		c.errorf("DocumentPipe tells of %v", pattern.EventName)
	}
	stream := pipe.SourceParameters.DynamoDBStreamParameters
	const day = 24 * 3600 // seconds that a stream keeps a record
	if stream["BatchSize"] != 10.0 {
		c.errorf("DocumentPipe sends %v events at a time, and PutEvents takes 10", stream["BatchSize"])
	}
	if letters, err := c.with(map[string]string{"DocumentEvents": "eventbridge"}).Queue("EventDeadLetterQueue"); err == nil && letters.Retention != 14*24*time.Hour {
		c.errorf("EventDeadLetterQueue forgets after %v", letters.Retention)
	}
	if age, _ := stream["MaximumRecordAgeInSeconds"].(float64); stream["OnPartialBatchItemFailure"] != "AUTOMATIC_BISECT" || age < 3600 || age > day/2 ||
		!reflect.DeepEqual(stream["DeadLetterConfig"], map[string]any{"Arn": "EventDeadLetterQueue.Arn"}) {
		c.errorf("DocumentPipe gives up by %v: one event would hold up all behind it, or be lost without a word", stream)
	}
	if start := stream["StartingPosition"]; start != "LATEST" {
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
	if event["stack"] != "${AWS::StackName}" || event["table"] != "${DocumentTable}" {
		c.errorf("DocumentPipe: the events are of %v, %v", event["stack"], event["table"])
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
		"events:PutEvents": {strings.NewReplacer("${", "", "}", "").Replace(bus)}, "sqs:SendMessage": {"EventDeadLetterQueue.Arn"},
	}
	if got := c.allowed("PipeRole"); !maps.EqualFunc(got, want, slices.Equal) {
		c.errorf("PipeRole may %v, and needs %v", got, want)
	}
}

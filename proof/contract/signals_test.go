package contract_test

import (
	"encoding/json"
	"maps"
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
		if !slices.Contains(known.names, name) || len(dimensions) != 1 || !ok || c.file.Resources[id]["Type"] != known.kind {
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
		code := codeOf(c.t, function)
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

// what names the metric that an alarm looks at: its name, and the values of its
// dimensions.
func what(a template.Alarm) string {
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
		a := c.alarm(id)
		name, what := strings.TrimPrefix(a.AlarmName, "AWS::StackName-"), what(a)
		dimensions := map[string]string{}
		for _, d := range a.Dimensions {
			dimensions[d.Name] = d.Value
		}
		if there[name] {
			c.errorf("there are two alarms %s", name)
		}
		there[name] = true
		if watched[name] != what {
			c.errorf("%s watches %s; the alarm %s should watch %s", id, what, name, watched[name])
		}
		period := time.Duration(a.Period) * time.Second
		is := rule{a.Threshold, period, period * time.Duration(a.EvaluationPeriods)}
		if id == silence {
			is.lookBack = 0
		}
		if is != rules[name] {
			c.errorf("%s fires at %v, and docs/operate.md says %v", id, is, rules[name])
		}
		c.metric(id, a.Namespace, a.MetricName, dimensions)
		c.alarmIsGood(id, a)
	}
	for name, what := range watched {
		if !there[name] {
			c.errorf("no alarm watches %s", what)
		}
	}
	if said := slices.Sorted(maps.Keys(rules)); !slices.Equal(said, slices.Sorted(maps.Keys(there))) {
		c.errorf("docs/operate.md has the alarms %v, the template %v", said, slices.Sorted(maps.Keys(there)))
	}
}

// silence is the one alarm on an expression, and on what does not come.
const silence = "SilenceAlarm"

// alarm returns an alarm's settings; of an expression, with those of its first metric.
func (c *contract) alarm(id string) (a template.Alarm) {
	c.decode(c.full, id, &a)
	if len(a.Metrics) > 1 {
		m := a.Metrics[1].MetricStat
		a.Namespace, a.MetricName, a.Dimensions, a.Statistic, a.Period = m.Metric.Namespace, m.Metric.MetricName, m.Metric.Dimensions, m.Stat, m.Period
	}
	return a
}

// rows returns the cells of the table in a section of docs/operate.md, without its head.
func rows(t *testing.T, section string) (found [][]string) {
	t.Helper()
	_, rest, _ := strings.Cut(read(t, "docs/operate.md"), "\n## "+section+"\n")
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

func (c *contract) alarmIsGood(id string, a template.Alarm) {
	if !strings.HasPrefix(a.AlarmName, "AWS::StackName-") {
		c.errorf("%s is named %q, as that of another stack", id, a.AlarmName)
	}
	if len(a.AlarmDescription) > 1024 || !toDo.MatchString(a.AlarmDescription) {
		c.errorf("%s does not say what to do first", id)
	}
	if !slices.Equal(a.AlarmActions, []string{"AlarmTopic"}) || !slices.Equal(a.OKActions, a.AlarmActions) {
		c.errorf("%s tells nobody", id)
	}
	lookBack := time.Duration(a.Period*a.EvaluationPeriods) * time.Second
	switch {
	case a.TreatMissingData != "notBreaching":
		c.errorf("%s treats missing data as %q: while nothing happens there is none", id, a.TreatMissingData)
	case id == silence: // its values are in the table of those that are right
	case a.ComparisonOperator != "GreaterThanOrEqualToThreshold" || a.Threshold < 1:
		c.errorf("%s fires for %s %v", id, a.ComparisonOperator, a.Threshold)
	case a.EvaluationPeriods < 1 || a.DatapointsToAlarm > a.EvaluationPeriods:
		c.errorf("%s looks at %v periods", id, a.EvaluationPeriods)
	case a.Period%60 != 0 || a.Period < 60 || lookBack > 24*time.Hour:
		c.errorf("%s has periods of %d s, and looks back %v", id, a.Period, lookBack)
	case a.EvaluationPeriods > 1 && (a.Period > 900 || a.DatapointsToAlarm != 1):
		c.errorf("%s lasts %v and more after its cause: CloudWatch looks some periods further back", id, 2*time.Duration(a.Period)*time.Second)
	}
	want := "Sum"
	if measured(a.MetricName) {
		want = "Maximum"
	}
	if a.Statistic != want {
		c.errorf("%s: the %s of %s says nothing", id, a.Statistic, a.MetricName)
	}
	// Between two tries there is no data.
	ofTries := []string{metrics.RetryAge.Name, metrics.CredentialsRefused.Name, metrics.TableFailures.Name}
	if slices.Contains(ofTries, a.MetricName) && (lookBack < retrieve.MaxWait*3/2 || a.DatapointsToAlarm != 1) {
		c.errorf("%s looks back %v, and tries are up to %v apart", id, lookBack, retrieve.MaxWait*3/2)
	}
}

// measured reports whether a metric is measured: its sum says nothing. All others are
// counted: only their sum says something.
func measured(metric string) bool {
	return strings.HasPrefix(metric, "Approximate") || slices.Contains([]string{metrics.RetryAge.Name, metrics.TimeToRow.Name, "VeryfiLatency"}, metric)
}

// search is what CloudWatch's SEARCH is given.
var search = regexp.MustCompile(`^SEARCH\('\{(\w+),(\w+),(\w+)\} MetricName="(\w+)" Stack="([^"]+)"', 'Sum', 300\)$`)

func (c *contract) dashboardShowsWhatThereIs() {
	for _, stack := range []*template.Template{c.template, c.with(map[string]string{"DocumentEvents": "stream"}), c.full} {
		c.dashboard(stack)
	}
}

// dashboard looks at the dashboard of a template with values of its parameters.
func (c *contract) dashboard(t *template.Template) {
	body := c.asText(c.properties(t, "Dashboard")["DashboardBody"])
	var dashboard struct {
		Widgets []struct {
			Type       string
			Properties struct {
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
	for _, w := range dashboard.Widgets {
		p := w.Properties
		switch w.Type {
		case "text":
			rows = append(rows, strings.TrimPrefix(p.Markdown, "## "))
		case "alarm":
			alarms = append(alarms, p.Alarms...)
		case "metric":
			for _, m := range p.Metrics {
				name, what := c.shown(m)
				shown[name], shown[what] = true, true
				shown[name+" "+c.shownAs(name, p.Stat, m)] = true
			}
			if p.Title == "" || p.Region != "AWS::Region" || p.View != "timeSeries" || p.Period != 300 {
				c.errorf("Dashboard: %q shows %s of %d s in %q", p.Title, p.View, p.Period, p.Region)
			}
		}
	}
	if want := []string{"Arriving", "Waiting", "Stored", "Wrong"}; !slices.Equal(rows, want) {
		c.errorf("Dashboard has the rows %v", rows)
	}
	wanted := []string{
		"ApproximateNumberOfMessagesVisible DocumentQueue.QueueName", "Errors WebhookFunction", "Throttles WebhookFunction", "TimeToRow p50", "TimeToRow p95", "VeryfiLatency p50", "VeryfiLatency p95",
	}
	for _, m := range metrics.All() {
		wanted = append(wanted, m.Name)
	}
	for _, id := range c.ids("AWS::CloudWatch::Alarm") {
		a := c.alarm(id)
		if t.Has(id) != slices.Contains(alarms, "arn:AWS::Partition:cloudwatch:AWS::Region:AWS::AccountId:alarm:"+a.AlarmName) {
			c.errorf("Dashboard does not show %s, or shows what is not there", id)
		}
		if c.file.Resources[id]["Condition"] == nil && a.Namespace != metrics.Namespace { // others have no widget of their metric
			wanted = append(wanted, what(a))
		}
	}
	for _, what := range wanted {
		if !shown[what] {
			c.errorf("Dashboard does not show %s", what)
		}
	}
}

// shown checks one line of a widget, and returns the metric's name, and what alarms call
// it.
func (c *contract) shown(line []any) (name, what string) {
	if options, ok := line[0].(map[string]any); ok {
		match := search.FindStringSubmatch(c.asText(options["expression"]))
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
	if own := c.asText(options["stat"]); own != "" {
		stat = own
	}
	label := c.asText(options["label"])
	for of, name := range labels {
		if is := stat == of || len(line) > 3 && line[3] == of; is != strings.HasPrefix(label, name) && label != "" && label != "events dropped" {
			c.errorf("Dashboard: %v is called %q", line, label)
		}
	}
	if good := regexp.MustCompile(`^(Maximum|p\d+)$`).MatchString(stat); good != measured(metric) || !good && stat != "Sum" {
		c.errorf("Dashboard: the %s of %s says nothing", stat, metric)
	}
	return stat
}

// eventsTellWhatARowHas holds what the pipe makes of a row to the sample event.
func (c *contract) eventsTellWhatARowHas() {
	var pipe struct {
		TargetParameters struct {
			InputTemplate                 string
			EventBridgeEventBusParameters struct{ Source, DetailType string }
		}
	}
	c.decode(c.full, "DocumentPipe", &pipe)
	paths := regexp.MustCompile(`<\$\.dynamodb\.NewImage\.(\w+)\.S>`)
	var event map[string]string
	text := paths.ReplaceAllString(pipe.TargetParameters.InputTemplate, `"$1"`)
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		c.errorf("DocumentPipe: the event is not JSON: %v", err)
		return
	}
	if event["stack"] != "AWS::StackName" || event["table"] != "DocumentTable" {
		c.errorf("DocumentPipe: the events are of %v, %v", event["stack"], event["table"])
	}
	inEveryRow := []string{"id", "status", "updated_at"}
	for name, attribute := range event {
		if name != "stack" && name != "table" && (attribute != name || !slices.Contains(inEveryRow, name)) {
			c.errorf("DocumentPipe: %s is the attribute %s, or not in every row", name, attribute)
		}
	}
	var sample struct {
		Source     string            `json:"source"`
		DetailType string            `json:"detail-type"`
		Detail     map[string]string `json:"detail"`
	}
	readJSON(c, "events/eventbridge-document-status-change.json", &sample)
	if sent, has := slices.Sorted(maps.Keys(event)), slices.Sorted(maps.Keys(sample.Detail)); !slices.Equal(sent, has) {
		c.errorf("DocumentPipe sends %v, and events/eventbridge-document-status-change.json has %v", sent, has)
	}
	if bus := pipe.TargetParameters.EventBridgeEventBusParameters; bus.Source != sample.Source || bus.DetailType != sample.DetailType {
		c.errorf("DocumentPipe sends %v, and the sample is of %s, %s", bus, sample.Source, sample.DetailType)
	}
}

// logsAreReadable holds the HTTP API's log; request_id joins it with the functions'.
func (c *contract) logsAreReadable() {
	var line map[string]string
	if err := json.Unmarshal([]byte(c.value("HttpApi.AccessLogSettings.Format")), &line); err != nil {
		c.errorf("HttpApi: the format of its log is not JSON: %v", err)
	}
	want := map[string]string{
		"timestamp": "requestTime", "request_id": "requestId", "source_ip": "identity.sourceIp", "method": "httpMethod", "path": "path", "status": "status",
		"latency_ms": "responseLatency", "function_status": "integration.status", "lambda_status": "integrationStatus",
		"function_latency_ms": "integrationLatency", "function_error": "integrationErrorMessage",
	}
	for name := range want {
		want[name] = "$context." + want[name]
	}
	if !maps.Equal(line, want) {
		c.errorf("HttpApi logs %v, not %v", line, want)
	}
}

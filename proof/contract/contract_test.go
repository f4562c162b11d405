// Package intake_test keeps the promises that template.yaml makes and that
// neither a linter nor AWS knows.
package contract_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"veryfi-intake/deployment/template"
	"veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/veryfi"
)

var functions = map[string]string{"WebhookFunction": "webhook", "ProcessorFunction": "processor", "ReconcilerFunction": "reconciler"}

func TestTemplateKeepsItsContract(t *testing.T) {
	t.Parallel()
	for _, violation := range violations(t, deployed(t)) {
		t.Error(violation)
	}
}

func deployed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// violations returns what a template breaks of the contract.
func violations(t *testing.T, text string) []string {
	t.Helper()
	c := &contract{t: t, text: text, references: template.References{}, named: template.References{}, others: map[string]*template.Template{}}
	if err := yaml.Unmarshal([]byte(text), &c.file); err != nil {
		return []string{err.Error()}
	}
	var err error
	if c.template, err = template.Parse([]byte(text), nil); err != nil {
		return []string{err.Error()}
	}
	for _, name := range []string{"AWS::StackName", "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix"} {
		c.references[name], c.named[name] = name, name
	}
	for id := range c.file.Resources {
		c.references[id], c.references[id+".Arn"], c.references[id+".QueueName"] = id, id, id+".QueueName"
		for _, attribute := range []string{".Arn", ".QueueName", ".StreamArn"} {
			c.named[id+attribute] = id + attribute
		}
		c.named[id] = id
	}
	for _, check := range []func(){
		c.secretHasNoValue, c.dataOutlivesTheStack, c.aKeyEncryptsAllThatIsKept, c.queuesWantTLS, c.parametersReachWhatTheyAreFor, c.queuesAgreeWithTheFunctions, c.stackStaysBelowVeryfisLimits,
		c.reconcilerRunsByScheduleUntilItIsTurnedOff, c.webhookIsReached, c.tableIsAsTheCodeHasIt, c.logsAreKeptForATime,
		c.rolesNameWhatTheCodeCalls, c.variablesAreThoseThatAreRead, c.samLocalSetsEachVariableThereIs,
		c.functionsMakeTheMostOfTheirMemory, c.aBareBuildFitsABareDeploy, c.alarmsFire, c.dashboardShowsWhatThereIs,
		c.eventsTellWhatARowHas, c.outputsAreThoseThatAreUsed,
		c.nothingIsThereThatNobodyThoughtOf, c.functionsHaveOneEventEach, c.rolesAreForTheirService, c.conditionsMeanWhatTheySay, c.parametersAreHarmless,
	} {
		check()
	}
	return c.broken
}

// A contract is a template under test, and what is wrong with it.
type contract struct {
	t    *testing.T
	text string
	file struct {
		Transform  any                           `yaml:"Transform"`
		Parameters map[string]template.Parameter `yaml:"Parameters"`
		Globals    map[string]map[string]any     `yaml:"Globals"`
		Resources  map[string]resource           `yaml:"Resources"`
		Outputs    map[string]template.Parameter `yaml:"Outputs"`
	}
	template   *template.Template
	references template.References           // of each resource its own name
	named      template.References           // and of each attribute: "DocumentQueue.Arn"
	others     map[string]*template.Template // with other parameters
	broken     []string
}

func (c *contract) errorf(format string, values ...any) {
	c.broken = append(c.broken, fmt.Sprintf(format, values...))
}

// check reports an error of the template itself.
func (c *contract) check(err error) bool {
	if err != nil {
		c.errorf("%v", err)
	}
	return err == nil
}

// A resource has references as plain text: "DocumentQueue.Arn".
type resource struct {
	Type, Condition, DeletionPolicy, UpdateReplacePolicy string
	Metadata, Properties                                 map[string]any
	attributes                                           []string // the names of these, and of all others
}

// UnmarshalYAML exists because CloudFormation's names begin with a capital.
func (r *resource) UnmarshalYAML(node *yaml.Node) error {
	var raw map[string]any
	if err := node.Decode(&raw); err != nil {
		return err
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	type plain resource
	r.attributes = slices.Sorted(maps.Keys(raw))
	return json.Unmarshal(text, (*plain)(r))
}

// ids returns the resources of a type, sorted.
func (c *contract) ids(kind string) (found []string) {
	for _, id := range slices.Sorted(maps.Keys(c.file.Resources)) {
		if c.file.Resources[id].Type == kind {
			found = append(found, id)
		}
	}
	return found
}

// function returns the settings of a function.
func (c *contract) function(id string) template.Function {
	f, err := c.template.Function(id, c.references)
	c.check(err)
	return f
}

// decode reads a part of the template into a struct.
func (c *contract) decode(from, into any) {
	text, err := json.Marshal(from)
	if c.check(err) {
		c.check(json.Unmarshal(text, into))
	}
}

// with returns the template with values of parameters.
func (c *contract) with(values map[string]string) *template.Template {
	key := fmt.Sprint(values)
	if c.others[key] == nil {
		c.others[key] = c.template
		if t, err := template.Parse([]byte(c.text), values); c.check(err) {
			c.others[key] = t
		}
	}
	return c.others[key]
}

// properties returns a resource's, with attributes of others by their names. Those
// that are not there have none.
func (c *contract) properties(t *template.Template, id string) map[string]any {
	names := maps.Clone(c.named)
	maps.DeleteFunc(names, func(name, _ string) bool {
		other, _, _ := strings.Cut(name, ".")
		return c.file.Resources[other].Type != "" && !t.Has(other)
	})
	properties, err := t.Properties(id, names)
	if err != nil {
		c.errorf("%s: %v", id, err)
	}
	return properties
}

func (c *contract) secretHasNoValue() {
	for _, value := range []string{"SecretString", "GenerateSecretString"} {
		if c.file.Resources["VeryfiSecret"].Properties[value] != nil {
			c.errorf("VeryfiSecret has a %s: CloudFormation writes it over the filled secret when it changes", value)
		}
	}
}

// fixedName is the property that would give a resource a name of its own, by the types
// that hold data.
var fixedName = map[string]string{"AWS::SecretsManager::Secret": "Name", "AWS::DynamoDB::Table": "TableName", "AWS::SQS::Queue": "QueueName"}

// holdsData reports whether something would be lost with a resource.
func (c *contract) holdsData(id string) bool {
	return fixedName[c.file.Resources[id].Type] != "" && id != "EventDeadLetterQueue"
}

func (c *contract) dataOutlivesTheStack() {
	for id, resource := range c.file.Resources {
		if !c.holdsData(id) {
			continue
		}
		if resource.DeletionPolicy != "RetainExceptOnCreate" || resource.UpdateReplacePolicy != "Retain" {
			c.errorf("%s goes with the stack, or when it is replaced", id)
		}
		if _, fixed := resource.Properties[fixedName[resource.Type]]; fixed {
			c.errorf("%s has a fixed name: the next stack cannot be created beside what is left of this one", id)
		}
	}
}

func (c *contract) queuesAgreeWithTheFunctions() {
	documents, err := c.template.Queue("DocumentQueue")
	deadLetters, err2 := c.template.Queue("DeadLetterQueue")
	processor := c.function("ProcessorFunction")
	if !c.check(err) || !c.check(err2) || processor.Source == nil {
		c.errorf("ProcessorFunction does not poll a queue")
		return
	}
	if documents.DeadLetterQueue != "DeadLetterQueue" || deadLetters.DeadLetterQueue != "" || processor.Source.Queue != "DocumentQueue" {
		c.errorf("the queues are not where they belong")
	}
	if documents.VisibilityTimeout < 6*processor.Timeout+processor.Source.Window {
		c.errorf("the visibility time-out, %v, is less than six times the processor's time-out plus the window", documents.VisibilityTimeout)
	}
	tries, err := strconv.Atoi(processor.Environment["MAX_TRIES"])
	hours, err2 := strconv.Atoi(processor.Environment["GIVE_UP_AFTER_HOURS"])
	if !c.check(err) || !c.check(err2) {
		return
	}
	if outlast := min(time.Duration(hours)*time.Hour, longestWaits(tries)-longestRetryAfters); outlast < 48*time.Hour {
		c.errorf("%d tries and %d hours outlast %v only", tries, hours, outlast)
	}
	if documents.Retention-retrieve.MaxAge < 24*time.Hour {
		c.errorf("DocumentQueue forgets a message after %v, and the processor gives up after %v only", documents.Retention, retrieve.MaxAge)
	}
	if patience := time.Duration(documents.MaxReceiveCount) * documents.VisibilityTimeout; patience < 4*24*time.Hour {
		c.errorf("a processor that cannot run empties the queue within %v", patience)
	}
	const longest = 14 * 24 * time.Hour // that SQS has
	if deadLetters.Retention != longest {
		c.errorf("DeadLetterQueue keeps messages for %v, and SQS can for %v", deadLetters.Retention, longest)
	}
	if documents.VisibilityTimeout > 10*processor.Timeout {
		c.errorf("after a crash a document waits for %v", documents.VisibilityTimeout)
	}
	const toRedrive = 4 * 24 * time.Hour // a message keeps its age when SQS moves it
	if deadLetters.Retention-documents.Retention < toRedrive {
		c.errorf("a message may have less than %v left in DeadLetterQueue: %v - %v", toRedrive, deadLetters.Retention, documents.Retention)
	}
	if !processor.Source.ReportBatchItemFailures {
		c.errorf("without ReportBatchItemFailures one failed record fails its whole batch")
	}
	if processor.Source.BatchSize < 1 || processor.Source.BatchSize > 10 {
		c.errorf("batches of %d: the processor reads the rows of ten in one call, and Lambda wants a longer window for more", processor.Source.BatchSize)
	}
	if processor.Source.Window != 0 {
		c.errorf("a document waits %v for others", processor.Source.Window)
	}
	const most = 1 << 20 // bytes, of SQS
	if documents.MaximumSize != most || deadLetters.MaximumSize != most || c.file.Resources["DocumentQueue"].Properties["MaximumMessageSize"] == nil || c.file.Resources["DeadLetterQueue"].Properties["MaximumMessageSize"] == nil {
		c.errorf("messages have %d and %d bytes at most: a document that the table refuses may not fit", documents.MaximumSize, deadLetters.MaximumSize)
	}
	// Veryfi may take 20 s for an answer, and 13 s are kept to store it.
	if processor.Timeout < 45*time.Second {
		c.errorf("ProcessorFunction has %v: too little for a slow answer of Veryfi and a slow table", processor.Timeout)
	}
	// The processor sends documents back to its own queue.
	if got := c.file.Resources["ProcessorFunction"].Properties["RecursiveLoop"]; got != "Allow" {
		c.errorf("RecursiveLoop is %v: Lambda drops an event at its 16th round", got)
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
	if rate <= 0 || lists != veryfi.ReconcilerRequestsPerSecond || processor.Source.MaximumConcurrency < 2 || !veryfi.Fits(processor.Source.MaximumConcurrency, rate) {
		c.errorf("%d processors with %v requests a second, and %v for the list, is more than Veryfi allows, or not what shared/veryfi computes with", processor.Source.MaximumConcurrency, rate, lists)
	}
	const newAccount = 10 // executions at once
	if processor.Source.MaximumConcurrency > newAccount/2 {
		c.errorf("%d processors leave the webhook less than half of what a new account has", processor.Source.MaximumConcurrency)
	}
	for id := range functions {
		if c.file.Resources[id].Properties["ReservedConcurrentExecutions"] != nil {
			c.errorf("%s reserves concurrency: a new account has none to give away", id)
		}
	}
}

func (c *contract) reconcilerRunsByScheduleUntilItIsTurnedOff() {
	if s := c.function("ReconcilerFunction").Schedule; s == nil || !s.Enabled || s.Expression != "rate(1 hour)" {
		c.errorf("the schedule of the reconciler is %+v", s)
	}
	off, err := template.Parse([]byte(c.text), map[string]string{"ReconcileEnabled": "false"})
	if !c.check(err) {
		return
	}
	reconciler, err := off.Function("ReconcilerFunction", c.references)
	if !c.check(err) {
		return
	}
	if s := reconciler.Schedule; s == nil || s.Enabled {
		c.errorf("turned off, the schedule is %+v", s)
	}
	hours, err := strconv.Atoi(reconciler.Environment["RECONCILE_WINDOW_HOURS"])
	if err != nil || hours < 6 || hours > 48 {
		c.errorf("RECONCILE_WINDOW_HOURS: windows of %d hours overlap too little to outlast runs that fail, or read too many rows", hours)
	}
	if minutes, err := strconv.Atoi(reconciler.Environment["RECONCILE_GRACE_MINUTES"]); err != nil || minutes < 30 || minutes > 120 {
		c.errorf("RECONCILE_GRACE_MINUTES: a webhook has %d minutes to arrive", minutes)
	}
	var scheduled struct{ MaximumRetryAttempts, MaximumEventAgeInSeconds *int }
	c.decode(c.file.Resources["ReconcilerFunction"].Properties["EventInvokeConfig"], &scheduled)
	if scheduled.MaximumRetryAttempts == nil || *scheduled.MaximumRetryAttempts != 0 || scheduled.MaximumEventAgeInSeconds == nil || *scheduled.MaximumEventAgeInSeconds > 3600 {
		c.errorf("ReconcilerFunction: Lambda repeats a scheduled run that has failed, or keeps it until the next ones")
	}
	if reconciler.Timeout != 15*time.Minute {
		c.errorf("ReconcilerFunction has %v; Lambda allows 15 minutes, and a run may need them", reconciler.Timeout)
	}
}

func (c *contract) webhookIsReached() {
	webhook := c.function("WebhookFunction")
	if webhook.Route == nil || *webhook.Route != (template.Route{Method: "ANY", Path: "/webhook/veryfi"}) {
		c.errorf("WebhookFunction has the route %+v", webhook.Route)
	}
	// Its own limit for an answer is 9 s.
	if webhook.Timeout <= 9*time.Second || webhook.Timeout >= 30*time.Second {
		c.errorf("WebhookFunction has a time-out of %v: it must be longer than its answers take, and API Gateway gives up after 30 s", webhook.Timeout)
	}
	var properties struct {
		Events map[string]struct{ Properties map[string]any }
	}
	c.decode(c.file.Resources["WebhookFunction"].Properties, &properties)
	for name, event := range properties.Events {
		if event.Properties["PayloadFormatVersion"] != "2.0" || event.Properties["Auth"] != nil || event.Properties["ApiId"] != "HttpApi" {
			c.errorf("WebhookFunction: the event %s is %v", name, event.Properties)
		}
	}
	var api struct {
		DefaultRouteSettings struct{ ThrottlingRateLimit, ThrottlingBurstLimit float64 }
	}
	c.decode(c.file.Resources["HttpApi"].Properties, &api)
	if s := api.DefaultRouteSettings; s.ThrottlingRateLimit < 60 || s.ThrottlingRateLimit > 1000 || s.ThrottlingBurstLimit < s.ThrottlingRateLimit || s.ThrottlingBurstLimit > 2*s.ThrottlingRateLimit {
		c.errorf("HttpApi lets %v requests a second pass: Veryfi may send sixty, and a flood must cost little", s.ThrottlingRateLimit)
	}
}

func (c *contract) tableIsAsTheCodeHasIt() {
	table, err := c.template.Table("DocumentTable")
	if !c.check(err) {
		return
	}
	if len(table.KeySchema) != 1 || table.KeySchema[0] != (template.Key{AttributeName: "id", KeyType: "HASH"}) {
		c.errorf("DocumentTable has the key %v", table.KeySchema)
	}
	var defined, used []string
	for _, a := range table.AttributeDefinitions {
		if defined = append(defined, a.AttributeName); a.AttributeType != "S" {
			c.errorf("DocumentTable: rows have %s as text, not as %s", a.AttributeName, a.AttributeType)
		}
	}
	for _, index := range table.GlobalSecondaryIndexes {
		for _, key := range append(slices.Clone(table.KeySchema), index.KeySchema...) {
			used = append(used, key.AttributeName)
		}
	}
	slices.Sort(defined)
	slices.Sort(used)
	if used = slices.Compact(used); !slices.Equal(defined, used) {
		c.errorf("DocumentTable defines the attributes %v, and has keys of %v", defined, used)
	}
	if table.TimeToLiveSpecification.AttributeName != "expires_at" || !table.TimeToLiveSpecification.Enabled {
		c.errorf("DocumentTable deletes by %+v, and rows have expires_at", table.TimeToLiveSpecification)
	}
	var properties struct {
		PointInTimeRecoverySpecification struct{ PointInTimeRecoveryEnabled bool }
	}
	c.decode(c.file.Resources["DocumentTable"].Properties, &properties)
	if !properties.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled {
		c.errorf("DocumentTable cannot be brought back")
	}
	if len(table.GlobalSecondaryIndexes) != 1 {
		c.errorf("DocumentTable has %d indexes", len(table.GlobalSecondaryIndexes))
		return
	}
	index := table.GlobalSecondaryIndexes[0]
	want := []template.Key{{AttributeName: "problem", KeyType: "HASH"}, {AttributeName: "updated_at", KeyType: "RANGE"}}
	if index.IndexName != "problems" || index.Projection.ProjectionType != "INCLUDE" || !slices.Equal(index.KeySchema, want) {
		c.errorf("DocumentTable: the index %s projects %s by %v", index.IndexName, index.Projection.ProjectionType, index.KeySchema)
	}
	for _, large := range []string{"document", "document_gzip", "data"} {
		if slices.Contains(index.Projection.NonKeyAttributes, large) {
			c.errorf("DocumentTable: the index holds %s a second time", large)
		}
	}
	for _, needed := range []string{"status", "error", "event", "created", "received_at", "attempts", "request_id", "parent_id"} {
		if !slices.Contains(index.Projection.NonKeyAttributes, needed) {
			c.errorf("DocumentTable: the index lacks %s, which the reconciler makes messages of", needed)
		}
	}
}

func (c *contract) logsAreKeptForATime() {
	groups := c.ids("AWS::Logs::LogGroup")
	for _, id := range groups {
		if c.file.Resources[id].Properties["RetentionInDays"] != "LogRetentionDays" {
			c.errorf("%s keeps its lines for ever", id)
		}
		want := "/aws/lambda/${AWS::StackName}-" + functions[strings.TrimSuffix(id, "LogGroup")+"Function"]
		if id == "AccessLogGroup" {
			want = "/aws/vendedlogs/apis/${AWS::StackName}" // a prefix that has one entry in API Gateway's policy
		}
		if got := c.file.Resources[id].Properties["LogGroupName"]; got != want {
			c.errorf("%s is named %v, not %s", id, got, want)
		}
	}
	for id := range functions {
		var properties struct {
			LoggingConfig struct{ LogFormat, LogGroup, ApplicationLogLevel, SystemLogLevel string }
		}
		c.decode(c.file.Resources[id].Properties, &properties)
		config := properties.LoggingConfig
		if config.LogFormat != "JSON" || config.LogGroup != strings.TrimSuffix(id, "Function")+"LogGroup" || !slices.Contains(groups, config.LogGroup) {
			c.errorf("%s logs %s to %q, which is no log group of its own", id, config.LogFormat, config.LogGroup)
		}
		if config.ApplicationLogLevel != "" && config.ApplicationLogLevel != "INFO" {
			c.errorf("%s: lines below %s are dropped, and the metrics with them", id, config.ApplicationLogLevel)
		}
		if id != "ReconcilerFunction" && config.SystemLogLevel != "WARN" {
			c.errorf("%s has Lambda write two lines more for each request or batch (docs/performance.md)", id)
		}
	}
	var api struct {
		AccessLogSettings struct{ DestinationArn, Format string }
	}
	c.decode(c.file.Resources["HttpApi"].Properties, &api)
	if api.AccessLogSettings.DestinationArn != "AccessLogGroup.Arn" {
		c.errorf("HttpApi logs to %q", api.AccessLogSettings.DestinationArn)
	}
	var line map[string]string
	if err := json.Unmarshal([]byte(api.AccessLogSettings.Format), &line); err != nil {
		c.errorf("HttpApi: the format of its log is not JSON: %v", err)
	}
	// request_id joins its log with the functions'.
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

// samLocalSetsEachVariableThereIs holds because `sam local` says nothing of a value
// for a name that template.yaml does not have, and leaves a name with no value
// empty.
func (c *contract) samLocalSetsEachVariableThereIs() {
	text, err := os.ReadFile("local/env.json")
	if err != nil {
		c.t.Fatal(err)
	}
	var local map[string]map[string]string
	if err := json.Unmarshal(text, &local); err != nil {
		c.t.Fatal(err)
	}
	// Plain values and parameters, which `sam local` resolves by itself.
	resolved := []string{
		"GOMEMLIMIT", "MAX_TRIES", "GIVE_UP_AFTER_HOURS", "DOCUMENT_RETENTION_DAYS", "VERYFI_REQUESTS_PER_SECOND", "RECONCILE_WINDOW_HOURS", "RECONCILE_GRACE_MINUTES",
	}
	for id := range functions {
		for name := range c.variables(id) {
			if _, has := local[id][name]; !has && !slices.Contains(resolved, name) {
				c.errorf("local/env.json has no value of %s for %s", name, id)
			}
		}
		for name := range local[id] {
			if _, declared := c.variables(id)[name]; !declared {
				c.errorf("%s has no %s, which local/env.json sets", id, name)
			}
		}
	}
}

// variables returns the variables of a function's own, with those that are not set
// when it is deployed.
func (c *contract) variables(id string) map[string]any {
	var properties struct {
		Environment struct{ Variables map[string]any }
	}
	c.decode(c.file.Resources[id].Properties, &properties)
	return properties.Environment.Variables
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
		// Go takes an empty one for none.
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
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		c.t.Fatal(err)
	}
	built := regexp.MustCompile(`(?m)^ARCH *\?= *(\w+)$`).FindSubmatch(makefile)
	for id := range functions {
		if f := c.function(id); built == nil || f.Architecture != string(built[1]) {
			c.errorf("%s is deployed as %s, but the Makefile builds %q", id, f.Architecture, built)
		}
	}
}

// outputsAreThoseThatAreUsed compares with what design and README promise; what the
// operator's command needs, its own test knows.
func (c *contract) outputsAreThoseThatAreUsed() {
	for _, name := range []string{"WebhookUrl", "TableName", "QueueUrl", "DeadLetterQueueUrl", "SecretId"} {
		if _, there := c.file.Outputs[name]; !there {
			c.errorf("the output %s is missing, which others rely on", name)
		}
	}
	for name, output := range c.file.Outputs {
		if output.Description == "" {
			c.errorf("nobody says what the output %s is", name)
		}
	}
	values, err := c.template.Outputs(c.references)
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
	}
	if said := slices.Sorted(maps.Keys(c.readme("Outputs"))); !slices.Equal(said, slices.Sorted(maps.Keys(c.file.Outputs))) {
		c.errorf("README has the outputs %v, the template %v", said, slices.Sorted(maps.Keys(c.file.Outputs)))
	}
}

// readme returns the names in the first column of the table in a section of README,
// each with what the second column says of it.
func (c *contract) readme(section string) map[string]string {
	text, err := os.ReadFile("README.md")
	if err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n### "+section+"\n")
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

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

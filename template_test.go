// Package template_test keeps the promises that template.yaml makes and that no
// linter knows.
package template_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"veryfi-intake/local/template"
)

// placeholder is what the secret has been created with in every stack there is.
const placeholder = `{"client_id": "unset", "client_secret": "unset", "username": "unset", "api_key": "unset"}`

func TestSecretsPlaceholderNeverChanges(t *testing.T) {
	properties := resources(t)["VeryfiSecret"].Properties
	if properties["SecretString"] != placeholder {
		t.Error("CloudFormation writes the placeholder over every filled secret when it changes: put it back")
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(placeholder), &values); err != nil {
		t.Fatal(err)
	}
}

func TestDataOutlivesTheStack(t *testing.T) {
	names := map[string]string{
		"VeryfiSecret": "Name", "DocumentTable": "TableName", "DocumentQueue": "QueueName", "DeadLetterQueue": "QueueName",
	}
	for id, name := range names {
		resource := resources(t)[id]
		if resource.DeletionPolicy != "RetainExceptOnCreate" || resource.UpdateReplacePolicy != "Retain" {
			t.Errorf("%s goes with the stack", id)
		}
		if _, fixed := resource.Properties[name]; fixed {
			t.Errorf("%s has a fixed name: the next stack cannot be created beside what is left of this one", id)
		}
	}
}

func TestQueuesAgreeWithTheFunctions(t *testing.T) {
	deployed := read(t)
	queue, err := deployed.Queue("DocumentQueue")
	if err != nil {
		t.Fatal(err)
	}
	deadLetters, err := deployed.Queue("DeadLetterQueue")
	if err != nil {
		t.Fatal(err)
	}
	processor := function(t, "ProcessorFunction")
	if queue.DeadLetterQueue != "DeadLetterQueue" || processor.Source.Queue != "DocumentQueue" {
		t.Error("the queues are not where they belong")
	}
	if queue.VisibilityTimeout < 6*processor.Timeout+processor.Source.Window {
		t.Errorf("the visibility time-out, %v, is less than six times the processor's time-out plus the window", queue.VisibilityTimeout)
	}
	if got := processor.Environment["MAX_RECEIVE_COUNT"]; got != strconv.Itoa(queue.MaxReceiveCount) {
		t.Errorf("MAX_RECEIVE_COUNT is %s, the queue's maxReceiveCount %d", got, queue.MaxReceiveCount)
	}
	if deadLetters.Retention != 14*24*time.Hour || queue.Retention > deadLetters.Retention-4*24*time.Hour {
		t.Errorf("a message keeps its age when it moves: %v in the queue leave too little of %v", queue.Retention, deadLetters.Retention)
	}
	if !processor.Source.ReportBatchItemFailures {
		t.Error("one failed record would fail its whole batch")
	}
	if webhook := function(t, "WebhookFunction"); webhook.Timeout >= 30*time.Second {
		t.Errorf("API Gateway gives up before the webhook's %v are over", webhook.Timeout)
	}
}

func TestAllFunctionsStayBelowVeryfisLimits(t *testing.T) {
	processor := function(t, "ProcessorFunction")
	rate, err := strconv.ParseFloat(processor.Environment["VERYFI_REQUESTS_PER_SECOND"], 64)
	if err != nil {
		t.Fatal(err)
	}
	reconciler, err := strconv.ParseFloat(function(t, "ReconcilerFunction").Environment["VERYFI_REQUESTS_PER_SECOND"], 64)
	if err != nil {
		t.Fatal(err)
	}
	const runs = 2 // a scheduled one, and one by hand
	all := rate*float64(processor.Source.MaximumConcurrency) + runs*reconciler
	if rate == 0 || reconciler == 0 || all >= 60 || runs*reconciler > 5 {
		t.Errorf("%v requests a second, %v of them for the list; Veryfi allows 60 and 5", all, runs*reconciler)
	}
}

func TestReconcilerRunsByScheduleUntilItIsTurnedOff(t *testing.T) {
	if s := function(t, "ReconcilerFunction").Schedule; s == nil || !s.Enabled || s.Expression != "rate(1 hour)" {
		t.Errorf("the schedule is %+v", s)
	}
	off, err := template.Read("template.yaml", map[string]string{"ReconcileEnabled": "false"})
	if err != nil {
		t.Fatal(err)
	}
	if s := functionOf(t, off, "ReconcilerFunction").Schedule; s == nil || s.Enabled {
		t.Errorf("turned off, the schedule is %+v", s)
	}
	environment := function(t, "ReconcilerFunction").Environment
	hours, err := strconv.Atoi(environment["RECONCILE_WINDOW_HOURS"])
	if err != nil || hours < 6 {
		t.Errorf("windows of %d hours overlap too little to outlast runs that fail", hours)
	}
	if minutes, err := strconv.Atoi(environment["RECONCILE_GRACE_MINUTES"]); err != nil || minutes < 30 {
		t.Errorf("a webhook has %d minutes to arrive", minutes)
	}
}

// TestProcessorsEventsAreNotDropped holds because the processor sends documents
// back to its own queue.
func TestProcessorsEventsAreNotDropped(t *testing.T) {
	if got := resources(t)["ProcessorFunction"].Properties["RecursiveLoop"]; got != "Allow" {
		t.Errorf("RecursiveLoop is %v: Lambda drops an event at its 16th round", got)
	}
}

func TestRolesNameWhatTheyMayDo(t *testing.T) {
	roles := 0
	for id, resource := range resources(t) {
		switch resource.Type {
		case "AWS::Serverless::Function":
			// Without a role of ours, SAM writes one, with a policy for every log group.
			if resource.Properties["Role"] == nil || resource.Properties["Policies"] != nil {
				t.Errorf("SAM adds permissions to %s", id)
			}
		case "AWS::IAM::Role":
			roles++
			if resource.Properties["ManagedPolicyArns"] != nil {
				t.Errorf("%s has managed policies", id)
			}
			text, err := json.Marshal(resource.Properties["Policies"])
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "*") {
				t.Errorf("%s has a wildcard", id)
			}
		}
	}
	if roles != 3 {
		t.Errorf("%d roles, want one for each function", roles)
	}
}

func TestProblemsAreListedWithoutDocuments(t *testing.T) {
	table, err := read(t).Table("DocumentTable")
	if err != nil {
		t.Fatal(err)
	}
	if len(table.GlobalSecondaryIndexes) != 1 {
		t.Fatalf("%d indexes", len(table.GlobalSecondaryIndexes))
	}
	index := table.GlobalSecondaryIndexes[0]
	if index.IndexName != "problems" || index.Projection.ProjectionType != "INCLUDE" {
		t.Errorf("index %s projects %s", index.IndexName, index.Projection.ProjectionType)
	}
	for _, large := range []string{"document", "document_gzip", "data"} {
		if slices.Contains(index.Projection.NonKeyAttributes, large) {
			t.Errorf("the index holds %s a second time", large)
		}
	}
}

// TestSamLocalSetsEachVariableThereIs holds because `sam local` says nothing of a
// value for a name that template.yaml does not have, and leaves a name with no
// value empty.
func TestSamLocalSetsEachVariableThereIs(t *testing.T) {
	text, err := os.ReadFile("local/env.json")
	if err != nil {
		t.Fatal(err)
	}
	var local map[string]map[string]string
	if err := json.Unmarshal(text, &local); err != nil {
		t.Fatal(err)
	}
	// Plain values and parameters, which `sam local` resolves by itself.
	resolved := []string{"GOMEMLIMIT", "MAX_RECEIVE_COUNT", "VERYFI_REQUESTS_PER_SECOND", "RECONCILE_WINDOW_HOURS", "RECONCILE_GRACE_MINUTES"}
	for _, id := range []string{"WebhookFunction", "ProcessorFunction", "ReconcilerFunction"} {
		environment := resources(t)[id].Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
		declared := slices.DeleteFunc(slices.Sorted(maps.Keys(environment)), func(name string) bool {
			return slices.Contains(resolved, name)
		})
		if diff := cmp.Diff(declared, slices.Sorted(maps.Keys(local[id]))); diff != "" {
			t.Errorf("%s (-template.yaml +local/env.json):\n%s", id, diff)
		}
	}
}

// TestFunctionsMakeTheMostOfTheirMemory keeps what docs/performance.md measured.
func TestFunctionsMakeTheMostOfTheirMemory(t *testing.T) {
	const oneCPU = 1769 // MB with which a function has a whole one
	for _, id := range []string{"WebhookFunction", "ProcessorFunction", "ReconcilerFunction"} {
		f := function(t, id)
		limit, err := strconv.Atoi(strings.TrimSuffix(f.Environment["GOMEMLIMIT"], "MiB"))
		if err != nil || limit < f.MemorySize*3/4 || limit > f.MemorySize*4/5 {
			t.Errorf("%s: GOMEMLIMIT is %s with %d MB: three to four fifths leave room for what Go does not count", id, f.Environment["GOMEMLIMIT"], f.MemorySize)
		}
		if f.Environment["GOMAXPROCS"] != "1" || f.MemorySize >= oneCPU {
			t.Errorf("%s: GOMAXPROCS is %q with %d MB", id, f.Environment["GOMAXPROCS"], f.MemorySize)
		}
		if collect, err := strconv.Atoi(f.Environment["GOGC"]); err != nil || collect < 400 {
			t.Errorf("%s: GOGC is %q", id, f.Environment["GOGC"])
		}
		// Go takes an empty one for none.
		if folder := f.Environment["SSL_CERT_DIR"]; !filepath.IsAbs(folder) || exists(folder) {
			t.Errorf("%s: SSL_CERT_DIR is %q, which must be a path and not exist", id, folder)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestABareBuildFitsABareDeploy(t *testing.T) {
	artifacts, err := read(t).Artifacts()
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	built := regexp.MustCompile(`(?m)^ARCH *\?= *(\w+)$`).FindSubmatch(makefile)
	for _, artifact := range artifacts {
		if built == nil || artifact.Architecture != string(built[1]) {
			t.Errorf("%s is deployed as %s, but the Makefile builds %q", artifact.Function, artifact.Architecture, built)
		}
	}
}

type resource struct {
	Type, DeletionPolicy, UpdateReplacePolicy string
	Properties                                map[string]any
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
	return json.Unmarshal(text, (*plain)(r))
}

// resources returns what template.yaml says, with references as plain text.
func resources(t *testing.T) map[string]resource {
	t.Helper()
	text, err := os.ReadFile("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Resources map[string]resource `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Resources
}

func read(t *testing.T) *template.Template {
	t.Helper()
	read, err := template.Read("template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// function returns the settings of a function, its references resolved to
// anything at all.
func function(t *testing.T, id string) template.Function {
	t.Helper()
	return functionOf(t, read(t), id)
}

func functionOf(t *testing.T, deployed *template.Template, id string) template.Function {
	t.Helper()
	references := template.References{}
	for id := range resources(t) {
		references[id], references[id+".Arn"] = id, id
	}
	function, err := deployed.Function(id, references)
	if err != nil {
		t.Fatal(err)
	}
	return function
}

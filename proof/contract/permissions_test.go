package contract_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/veryfi"
)

// What the code of a function does is asked of the code: its texts and names of the
// source, and the calls to AWS of the linker, which leaves out what cannot be called.

const buildTags = "lambda.norpc,nethttpomithttp2" // of the Makefile

// code is what the source of a program has, in all packages of ours that are linked
// into it.
type code struct {
	literals map[string]bool // texts in quotes
	metrics  map[string]bool // names that are used of the package metrics
}

var (
	codeOf     = once(readCode)
	operations = once(readOperations)
)

// once keeps what read has returned for a function: "webhook".
func once[V any](read func(*testing.T, string) V) func(*testing.T, string) V {
	var mu sync.Mutex
	known := map[string]V{}
	return func(t *testing.T, function string) V {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		value, ok := known[function]
		if !ok {
			value = read(t, function)
			known[function] = value
		}
		return value
	}
}

func readCode(t *testing.T, function string) code {
	t.Helper()
	c := code{literals: map[string]bool{}, metrics: map[string]bool{}}
	list, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", buildTags, "-f", "{{if not .Standard}}{{.ImportPath}} {{.Dir}}{{end}}", "./functions/"+function).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		if name, folder, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name, "veryfi-intake/") {
			c.read(t, folder)
		}
	}
	return c
}

func (c code) read(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					c.literals[text] = true
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "metrics" {
					c.metrics[n.Sel.Name] = true
				}
			}
			return true
		})
	}
}

var variableName = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

func (c *contract) variablesAreThoseThatAreRead() {
	// Lambda sets these itself.
	ofLambda := []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
	// Go's runtime and its TLS read these.
	ofGo := []string{"GOMAXPROCS", "GOGC", "GOMEMLIMIT", "SSL_CERT_DIR"}
	// For other places than AWS: docs/reference.md, "Variables".
	elsewhere := []string{
		"AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		"VERYFI_CLIENT_ID", "VERYFI_CLIENT_SECRET", "VERYFI_USERNAME", "VERYFI_API_KEY",
	}
	for id, name := range functions {
		set := c.function(id).Environment
		read := codeOf(c.t, name).literals
		for variable := range read {
			_, isSet := set[variable]
			if variableName.MatchString(variable) && !isSet && !slices.Contains(ofLambda, variable) && !slices.Contains(elsewhere, variable) {
				c.errorf("%s reads %s, which is not set", id, variable)
			}
		}
		for variable, value := range set {
			if !read[variable] && !slices.Contains(ofGo, variable) {
				c.errorf("%s does not read %s", id, variable)
			}
			if slices.Contains(elsewhere, variable) {
				c.errorf("%s is deployed with %s", id, variable)
			}
			if value == "" && variable != "MORE_KINDS" { // Lambda takes an empty one
				c.errorf("%s: %s is empty", id, variable)
			}
		}
		for variable, resource := range map[string]string{
			"QUEUE_URL": "DocumentQueue", "DEAD_LETTER_QUEUE_URL": "DeadLetterQueue", "TABLE_NAME": "DocumentTable",
			"VERYFI_SECRET_ID": "VeryfiSecret", "STACK_NAME": "AWS::StackName", "VERYFI_BASE_URL": veryfi.DefaultBaseURL,
		} {
			if got, ok := set[variable]; ok && got != resource {
				c.errorf("%s: %s is %s, not %s", id, variable, got, resource)
			}
		}
	}
}

// samLocalSetsEachVariableThereIs holds because `sam local` says nothing of a value
// for a name that template.yaml does not have, and leaves a name with no value
// empty.
func (c *contract) samLocalSetsEachVariableThereIs() {
	var local map[string]map[string]string
	readJSON(c, "local/env.json", &local)
	// Plain values and parameters, which `sam local` resolves by itself.
	resolved := []string{
		"GOMEMLIMIT", "MAX_TRIES", "GIVE_UP_AFTER_HOURS", "DOCUMENT_RETENTION_DAYS", "VERYFI_REQUESTS_PER_SECOND", "RECONCILE_WINDOW_HOURS", "RECONCILE_GRACE_MINUTES", "RECONCILE_KINDS",
	}
	for id := range functions {
		properties, _ := c.file.Resources[id]["Properties"].(map[string]any)
		environment, _ := properties["Environment"].(map[string]any)
		declared, _ := environment["Variables"].(map[string]any) // also those that are not set when it is deployed
		for name := range declared {
			if _, has := local[id][name]; !has && !slices.Contains(resolved, name) {
				c.errorf("local/env.json has no value of %s for %s", name, id)
			}
		}
		for name := range local[id] {
			if _, ok := declared[name]; !ok {
				c.errorf("%s has no %s, which local/env.json sets", id, name)
			}
		}
	}
}

var sdkOperation = regexp.MustCompile(`/service/([a-z]+)\.\(\*Client\)\.([A-Z]\w+)$`)

// readOperations returns the calls to AWS that a function can make, as
// "sqs:SendMessageBatch".
func readOperations(t *testing.T, function string) []string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), function)
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", buildTags, "-trimpath", "-o", binary, "./functions/"+function)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(symbols)) {
		if match := sdkOperation.FindStringSubmatch(strings.TrimSpace(line)); match != nil {
			found[match[1]+":"+match[2]] = true
		}
	}
	// What the SDK calls only when endpoint discovery is turned on, which is off.
	delete(found, "dynamodb:DescribeEndpoints")
	return slices.Sorted(maps.Keys(found))
}

// actions returns what a function must be allowed, and on which resources.
func (c *contract) actions(id, function string) map[string][]string {
	set := c.function(id)
	var queues []string
	for _, variable := range []string{"QUEUE_URL", "DEAD_LETTER_QUEUE_URL"} {
		if queue := set.Environment[variable]; queue != "" {
			queues = append(queues, queue+".Arn")
		}
	}
	on := map[string][]string{
		"logs:CreateLogStream": {id[:len(id)-len("Function")] + "LogGroup.Arn"},
		"logs:PutLogEvents":    {id[:len(id)-len("Function")] + "LogGroup.Arn"},
	}
	if set.Source != nil { // the poller has the function's role
		for _, action := range []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} {
			on[action] = []string{set.Source.Queue + ".Arn"}
		}
	}
	for _, operation := range operations(c.t, function) {
		switch service, _, _ := strings.Cut(operation, ":"); {
		case operation == "sqs:SendMessageBatch": // SQS has no action of that name
			on["sqs:SendMessage"] = queues
		case operation == "sqs:ChangeMessageVisibility":
			on[operation] = []string{set.Environment["QUEUE_URL"] + ".Arn"}
		case operation == "dynamodb:Query":
			on[operation] = []string{set.Environment["TABLE_NAME"] + ".Arn/index/problems"}
		case id == "ReconcilerFunction" && (operation == "dynamodb:UpdateItem" || operation == "dynamodb:DeleteItem"):
			on[operation] = []string{set.Environment["TABLE_NAME"] + ".Arn " + unsupportedRows}
		case service == "dynamodb":
			on[operation] = []string{set.Environment["TABLE_NAME"] + ".Arn"}
		case service == "secretsmanager":
			on[operation] = []string{set.Environment["VERYFI_SECRET_ID"]}
		default:
			c.errorf("%s calls %s, which this test does not know", id, operation)
		}
	}
	return on
}

func (c *contract) rolesNameWhatTheCodeCalls() {
	for id, function := range functions {
		role, ok := strings.CutSuffix(c.value(id+".Role"), ".Arn")
		if !ok || c.value(id+".Policies") != "" { // without a role of ours, SAM writes one
			c.errorf("SAM adds permissions to %s", id)
			continue
		}
		c.mayJust(role, c.actions(id, function))
	}
	// "Amazon EventBridge Pipes permissions"
	const stream = "DocumentTable.StreamArn"
	c.mayJust("PipeRole", map[string][]string{
		"dynamodb:DescribeStream": {stream}, "dynamodb:GetRecords": {stream}, "dynamodb:GetShardIterator": {stream}, "dynamodb:ListStreams": {stream},
		"events:PutEvents": {defaultBus}, "sqs:SendMessage": {"EventDeadLetterQueue.Arn"},
	})
	for _, id := range c.ids("AWS::IAM::Role") {
		if c.value(id+".ManagedPolicyArns") != "" {
			c.errorf("%s has managed policies", id)
		}
	}
}

// unsupportedRows are the only rows that the reconciler changes.
const unsupportedRows = "unsupported#*"

// TestReconcilerChangesNoDocument asks as IAM does ("IAM JSON policy elements: Condition
// operators", "Using IAM policy conditions for fine-grained access control").
func TestReconcilerChangesNoDocument(t *testing.T) {
	t.Parallel()
	c, err := parse(t, deployed(t))
	if err != nil {
		t.Fatal(err)
	}
	may, _ := c.allowed(c.full, "ReconcilerRole")
	for _, action := range []string{"dynamodb:UpdateItem", "dynamodb:DeleteItem"} {
		for key, want := range map[string]bool{
			event.Message{Event: "receipt.created", Data: `{"id": 5}`}.Key(): true,
			"123": false, "check#123": false, "bank_statement_set#42000": false, "unsupported": false, "x unsupported#": false,
		} {
			allowed := slices.ContainsFunc(may[action], func(resource string) bool {
				table, keys, _ := strings.Cut(resource, " ")
				matches, err := path.Match(keys, key) // keys have no slash
				return table == "DocumentTable.Arn" && err == nil && matches
			})
			if allowed != want {
				t.Errorf("%s of the row %q: allowed is %v", action, key, allowed)
			}
		}
	}
	if len(c.broken) > 0 {
		t.Error(c.broken)
	}
}

// mayJust compares what a role may do, and on which resources, with what it needs.
func (c *contract) mayJust(role string, needs map[string][]string) {
	may, _ := c.allowed(c.full, role)
	for action, resources := range needs {
		if slices.Sort(resources); !slices.Equal(may[action], resources) {
			c.errorf("%s may %s on %v, and needs it on %v", role, action, may[action], resources)
		}
	}
	for action, resources := range may {
		if needs[action] == nil {
			c.errorf("%s may %s on %v, and does not need it", role, action, resources)
		}
	}
}

// policyVersion is that of IAM's language; without it IAM takes an older one.
const policyVersion = "2012-10-17"

// allowed returns the actions of a role, each with its resources, sorted; and the
// services through which it may use a key, on which condition alone. A resource that is
// a table of which only some rows are allowed has their keys behind it: "Table.Arn a#*".
func (c *contract) allowed(t *template.Template, role string) (actions map[string][]string, keyVia []string) {
	var properties struct {
		Policies []struct {
			PolicyDocument struct {
				Version   string
				Statement []struct {
					Effect           string
					Action, Resource texts
					Condition        map[string]map[string]texts
				}
			}
		}
	}
	c.decode(t, role, &properties)
	actions = map[string][]string{}
	for _, policy := range properties.Policies {
		if policy.PolicyDocument.Version != policyVersion {
			c.errorf("%s has a policy of the version %q, not %s", role, policy.PolicyDocument.Version, policyVersion)
		}
		for _, s := range policy.PolicyDocument.Statement {
			via := s.Condition["StringLike"]["kms:ViaService"]
			keys := s.Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
			// ForAllValues holds of no keys, too.
			named := slices.Equal(s.Condition["Null"]["dynamodb:LeadingKeys"], texts{"false"})
			known := len(s.Condition) == 0 || len(s.Condition) == 1 && via != nil || len(s.Condition) == 2 && len(keys) == 1 && named
			if s.Effect != "Allow" || !known {
				c.errorf("%s: this test knows no statement %+v", role, s)
			}
			if keys != nil {
				for i := range s.Resource {
					s.Resource[i] += " " + keys[0]
				}
			}
			if via != nil {
				keyVia = slices.Sorted(slices.Values(via))
			}
			for _, action := range s.Action {
				actions[action] = append(actions[action], s.Resource...)
				slices.Sort(actions[action])
			}
		}
	}
	return actions, keyVia
}

// texts are what IAM takes as one text or as several.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// encrypted is the property that names the key of what keeps something, by type.
var encrypted = map[string]string{
	"AWS::SecretsManager::Secret": "KmsKeyId", "AWS::Logs::LogGroup": "KmsKeyId", "AWS::SNS::Topic": "KmsMasterKeyId",
	"AWS::SQS::Queue": "KmsMasterKeyId", "AWS::DynamoDB::Table": "SSESpecification",
}

// aKeyEncryptsAllThatIsKept holds what a key of the user's own needs, and that nothing
// of it is there without one.
func (c *contract) aKeyEncryptsAllThatIsKept() {
	with := c.with(map[string]string{"DocumentEvents": "eventbridge", "KmsKeyArn": aKey})
	for kind, property := range encrypted {
		want := aKey
		if kind == "AWS::DynamoDB::Table" {
			want = `{"KMSMasterKeyId":"` + aKey + `","SSEEnabled":true,"SSEType":"KMS"}`
		}
		for _, id := range c.ids(kind) {
			if got := c.properties(with, id); c.asText(got[property]) != want || got["SqsManagedSseEnabled"] != nil {
				c.errorf("%s is encrypted with %v, not with the key that is given", id, got[property])
			}
		}
	}
	for path, value := range c.flat(map[string]string{"DocumentEvents": "eventbridge"}) {
		if strings.Contains(strings.ToLower(path+value), "kms") {
			c.errorf("%s is %s without a key", path, value)
		}
	}
	for _, id := range c.ids("AWS::SQS::Queue") {
		if reuse := c.properties(with, id)["KmsDataKeyReusePeriodSeconds"]; id != "EventDeadLetterQueue" && c.asText(reuse) != "300" {
			c.errorf("%s uses a key for %v s that was disabled", id, reuse)
		}
		if c.value(id+".SqsManagedSseEnabled") != "true" {
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
	may, keyVia := c.allowed(with, role)
	services := map[string]bool{}
	for action := range may {
		if service, _, _ := strings.Cut(action, ":"); slices.Contains([]string{"sqs", "dynamodb", "secretsmanager"}, service) {
			services[service+".*"] = true
		}
	}
	keys := maps.Clone(may)
	maps.DeleteFunc(keys, func(action string, _ []string) bool { return !strings.HasPrefix(action, "kms:") })
	needs := map[string][]string{"kms:Decrypt": {aKey}, "kms:GenerateDataKey": {aKey}}
	if !maps.EqualFunc(keys, needs, slices.Equal) || !slices.Equal(keyVia, slices.Sorted(maps.Keys(services))) {
		c.errorf("%s may use the key by %v through %v, and calls %v", role, keys, keyVia, slices.Sorted(maps.Keys(services)))
	}
}

// TestNothingIsAddedByTheTransform looks at what CloudFormation makes of the
// template: SAM writes roles, permissions and more.
func TestNothingIsAddedByTheTransform(t *testing.T) {
	t.Parallel()
	// Who may invoke the webhook: its own API, by any stage and method. Who talks to the
	// queues without TLS: nobody. And a product in an expression.
	want := map[string]string{"WebhookFunctionVeryfiPermission": "AWS::Lambda::Permission", "QueuePolicy": "AWS::SQS::QueuePolicy", "SilenceAlarm": "AWS::CloudWatch::Alarm"}
	if wildcards := wildcards(t, deployed(t)); !maps.Equal(wildcards, want) {
		t.Errorf("there are wildcards in %v", wildcards)
	}
	broken := strings.Replace(deployed(t), "      Role: !GetAtt WebhookRole.Arn\n", "      Policies: [SQSSendMessagePolicy: {QueueName: x}, {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 'sqs:*', Resource: '*'}]}]\n", 1)
	if role := wildcards(t, broken)["WebhookFunctionRole"]; role == "" {
		t.Error("a role that SAM writes was not noticed")
	}
}

// conditions are the wildcards in conditions: a service in any region, of a statement
// about a key, and rows of the table.
var conditions = regexp.MustCompile(`"(sqs|dynamodb|secretsmanager)\.\*"|"` + regexp.QuoteMeta(unsupportedRows) + `"`)

// wildcards returns the resources with a wildcard in them after SAM's transform, with
// their types.
func wildcards(t *testing.T, text string) map[string]string {
	t.Helper()
	const python = ".tools/venv/bin/python"
	if !exists(python) {
		t.Skip("SAM's translator is not there: `make test` installs it")
	}
	command := exec.CommandContext(t.Context(), python, "proof/contract/testdata/transform.py")
	command.Stdin, command.Stderr = strings.NewReader(text), os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var template struct{ Resources map[string]json.RawMessage }
	if err := json.Unmarshal(out, &template); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for id, resource := range template.Resources {
		var kind struct{ Type string }
		if err := json.Unmarshal(resource, &kind); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(conditions.ReplaceAll(resource, nil), []byte("*")) {
			found[id] = kind.Type
		}
	}
	return found
}

package contract_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

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
	codeMu sync.Mutex
	codes  = map[string]code{}
)

// codeOf reads a program, given as "./functions/webhook".
func codeOf(t *testing.T, program string) code {
	t.Helper()
	codeMu.Lock()
	defer codeMu.Unlock()
	if known, ok := codes[program]; ok {
		return known
	}
	c := code{literals: map[string]bool{}, metrics: map[string]bool{}}
	list, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", buildTags, "-f", "{{if not .Standard}}{{.ImportPath}} {{.Dir}}{{end}}", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		if name, folder, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name, "veryfi-intake/") {
			c.read(t, folder)
		}
	}
	codes[program] = c
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
	// For other places than AWS: README, "Settings".
	elsewhere := []string{
		"AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
		"VERYFI_CLIENT_ID", "VERYFI_CLIENT_SECRET", "VERYFI_USERNAME", "VERYFI_API_KEY",
	}
	for id, name := range functions {
		set := c.function(id).Environment
		read := codeOf(c.t, "./functions/"+name).literals
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
			if value == "" {
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

var operationsMu sync.Mutex
var operationsOf = map[string][]string{}

var sdkOperation = regexp.MustCompile(`/service/([a-z]+)\.\(\*Client\)\.([A-Z]\w+)$`)

// operations returns the calls to AWS that a function can make, as "sqs:SendMessageBatch".
func operations(t *testing.T, function string) []string {
	t.Helper()
	operationsMu.Lock()
	defer operationsMu.Unlock()
	if known, ok := operationsOf[function]; ok {
		return known
	}
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
	operationsOf[function] = slices.Sorted(maps.Keys(found))
	return operationsOf[function]
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
		// Without a role of ours, SAM writes one, with a policy for every log group.
		properties := c.file.Resources[id].Properties
		role, ok := strings.CutSuffix(asText(properties["Role"]), ".Arn")
		if !ok || properties["Policies"] != nil {
			c.errorf("SAM adds permissions to %s", id)
			continue
		}
		got, want := c.allowed(role), c.actions(id, function)
		for _, action := range slices.Sorted(maps.Keys(want)) {
			slices.Sort(want[action])
			if !slices.Equal(got[action], want[action]) {
				c.errorf("%s may %s on %v, and needs it on %v", role, action, got[action], want[action])
			}
		}
		for _, action := range slices.Sorted(maps.Keys(got)) {
			if want[action] == nil {
				c.errorf("%s may %s, and its code does not", role, action)
			}
		}
	}
	for _, id := range c.ids("AWS::IAM::Role") {
		if c.file.Resources[id].Properties["ManagedPolicyArns"] != nil {
			c.errorf("%s has managed policies", id)
		}
		for action, resources := range c.allowed(id) {
			if strings.Contains(action, "*") || slices.ContainsFunc(resources, func(r string) bool { return strings.Contains(r, "*") }) {
				c.errorf("%s has a wildcard", id)
			}
		}
	}
}

func asText(value any) string {
	text, _ := value.(string)
	return text
}

// policyVersion is that of IAM's language; without it IAM takes an older one.
const policyVersion = "2012-10-17"

// allowed returns the actions of a role, each with its resources, sorted.
func (c *contract) allowed(role string) map[string][]string {
	all := c.with(map[string]string{"DocumentEvents": "eventbridge"}) // all roles there are
	var properties struct {
		Policies []struct {
			PolicyDocument struct {
				Version   string
				Statement []struct {
					Effect           string
					Action, Resource any
					Condition        any
				}
			}
		}
	}
	c.decode(c.properties(all, role), &properties)
	allowed := map[string][]string{}
	for _, policy := range properties.Policies {
		if policy.PolicyDocument.Version != policyVersion {
			c.errorf("%s has a policy of the version %q, not %s", role, policy.PolicyDocument.Version, policyVersion)
		}
		for _, statement := range policy.PolicyDocument.Statement {
			if statement.Effect != "Allow" || statement.Condition != nil {
				c.errorf("%s: this test knows statements only that allow, on no condition", role)
			}
			for _, action := range list(statement.Action) {
				allowed[action] = append(allowed[action], list(statement.Resource)...)
				slices.Sort(allowed[action])
			}
		}
	}
	return allowed
}

// list returns what IAM takes as one text or as several.
func list(value any) (texts []string) {
	if many, ok := value.([]any); ok {
		for _, one := range many {
			texts = append(texts, asText(one))
		}
		return texts
	}
	return []string{asText(value)}
}

// Package contract_test checks what template.yaml, the code, the Makefile and the docs
// must agree on, where neither a linter nor AWS does.
package contract_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"veryfi-intake/deployment/template"
)

// TestMain works in the clone's root, whose files are checked.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var functions = map[string]string{"WebhookFunction": "webhook", "ProcessorFunction": "processor", "ReconcilerFunction": "reconciler"}

var update = flag.Bool("update", false, "write "+stackFile+" anew")

func TestTemplateKeepsItsContract(t *testing.T) {
	t.Parallel()
	if *update {
		c, err := parse(t, deployed(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(stackFile, []byte(strings.Join(c.made(), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, violation := range violations(t, deployed(t)) {
		t.Error(violation)
	}
}

func deployed(t *testing.T) string {
	t.Helper()
	return read(t, "template.yaml")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// violations returns what a template breaks of the contract.
func violations(t *testing.T, text string) []string {
	t.Helper()
	c, err := parse(t, text)
	if err != nil {
		return []string{err.Error()}
	}
	for _, check := range []func(){
		c.stackIsMadeOfWhatIsKnown, c.valuesAreRight, c.parametersAreHarmless, c.parametersTakeWhatTheyShould, c.outputsAreThoseThatAreUsed,
		c.dataOutlivesTheStack, c.queuesAgreeWithTheFunctions, c.stackStaysBelowVeryfisLimits, c.webhookIsReached, c.reconcilerOverlapsItsRuns,
		c.indexServesTheCode, c.functionsMakeTheMostOfTheirMemory, c.aBareBuildFitsABareDeploy,
		c.variablesAreThoseThatAreRead, c.samLocalSetsEachVariableThereIs, c.rolesNameWhatTheCodeCalls, c.aKeyEncryptsAllThatIsKept,
		c.logsAreReadable, c.alarmsFire, c.dashboardShowsWhatThereIs, c.eventsTellWhatARowHas,
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
		Resources  map[string]map[string]any     `yaml:"Resources"` // references as plain text: "DocumentQueue.Arn"
		Outputs    map[string]template.Parameter `yaml:"Outputs"`
	}
	template   *template.Template            // with the defaults
	full       *template.Template            // with every resource
	known      map[string]map[string]any     // its properties, as far as they were asked for
	others     map[string]*template.Template // with other parameters
	names      template.References           // each resource and its ARN by the resource's name
	attributes template.References           // each attribute by its own: "DocumentQueue.Arn"
	broken     []string
}

func parse(t *testing.T, text string) (*contract, error) {
	t.Helper()
	c := &contract{t: t, text: text, names: template.References{}, attributes: template.References{}, known: map[string]map[string]any{}, others: map[string]*template.Template{}}
	if err := yaml.Unmarshal([]byte(text), &c.file); err != nil {
		return nil, err
	}
	var err error
	if c.template, err = template.Parse([]byte(text), nil); err != nil {
		return nil, err
	}
	for _, name := range []string{"AWS::StackName", "AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix"} {
		c.names[name], c.attributes[name] = name, name
	}
	for id := range c.file.Resources {
		c.names[id], c.names[id+".Arn"], c.names[id+".QueueName"] = id, id, id+".QueueName"
		c.attributes[id] = id
		for _, attribute := range []string{".Arn", ".QueueName", ".StreamArn"} {
			c.attributes[id+attribute] = id + attribute
		}
	}
	c.full = c.with(map[string]string{"AlarmEmail": "you@example.com", "SilenceAlarmHours": "24", "DocumentEvents": "eventbridge"})
	return c, nil
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

// ids returns the resources of a type, sorted.
func (c *contract) ids(kind string) (found []string) {
	for _, id := range slices.Sorted(maps.Keys(c.file.Resources)) {
		if c.file.Resources[id]["Type"] == kind {
			found = append(found, id)
		}
	}
	return found
}

// function returns the settings of a function.
func (c *contract) function(id string) template.Function {
	f, err := c.template.Function(id, c.names)
	c.check(err)
	return f
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

// properties returns a resource's properties. A reference to a resource that is not
// created is an error.
func (c *contract) properties(t *template.Template, id string) map[string]any {
	if known, ok := c.known[id]; ok && t == c.full {
		return known
	}
	names := maps.Clone(c.attributes)
	maps.DeleteFunc(names, func(name, _ string) bool {
		other, _, _ := strings.Cut(name, ".")
		return c.file.Resources[other] != nil && !t.Has(other)
	})
	properties, err := t.Properties(id, names)
	if err != nil {
		c.errorf("%s: %v", id, err)
	}
	if t == c.full {
		c.known[id] = properties
	}
	return properties
}

// decode copies a resource's properties into a struct.
func (c *contract) decode(t *template.Template, id string, into any) {
	text, err := json.Marshal(c.properties(t, id))
	if c.check(err) {
		c.check(json.Unmarshal(text, into))
	}
}

// value returns what is at a path like "DocumentTable.KeySchema.0.KeyType" in the stack
// with every resource: a text as it is, the rest as JSON, and nothing as "".
func (c *contract) value(path string) string {
	names := strings.Split(path, ".")
	var value any = c.properties(c.full, names[0])
	for _, name := range names[1:] {
		switch parent := value.(type) {
		case map[string]any:
			value = parent[name]
		case []any:
			value = nil
			if i, err := strconv.Atoi(name); err == nil && i < len(parent) {
				value = parent[i]
			}
		}
	}
	return c.asText(value)
}

func (c *contract) asText(value any) string {
	if text, ok := value.(string); ok || value == nil {
		return text
	}
	text, err := json.Marshal(value)
	c.check(err)
	return string(text)
}

// stackFile lists what the stack is made of, and what each parameter changes. A change
// to it is a reason to think: a filter on the queue loses documents, a VPC has no way to
// Veryfi. When it is right, `go test ./proof/contract -update` writes the file anew.
const stackFile = "proof/contract/testdata/stack.txt"

func (c *contract) stackIsMadeOfWhatIsKnown() {
	known := strings.Split(strings.TrimSuffix(read(c.t, stackFile), "\n"), "\n")
	made := c.made()
	for _, line := range made {
		if !slices.Contains(known, line) {
			c.errorf("%s does not have: %s", stackFile, line)
		}
	}
	for _, line := range known {
		if !slices.Contains(made, line) {
			c.errorf("the template has no longer: %s", line)
		}
	}
}

// made returns a line for each resource, with its attributes and the names of its
// properties, and one for each sample of a parameter, with what it changes.
func (c *contract) made() []string {
	lines := []string{
		fmt.Sprintf("Transform: %v", c.file.Transform),
		"Globals: " + strings.Join(slices.Sorted(maps.Keys(c.file.Globals)), " "),
		"Globals.Function: " + strings.Join(slices.Sorted(maps.Keys(c.file.Globals["Function"])), " "),
	}
	for _, id := range slices.Sorted(maps.Keys(c.file.Resources)) {
		line := id + " " + c.asText(c.file.Resources[id]["Type"])
		for _, name := range slices.Sorted(maps.Keys(c.file.Resources[id])) {
			if name != "Properties" && name != "Type" {
				line += " " + name + "=" + c.asText(c.file.Resources[id][name])
			}
		}
		properties, _ := c.file.Resources[id]["Properties"].(map[string]any)
		names := slices.Collect(maps.Keys(properties))
		if events, ok := properties["Events"].(map[string]any); ok {
			for path := range flat("Events", events) {
				names = append(names, path)
			}
		}
		slices.Sort(names)
		lines = append(lines, line+": "+strings.Join(names, " "))
	}
	before := c.flat(nil)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		for _, sample := range parameters[name].samples {
			lines = append(lines, name+"="+sample+" changes "+c.changes(before, c.flat(map[string]string{name: sample})))
		}
	}
	return lines
}

// changes returns the paths at which two stacks differ: +ID for a resource that only
// the second has, -path for what only the first has, and values that are short.
func (c *contract) changes(before, after map[string]string) string {
	var changed []string
	for path, value := range after {
		id, _, property := strings.Cut(path, ".")
		switch _, there := before[id]; {
		case !there && !property:
			changed = append(changed, "+"+path)
		case there && before[path] != value && len(value) < 100:
			changed = append(changed, path+"="+value)
		case there && before[path] != value:
			changed = append(changed, path)
		}
	}
	for path := range before {
		if _, there := after[path]; !there {
			changed = append(changed, "-"+path)
		}
	}
	slices.Sort(changed)
	return strings.Join(changed, " ")
}

// flat returns the type of each resource that is created with values of parameters, and
// its properties by their paths.
func (c *contract) flat(values map[string]string) map[string]string {
	stack, all := c.with(values), map[string]string{}
	for id, r := range c.file.Resources {
		if stack.Has(id) {
			all[id] = c.asText(r["Type"])
			for path, value := range flat(id, c.properties(stack, id)) {
				all[path] = c.asText(value)
			}
		}
	}
	return all
}

// flat returns what is in a value by its path, lists as one value.
func flat(path string, value any) map[string]any {
	members, ok := value.(map[string]any)
	if !ok {
		return map[string]any{path: value}
	}
	all := map[string]any{}
	for name, member := range members {
		maps.Copy(all, flat(path+"."+name, member))
	}
	return all
}

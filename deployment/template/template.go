// Package template reads from template.yaml what the machine-local stack needs
// to know, so that the stack cannot drift from what is deployed.
//
// It resolves the parameters' defaults, the conditions, and !Ref, !GetAtt,
// !Sub and !If. Only the settings that are asked for are looked at; among those
// a reference that cannot be resolved, or a resource that is missing, is an
// error that names it.
package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// References is what a reference to a resource gives: "DocumentQueue" for
// !Ref DocumentQueue, "DocumentQueue.Arn" for !GetAtt DocumentQueue.Arn,
// "AWS::Region" for a pseudo parameter.
type References map[string]string

// A Template is a parsed template.yaml.
type Template struct {
	declared   map[string]Parameter
	parameters map[string]any
	conditions map[string]yaml.Node
	globals    *yaml.Node
	resources  map[string]resource
	outputs    map[string]output
}

type output struct {
	Value yaml.Node `yaml:"Value"`
}

type resource struct {
	Type       string    `yaml:"Type"`
	Condition  string    `yaml:"Condition"`
	Properties yaml.Node `yaml:"Properties"`
}

// A Parameter is one of CloudFormation's, with what limits its values.
type Parameter struct {
	Type                  string   `yaml:"Type"`
	Description           string   `yaml:"Description"`
	Default               *string  `yaml:"Default"`
	AllowedValues         []string `yaml:"AllowedValues"`
	AllowedPattern        *string  `yaml:"AllowedPattern"`
	ConstraintDescription string   `yaml:"ConstraintDescription"`
}

var number = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// Takes reports whether CloudFormation takes a value. A pattern must match the whole
// of it ("CloudFormation template Parameters syntax").
func (p Parameter) Takes(value string) bool {
	if p.AllowedValues != nil && !slices.Contains(p.AllowedValues, value) {
		return false
	}
	if p.AllowedPattern == nil {
		return true
	}
	pattern, err := regexp.Compile(`^(?:` + *p.AllowedPattern + `)$`)
	return err == nil && pattern.MatchString(value)
}

// Check returns an error when CloudFormation refuses the value of a parameter.
func (t *Template) Check() error {
	for _, name := range slices.Sorted(maps.Keys(t.declared)) {
		if value := fmt.Sprint(t.parameters[name]); !t.declared[name].Takes(value) {
			return fmt.Errorf("the parameter %s does not take %q", name, value)
		}
	}
	return nil
}

// Read reads the file at path. The values given replace the defaults of the
// parameters they name.
func Read(path string, values map[string]string) (*Template, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	t, err := Parse(text, values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Parse is Read of a template's text.
func Parse(text []byte, values map[string]string) (*Template, error) {
	var file struct {
		Parameters map[string]Parameter `yaml:"Parameters"`
		Conditions map[string]yaml.Node `yaml:"Conditions"`
		Globals    struct {
			Function yaml.Node `yaml:"Function"`
		} `yaml:"Globals"`
		Resources map[string]resource `yaml:"Resources"`
		Outputs   map[string]output   `yaml:"Outputs"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	t := &Template{declared: file.Parameters, parameters: map[string]any{}, conditions: file.Conditions, globals: &file.Globals.Function, resources: file.Resources, outputs: file.Outputs}
	for name, p := range file.Parameters {
		value, given := values[name]
		switch {
		case given:
		case p.Default != nil:
			value = *p.Default
		default:
			return nil, fmt.Errorf("the parameter %s has no default and no value", name)
		}
		t.parameters[name] = value
		if number.MatchString(value) { // CloudFormation makes of a text the number that a property wants
			t.parameters[name] = json.Number(value)
		}
	}
	for name := range values {
		if _, ok := file.Parameters[name]; !ok {
			return nil, fmt.Errorf("there is no parameter %s", name)
		}
	}
	return t, nil
}

// properties resolves some properties of a resource, with all that is in them,
// and decodes them.
func (t *Template) properties(id, kind string, references References, into any, names ...string) error {
	resource, ok := t.resources[id]
	if !ok {
		return fmt.Errorf("the resource %s is missing", id)
	}
	if resource.Type != kind {
		return fmt.Errorf("the resource %s is an %s, not an %s", id, resource.Type, kind)
	}
	if resource.Condition != "" {
		if holds, err := (resolver{t, references}).condition(resource.Condition); err != nil || !holds {
			return fmt.Errorf("the resource %s is missing: its condition %s does not hold", id, resource.Condition)
		}
	}
	resolved, err := t.resolved(resource, references, names)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	text, err := json.Marshal(resolved)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return nil
}

// Properties returns all properties of a resource as they are with the parameters'
// values: maps, slices, strings, numbers.
func (t *Template) Properties(id string, references References) (map[string]any, error) {
	resource, ok := t.resources[id]
	if !ok || !t.Has(id) {
		return nil, fmt.Errorf("the resource %s is missing", id)
	}
	return t.resolved(resource, references, nil)
}

// resolved returns the properties that are named, or all.
func (t *Template) resolved(of resource, references References, names []string) (map[string]any, error) {
	r := resolver{t, references}
	resolved, err := r.members(&of.Properties, names)
	if err != nil || of.Type != functionType {
		return resolved, err
	}
	global, err := r.members(t.globals, names)
	if err != nil {
		return nil, fmt.Errorf("Globals.Function: %w", err)
	}
	return merge(global, resolved), nil
}

// merge puts own over global, map by map, as SAM does.
func merge(global, own map[string]any) map[string]any {
	merged := maps.Clone(global)
	for name, value := range own {
		mine, ok := value.(map[string]any)
		theirs, both := merged[name].(map[string]any)
		if ok && both {
			value = merge(theirs, mine)
		}
		merged[name] = value
	}
	return merged
}

// Names lets a reference to any resource, or to its ARN, give the resource's logical
// id.
func (t *Template) Names() References {
	names := References{}
	for id := range t.resources {
		names[id], names[id+".Arn"], names[id+".QueueName"] = id, id, id
	}
	return names
}

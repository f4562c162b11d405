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

	"go.yaml.in/yaml/v3"
)

// References is what a reference to a resource gives: "DocumentQueue" for
// !Ref DocumentQueue, "DocumentQueue.Arn" for !GetAtt DocumentQueue.Arn,
// "AWS::Region" for a pseudo parameter.
type References map[string]string

// A Template is a parsed template.yaml.
type Template struct {
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
		Parameters map[string]struct {
			Type    string  `yaml:"Type"`
			Default *string `yaml:"Default"`
		} `yaml:"Parameters"`
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
	t := &Template{parameters: map[string]any{}, conditions: file.Conditions, globals: &file.Globals.Function, resources: file.Resources, outputs: file.Outputs}
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
		if p.Type == "Number" {
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
	r := resolver{t, references}
	if resource.Condition != "" {
		if holds, err := r.condition(resource.Condition); err != nil || !holds {
			return fmt.Errorf("the resource %s is missing: its condition %s does not hold", id, resource.Condition)
		}
	}
	resolved, err := r.members(&resource.Properties, names)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	if kind == functionType {
		global, err := r.members(t.globals, names)
		if err != nil {
			return fmt.Errorf("Globals.Function: %w", err)
		}
		resolved = merge(global, resolved)
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

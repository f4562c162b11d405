// Package template reads template.yaml, so that the doctor and the local stack compare
// with, and run, what is deployed.
//
// It resolves parameters, conditions, !Ref, !GetAtt, !Sub and !If. Only the settings that
// are asked for are looked at; among those a reference without a value, or a resource
// that is missing, is an error that names it.
package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
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
	file       file
	parameters map[string]any // the values
}

type file struct {
	Parameters map[string]Parameter `yaml:"Parameters"`
	Conditions map[string]yaml.Node `yaml:"Conditions"`
	Globals    struct {
		Function yaml.Node `yaml:"Function"`
	} `yaml:"Globals"`
	Resources map[string]resource `yaml:"Resources"`
	Outputs   map[string]struct {
		Value yaml.Node `yaml:"Value"`
	} `yaml:"Outputs"`
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
	for _, name := range slices.Sorted(maps.Keys(t.file.Parameters)) {
		p := t.file.Parameters[name]
		if value := fmt.Sprint(t.parameters[name]); !p.Takes(value) {
			return fmt.Errorf("the parameter %s does not take %q: it %s", name, value, cmp.Or(p.ConstraintDescription, "has other values"))
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
	t := &Template{parameters: map[string]any{}}
	if err := yaml.Unmarshal(text, &t.file); err != nil {
		return nil, err
	}
	for name, p := range t.file.Parameters {
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
		if _, ok := t.file.Parameters[name]; !ok {
			return nil, fmt.Errorf("there is no parameter %s", name)
		}
	}
	return t, nil
}

// decode resolves the properties of a resource that into, a pointer to a struct, has
// fields for, with all that is in them. Others are not looked at.
func (t *Template) decode(id, kind string, references References, into any) error {
	if t.file.Resources[id].Type != kind {
		return fmt.Errorf("there is no %s %s", kind, id)
	}
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeOf(into).Elem()) {
		names = append(names, field.Name)
	}
	resolved, err := t.resolved(id, references, names)
	if err != nil {
		return err
	}
	text, err := json.Marshal(resolved)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // 11.50 stays 11.50
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return nil
}

// Properties returns all properties of a resource as they are with the parameters'
// values: maps, slices, strings, numbers.
func (t *Template) Properties(id string, references References) (map[string]any, error) {
	return t.resolved(id, references, nil)
}

// resolved returns the properties that are named, or all. A function also has those of
// Globals.
func (t *Template) resolved(id string, references References, names []string) (map[string]any, error) {
	if !t.Has(id) {
		return nil, fmt.Errorf("the resource %s is missing, or its condition does not hold", id)
	}
	r := resolver{t, references}
	resource := t.file.Resources[id]
	resolved, err := r.members(&resource.Properties, names)
	if err == nil && resource.Type == functionType {
		var global map[string]any
		global, err = r.members(&t.file.Globals.Function, names)
		resolved = merge(global, resolved)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	return resolved, nil
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
	for id := range t.file.Resources {
		names[id], names[id+".Arn"], names[id+".QueueName"] = id, id, id
	}
	return names
}

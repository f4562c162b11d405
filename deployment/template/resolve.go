package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A resolver turns YAML into plain values: maps, slices, strings, numbers.
type resolver struct {
	template   *Template
	references References
}

// noValue is what !Ref AWS::NoValue gives: the property is not there.
type noValue struct{}

// members resolves the members of a mapping that are named, or all of them.
func (r resolver) members(node *yaml.Node, names []string) (map[string]any, error) {
	members := map[string]any{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i].Value
		if names != nil && !slices.Contains(names, name) {
			continue
		}
		value, err := r.value(node.Content[i+1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if value != (noValue{}) {
			members[name] = value
		}
	}
	return members, nil
}

func (r resolver) list(node *yaml.Node) ([]any, error) {
	values := []any{}
	for _, item := range node.Content {
		value, err := r.value(item)
		if err != nil {
			return nil, err
		}
		if value != (noValue{}) {
			values = append(values, value)
		}
	}
	return values, nil
}

func (r resolver) value(node *yaml.Node) (any, error) {
	switch {
	case node.Tag == "!Ref":
		return r.ref(node.Value)
	case node.Tag == "!GetAtt":
		return r.reference("!GetAtt", node.Value)
	case node.Tag == "!Sub":
		return r.sub(node)
	case node.Tag == "!Condition":
		return r.condition(node.Value)
	case node.Tag == "!If" && len(node.Content) == 3:
		holds, err := r.condition(node.Content[0].Value)
		if err != nil {
			return nil, err
		}
		if holds {
			return r.value(node.Content[1])
		}
		return r.value(node.Content[2])
	case node.Tag == "!Not" && len(node.Content) == 1:
		value, err := r.value(node.Content[0])
		return value == false, err
	case node.Tag == "!Equals" && len(node.Content) == 2:
		values, err := r.list(node)
		return len(values) == 2 && fmt.Sprint(values[0]) == fmt.Sprint(values[1]), err
	case strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!"):
		return nil, fmt.Errorf("%s is not supported like this (line %d)", node.Tag, node.Line)
	case node.Kind == yaml.MappingNode:
		return r.members(node, nil)
	case node.Kind == yaml.SequenceNode:
		return r.list(node)
	case node.Kind == yaml.AliasNode:
		return r.value(node.Alias)
	case node.Tag == "!!int", node.Tag == "!!float":
		return json.Number(node.Value), nil // 11.50 stays 11.50
	}
	var value any
	err := node.Decode(&value)
	return value, err
}

func (r resolver) ref(name string) (any, error) {
	if name == "AWS::NoValue" {
		return noValue{}, nil
	}
	if value, ok := r.template.parameters[name]; ok {
		return value, nil
	}
	return r.reference("!Ref", name)
}

func (r resolver) reference(function, name string) (any, error) {
	value, ok := r.references[name]
	if !ok {
		return nil, fmt.Errorf("there is no value for %s %s", function, name)
	}
	return value, nil
}

// condition evaluates a condition by its name.
func (r resolver) condition(name string) (bool, error) {
	node, ok := r.template.file.Conditions[name]
	if !ok {
		return false, fmt.Errorf("the condition %s is missing", name)
	}
	value, err := r.value(&node)
	return value == true, err
}

var placeholder = regexp.MustCompile(`\$\{(!?)([^}]*)\}`)

// sub replaces ${Name} and ${Name.Attribute}; ${!Name} is the text ${Name}. The text
// may have names of its own, in a mapping behind it.
func (r resolver) sub(node *yaml.Node) (any, error) {
	var own map[string]any
	if node.Kind == yaml.SequenceNode && len(node.Content) == 2 {
		var err error
		if own, err = r.members(node.Content[1], nil); err != nil {
			return nil, err
		}
		node = node.Content[0]
	}
	if node.Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("!Sub needs a text (line %d)", node.Line)
	}
	var failed []error
	text := placeholder.ReplaceAllStringFunc(node.Value, func(match string) string {
		groups := placeholder.FindStringSubmatch(match)
		if groups[1] == "!" {
			return "${" + groups[2] + "}"
		}
		if value, ok := own[groups[2]]; ok {
			return fmt.Sprint(value)
		}
		value, err := r.ref(groups[2])
		if err != nil {
			failed = append(failed, err)
		}
		return fmt.Sprint(value)
	})
	return text, errors.Join(failed...)
}

package table

import (
	"maps"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
)

var (
	// term is that an attribute is not there, or how a string compares with a value.
	term = regexp.MustCompile(`^(?:attribute_not_exists\((\w+)\)|(\w+) (=|<) (:\w+))$`)
	// assignment gives an attribute a value.
	assignment = regexp.MustCompile(`^(#?\w+) = (:\w+)$`)
)

// holds evaluates a condition: terms that are joined by AND. An item that is not there
// has no attributes.
func holds(condition *string, values, item Item) (bool, error) {
	if condition == nil {
		return true, nil
	}
	for text := range strings.SplitSeq(*condition, " AND ") {
		parts := term.FindStringSubmatch(text)
		if parts == nil {
			return false, unknown(text)
		}
		absent, name, operator, value := parts[1], parts[2], parts[3], Text(values, parts[4])
		ok := item[name] != nil
		switch operator {
		case "=":
			ok = ok && Text(item, name) == value
		case "<":
			ok = ok && Text(item, name) < value
		default:
			ok = item[absent] == nil
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

// update returns an item with the assignments of an update: SET, and nothing else.
func update(item Item, expression string, values Item, names map[string]string) (Item, error) {
	item = maps.Clone(item)
	assignments, isSet := strings.CutPrefix(expression, "SET ")
	for text := range strings.SplitSeq(assignments, ", ") {
		parts := assignment.FindStringSubmatch(text)
		if !isSet || parts == nil || values[parts[2]] == nil {
			return nil, unknown(expression)
		}
		item[fullName(parts[1], names)] = values[parts[2]]
	}
	return item, nil
}

func unknown(expression string) error {
	return &smithy.GenericAPIError{Code: "ValidationException", Message: "the stand-in does not know the expression " + expression}
}

// fullName returns the name that a placeholder stands for: "#status".
func fullName(name string, names map[string]string) string {
	if full, ok := names[name]; ok {
		return full
	}
	return name
}

// project returns the attributes of an item that a projection names.
func project(item Item, projection *string, names map[string]string) Item {
	if projection == nil || item == nil {
		return item
	}
	part := make(Item, len(item))
	for name := range strings.SplitSeq(*projection, ", ") {
		name = fullName(name, names)
		if value := item[name]; value != nil {
			part[name] = value
		}
	}
	return part
}

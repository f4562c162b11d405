package table

import (
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
)

// term is that an attribute is not there, or how a string compares with a value.
var term = regexp.MustCompile(`^(?:attribute_not_exists\((\w+)\)|(\w+) (=|<) (:\w+))$`)

// holds evaluates a condition: terms that are joined by AND. An item that is not there
// has no attributes.
func holds(condition *string, values, item Item) (bool, error) {
	if condition == nil {
		return true, nil
	}
	for text := range strings.SplitSeq(*condition, " AND ") {
		parts := term.FindStringSubmatch(text)
		if parts == nil {
			return false, &smithy.GenericAPIError{Code: "ValidationException", Message: "the stand-in does not know the expression " + text}
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

// project returns the attributes of an item that a projection names.
func project(item Item, projection *string, names map[string]string) Item {
	if projection == nil || item == nil {
		return item
	}
	part := make(Item, len(item))
	for name := range strings.SplitSeq(*projection, ", ") {
		if full, ok := names[name]; ok {
			name = full
		}
		if value := item[name]; value != nil {
			part[name] = value
		}
	}
	return part
}

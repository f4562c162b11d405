package document

import (
	"bytes"

	"veryfi-intake/shared/jsonscan"
)

// An Attribute is an attribute of a row that is lifted out of the document.
type Attribute struct {
	Name string
	// Value is the attribute's value in DynamoDB's JSON.
	Value []byte
	// Size is how much of DynamoDB's item limit Value takes, in bytes. It is never less
	// than what DynamoDB counts.
	Size int
}

// maxLifted is the most that a lifted value counts, in bytes. A longer one is left out,
// not cut: a part of an id is another id.
const maxLifted = 256

// How a lifted value begins in DynamoDB's JSON.
const (
	asText    = `{"S":`
	asNumber  = `{"N":`
	asBoolean = `{"BOOL":`
)

// A part is a member of one of the document's members.
type part int

// The parts that are read. In Veryfi's detailed answers, a scalar is the value of an
// object, {"value": …, "score": …}.
const (
	valuePart part = iota
	namePart
	externalIDPart
	partCount
)

// lifted are the attributes of a row that are lifted out of the document, and where they
// stand in it: in that part of a member, or, as its value, in the member itself. Of
// several lines for an attribute, the first with a value counts.
var lifted = [...]struct {
	attribute, kind, member string
	part                    part
}{
	{"external_id", asText, "external_id", valuePart},
	{"external_id", asText, "meta", externalIDPart}, // the one that Veryfi's API does not call deprecated
	{"document_type", asText, "document_type", valuePart},
	{"vendor", asText, "vendor", namePart},
	{"vendor", asText, "vendor", valuePart},
	{"date", asText, "date", valuePart},
	{"total", asNumber, "total", valuePart},
	{"currency_code", asText, "currency_code", valuePart},
	{"is_duplicate", asBoolean, "is_duplicate", valuePart},
}

// keep notes the JSON of what is read from a member of the document. A repeated key counts
// as JSON readers count it: the last one.
func (c *converter) keep(member, json []byte) {
	isObject := json[0] == '{'
	if isObject {
		json = c.parts[valuePart]
	}
	switch string(member) {
	case "id":
		c.id = json
	case "status":
		c.status = json
	}
	for i := range lifted {
		switch from := &lifted[i]; {
		case string(member) != from.member:
		case isObject:
			c.members[i] = c.parts[from.part]
		case from.part == valuePart:
			c.members[i] = json
		default:
			c.members[i] = nil
		}
	}
}

// keepPart notes the JSON of a part of the member that is being read.
func (c *converter) keepPart(name, json []byte) {
	switch string(name) {
	case "value":
		c.parts[valuePart] = json
	case "name":
		c.parts[namePart] = json
	case "external_id":
		c.parts[externalIDPart] = json
	}
}

// lift returns the attributes whose values are of their kind, and can be stored.
func (c *converter) lift() []Attribute {
	attributes := make([]Attribute, 0, len(lifted))
	w := converter{out: make([]byte, 0, 256)} // of most documents
	found := ""
	for i := range lifted {
		from, json := &lifted[i], c.members[i]
		if from.part != valuePart {
			json = plain(json)
		}
		if isEmpty := len(json) == 0 || string(json) == "null" || string(json) == `""`; isEmpty || found == from.attribute {
			continue
		}
		found = from.attribute
		if a, ok := w.attribute(from.attribute, from.kind, json); ok {
			attributes = append(attributes, a)
		}
	}
	return attributes
}

// attribute writes the value of an attribute of that kind. ok is false when it is of
// another kind, too long, or nothing that DynamoDB can hold.
func (c *converter) attribute(name, kind string, json []byte) (a Attribute, ok bool) {
	start := len(c.out)
	c.scan, c.json, c.size, c.native = jsonscan.New(json), json, 0, true
	if digits := integer(json); kind == asText && digits != nil {
		c.string(digits, true)
	} else {
		c.value(1)
	}
	written := c.out[start:len(c.out):len(c.out)] // no scalar that DynamoDB cannot hold
	if c.size > maxLifted || !bytes.HasPrefix(written, []byte(kind)) {
		c.out = c.out[:start]
		return Attribute{}, false
	}
	return Attribute{Name: name, Value: written, Size: c.size}, true
}

// plain returns the JSON of the value that stands for a scalar.
func plain(json []byte) (scalar []byte) {
	if len(json) == 0 || json[0] != '{' {
		return json
	}
	jsonscan.Each(json, func(name string, json []byte) {
		if name == "value" {
			scalar = json
		}
	})
	return scalar
}

// scalar returns the string or the integer that a JSON value is, and nothing for
// another value.
func scalar(value []byte) string {
	if text, ok := jsonscan.Text(value); ok {
		return string(text)
	}
	return string(integer(value))
}

// integer returns the digits of the integer that a JSON value is, nil for another value.
func integer(value []byte) []byte {
	scan := jsonscan.New(value)
	if digits, isInt, _ := scan.Number(); isInt {
		return digits
	}
	return nil
}

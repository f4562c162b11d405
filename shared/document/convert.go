package document

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"veryfi-intake/shared/jsonscan"
)

// What DynamoDB can hold natively (AWS, "Quotas in Amazon DynamoDB").
const (
	// maxDepth is how deep containers nest in an attribute. AWS says 32 levels and
	// counts the item as one (measured with DynamoDB Local).
	maxDepth = 31
	// maxNameLen is the length of a nested attribute's name, in bytes.
	maxNameLen = 65_535
	maxDigits  = 38
	// maxExponent bounds numbers to both sides. DynamoDB's own bounds, 1E-130 and
	// 9.9E+125, are a little wider.
	maxExponent = 125
)

// MaxItemSize is DynamoDB's limit for all attributes of an item, in bytes.
const MaxItemSize = 400 << 10

// maxJSONDepth bounds the recursion: documents nest ten deep at most.
const maxJSONDepth = 1000

// A converter walks over the JSON once and writes DynamoDB's form of it. Strings
// and the digits of numbers are copied as they stand: DynamoDB's JSON is JSON, and
// its numbers are decimal.
type converter struct {
	scan jsonscan.Scanner
	json []byte

	out  []byte
	size int // as DynamoDB counts it
	// native is true as long as DynamoDB can hold what was read. From then on, the rest
	// is only checked to be JSON.
	native bool

	keys [][]byte // of the objects that are being read, innermost last

	// JSON of the document's id and status, of what each line of lifted names, and of the
	// parts of the member that is being read.
	id, status []byte
	members    [len(lifted)][]byte
	parts      [partCount][]byte
}

// count counts n bytes of the item. It reports whether to write what they stand for.
func (c *converter) count(n int) bool {
	c.size += n
	if c.size > MaxItemSize {
		c.native = false
	}
	return c.native
}

// write writes text, a part of DynamoDB's form that counts n bytes.
func (c *converter) write(n int, text string) {
	if c.count(n) {
		c.out = append(c.out, text...)
	}
}

func (c *converter) value(depth int) bool {
	switch c.scan.Next() {
	case '{':
		return c.enter(depth) && c.object(depth+1)
	case '[':
		return c.enter(depth) && c.array(depth+1)
	case '"':
		token, plain, ok := c.scan.String()
		c.string(token, plain)
		return ok
	case 't':
		c.write(1, `{"BOOL":true}`)
		return c.scan.Literal("true")
	case 'f':
		c.write(1, `{"BOOL":false}`)
		return c.scan.Literal("false")
	case 'n':
		c.write(1, `{"NULL":true}`)
		return c.scan.Literal("null")
	}
	if token, _, ok := c.scan.Number(); ok {
		c.number(token)
		return true
	}
	// Python writes these for floats that JSON does not have.
	c.native = false
	return c.scan.Literal("NaN") || c.scan.Literal("Infinity") || c.scan.Literal("-Infinity")
}

// enter reports whether another container may stand at this depth.
func (c *converter) enter(depth int) bool {
	c.native = c.native && depth < maxDepth
	return depth < maxJSONDepth
}

// Containers count 3 bytes, and 1 for each element.

func (c *converter) array(depth int) (ok bool) {
	c.write(3, `{"L":[`)
	for more := c.scan.Open(']'); more; {
		if !c.value(depth) {
			return false
		}
		if more, ok = c.scan.More(']'); !ok {
			return false
		}
		if more {
			c.write(1, ",")
		}
	}
	c.write(1, "]}")
	return true
}

func (c *converter) object(depth int) (ok bool) {
	c.write(3, `{"M":{`)
	if depth == 2 {
		clear(c.parts[:])
	}
	first := len(c.keys)
	ascending := true
	for more := c.scan.Open('}'); more; {
		name, value, ok := c.member(depth)
		if !ok {
			return false
		}
		if n := len(c.keys); n > first && bytes.Compare(c.keys[n-1], name) >= 0 {
			ascending = false
		}
		c.keys = append(c.keys, name)
		switch depth {
		case 1:
			c.keep(name, value)
		case 2:
			c.keepPart(name, value)
		}
		if more, ok = c.scan.More('}'); !ok {
			return false
		}
		if more {
			c.write(1, ",")
		}
	}
	// A map holds a key once. Keys in ascending order, as Veryfi sends most of them, are
	// all different.
	if !ascending && hasRepeated(c.keys[first:]) {
		c.native = false
	}
	c.keys = c.keys[:first]
	c.write(1, "}}")
	return true
}

// member writes a member of an object. It returns the name, decoded, and the JSON of the
// value.
func (c *converter) member(depth int) (name, value []byte, ok bool) {
	token, plain, ok := c.scan.Name()
	if !ok {
		return nil, nil, false
	}
	name = c.name(token, plain)
	c.scan.Next()
	start := c.scan.Pos()
	ok = c.value(depth)
	return name, c.json[start:c.scan.Pos()], ok
}

// name writes the name of an attribute and returns it decoded.
func (c *converter) name(token []byte, plain bool) []byte {
	name := token
	if !plain {
		c.checkUnicode(token)
		name = jsonscan.Bytes(token)
	}
	if len(name) == 0 || len(name) > maxNameLen {
		c.native = false
	}
	if c.count(len(name)) {
		c.out = append(append(append(c.out, '"'), token...), `":`...)
	}
	return name
}

// hasRepeated reports whether a key stands twice among keys, which it sorts.
func hasRepeated(keys [][]byte) bool {
	slices.SortFunc(keys, bytes.Compare)
	for i := 1; i < len(keys); i++ {
		if bytes.Equal(keys[i-1], keys[i]) {
			return true
		}
	}
	return false
}

func (c *converter) string(token []byte, plain bool) {
	size := len(token)
	if !plain {
		size = c.checkUnicode(token)
	}
	if c.count(size) {
		c.out = append(append(append(c.out, `{"S":"`...), token...), `"}`...)
	}
}

// checkUnicode returns the length of a string in UTF-8. DynamoDB takes no string with
// surrogates or bytes that are not UTF-8.
func (c *converter) checkUnicode(token []byte) (size int) {
	for len(token) > 0 {
		if c := token[0]; c < utf8.RuneSelf && c != '\\' {
			size++
			token = token[1:]
			continue
		}
		r, n := jsonscan.Rune(token)
		if r == jsonscan.Invalid || utf16.IsSurrogate(r) {
			c.native = false
		} else {
			size += utf8.RuneLen(r)
		}
		token = token[n:]
	}
	return size
}

func (c *converter) number(token []byte) {
	mantissa, power := token, []byte(nil)
	if i := bytes.IndexAny(token, "eE"); i >= 0 {
		mantissa, power = token[:i], token[i:]
	}
	if bytes.IndexByte(mantissa, '.') >= 0 {
		// DynamoDB does not keep these zeros (DynamoDB Local does, inside maps).
		mantissa = bytes.TrimSuffix(bytes.TrimRight(mantissa, "0"), []byte("."))
	}
	digits, exponent := magnitude(mantissa)
	if digits == 0 {
		c.write(1, `{"N":"0"}`)
		return
	}
	if len(power) > 0 {
		// For what does not fit into 32 bits, this is the nearest that does: beyond all
		// limits, too.
		n, _ := strconv.ParseInt(string(power[1:]), 10, 32)
		exponent += int(n)
	}
	if digits > maxDigits || exponent > maxExponent || exponent < -maxExponent {
		c.native = false
	}
	if c.count(digits/2 + 3) {
		c.out = append(append(append(append(c.out, `{"N":"`...), mantissa...), power...), `"}`...)
	}
}

// magnitude counts the significant digits of a decimal, none for zero, and returns the
// power of ten of the first of them. A fraction must not end in zeros.
func magnitude(mantissa []byte) (digits, exponent int) {
	whole, fraction, _ := bytes.Cut(bytes.TrimPrefix(mantissa, []byte("-")), []byte("."))
	switch {
	case whole[0] == '0':
		rest := bytes.TrimLeft(fraction, "0")
		return len(rest), len(rest) - len(fraction) - 1
	case len(fraction) == 0:
		return len(bytes.TrimRight(whole, "0")), len(whole) - 1
	default:
		return len(whole) + len(fraction), len(whole) - 1
	}
}

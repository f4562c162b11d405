package signature

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"veryfi-intake/shared/jsonscan"
)

const (
	// maxDepth is how many containers CPython nests at its default recursion
	// limit of 1,000 (measured: 994 with CPython 3.11, called from a script).
	maxDepth = 994
	// maxDigits is CPython's default sys.get_int_max_str_digits().
	maxDigits = 4300
)

// A span is a part of a text, from start to before end.
type span struct{ start, end int }

func (s span) of(text []byte) []byte { return text[s.start:s.end] }

// A member is one key of an object with its value.
type member struct {
	key, value span // in the printed text
	raw        span // the value in the JSON text
}

// A printer walks over a JSON text once and prints what Python would print of
// the decoded value.
type printer struct {
	json    []byte
	scan    jsonscan.Scanner
	version python

	text    []byte
	members []member // of the objects that are being printed, innermost last
	scratch []byte

	// versionMatters is set when another version of Python prints a character
	// of the text in another way.
	versionMatters bool
	// unsignable is set when the text is JSON that CPython refuses to decode or
	// to encode, so that Veryfi cannot have signed it.
	unsignable bool
}

// kind says what a JSON value is, as far as callers care.
type kind uint8

const (
	invalid kind = iota
	object
	text
	other
)

// value prints repr() of the next value and returns its kind and where it
// stands in the JSON text. keepMembers leaves the members of an object on
// p.members.
func (p *printer) value(depth int, keepMembers bool) (k kind, raw span) {
	first := p.scan.Next()
	raw.start = p.scan.Pos()
	var ok bool
	k = other
	switch first {
	case '{':
		k, ok = object, p.object(depth+1, keepMembers)
	case '[':
		ok = p.array(depth + 1)
	case '"':
		k, ok = text, p.string()
	case 't':
		ok = p.literal("true", "True")
	case 'f':
		ok = p.literal("false", "False")
	case 'n':
		ok = p.literal("null", "None")
	case 'N':
		ok = p.literal("NaN", "nan")
	case 'I':
		ok = p.literal("Infinity", "inf")
	default:
		ok = p.literal("-Infinity", "-inf") || p.number()
	}
	if !ok {
		return invalid, span{}
	}
	raw.end = p.scan.Pos()
	return k, raw
}

func (p *printer) literal(json, python string) bool {
	if !p.scan.Literal(json) {
		return false
	}
	p.text = append(p.text, python...)
	return true
}

func (p *printer) enter(depth int) bool {
	if depth > maxDepth {
		p.unsignable = true
		return false
	}
	return true
}

func (p *printer) array(depth int) bool {
	if !p.enter(depth) {
		return false
	}
	p.scan.Take('[')
	p.text = append(p.text, '[')
	if !p.scan.Take(']') {
		for {
			if k, _ := p.value(depth, false); k == invalid {
				return false
			}
			if !p.scan.Take(',') {
				break
			}
			p.text = append(p.text, ", "...)
		}
		if !p.scan.Take(']') {
			return false
		}
	}
	p.text = append(p.text, ']')
	return true
}

func (p *printer) object(depth int, keepMembers bool) bool {
	if !p.enter(depth) {
		return false
	}
	p.scan.Take('{')
	start, outer := len(p.text), len(p.members)
	keys := keySet{first: outer}
	repeated := false
	p.text = append(p.text, '{')
	if !p.scan.Take('}') {
		for {
			var m member
			p.scan.Next()
			m.key.start = len(p.text)
			if !p.string() {
				return false
			}
			m.key.end = len(p.text)
			if !p.scan.Take(':') {
				return false
			}
			p.text = append(p.text, ": "...)
			m.value.start = len(p.text)
			var k kind
			if k, m.raw = p.value(depth, false); k == invalid {
				return false
			}
			m.value.end = len(p.text)
			if earlier, ok := keys.add(p, m); ok {
				p.members[earlier].value, p.members[earlier].raw = m.value, m.raw
				repeated = true
			} else {
				p.members = append(p.members, m)
			}
			if !p.scan.Take(',') {
				break
			}
			p.text = append(p.text, ", "...)
		}
		if !p.scan.Take('}') {
			return false
		}
	}
	p.text = append(p.text, '}')
	if repeated {
		p.layOut(start, p.members[outer:])
	}
	if !keepMembers {
		p.members = p.members[:outer]
	}
	return true
}

// layOut prints an object again from its members: in a Python dict a repeated
// key keeps its first place and has its last value.
func (p *printer) layOut(start int, members []member) {
	move := func(s span) span {
		at := start + len(p.scratch)
		p.scratch = append(p.scratch, s.of(p.text)...)
		return span{at, at + s.end - s.start}
	}
	p.scratch = append(p.scratch[:0], '{')
	for i, m := range members {
		if i > 0 {
			p.scratch = append(p.scratch, ", "...)
		}
		members[i].key = move(m.key)
		p.scratch = append(p.scratch, ": "...)
		members[i].value = move(m.value)
	}
	p.scratch = append(p.scratch, '}')
	p.text = append(p.text[:start], p.scratch...)
}

// A keySet finds repeated keys among the members from index first on. Printed
// keys are compared: repr gives different strings different texts.
type keySet struct {
	first int
	index map[string]int
}

// manyKeys is from where on a map beats looking at each key.
const manyKeys = 16

// add returns the index of an earlier member with the key of m, if there is one.
func (s *keySet) add(p *printer, m member) (earlier int, ok bool) {
	if len(p.members)-s.first < manyKeys {
		earlier = slices.IndexFunc(p.members[s.first:], func(e member) bool {
			return string(e.key.of(p.text)) == string(m.key.of(p.text))
		})
		return s.first + earlier, earlier >= 0
	}
	if s.index == nil {
		s.index = make(map[string]int, 4*manyKeys)
		for i, e := range p.members[s.first:] {
			s.index[string(e.key.of(p.text))] = s.first + i
		}
	}
	if earlier, ok = s.index[string(m.key.of(p.text))]; !ok {
		s.index[string(m.key.of(p.text))] = len(p.members)
	}
	return earlier, ok
}

// string prints repr() of a string.
func (p *printer) string() bool {
	token, plain, ok := p.scan.String()
	if !ok {
		return false
	}
	if plain {
		q := quoteFor(bytes.IndexByte(token, '\'') >= 0, false)
		p.text = append(append(append(p.text, q), token...), q)
		return true
	}
	var apostrophe, quote bool
	for rest := token; len(rest) > 0; {
		r, size := jsonscan.Rune(rest)
		if r == jsonscan.Invalid {
			return false
		}
		apostrophe = apostrophe || r == '\''
		quote = quote || r == '"'
		rest = rest[size:]
	}
	q := quoteFor(apostrophe, quote)
	p.text = append(p.text, q)
	for rest := token; len(rest) > 0; {
		r, size := jsonscan.Rune(rest)
		p.rune(r, q)
		rest = rest[size:]
	}
	p.text = append(p.text, q)
	return true
}

// quoteFor returns the quote that repr chooses for a string that has
// apostrophes, double quotes, or both.
func quoteFor(apostrophe, quote bool) byte {
	if apostrophe && !quote {
		return '"'
	}
	return '\''
}

// rune prints one character of a string within quotes q.
func (p *printer) rune(r rune, q byte) {
	switch {
	case r == rune(q) || r == '\\':
		p.text = append(p.text, '\\', byte(r)) //nolint:gosec // one of three ASCII characters
	case r == '\n':
		p.text = append(p.text, `\n`...)
	case r == '\r':
		p.text = append(p.text, `\r`...)
	case r == '\t':
		p.text = append(p.text, `\t`...)
	case r < 0x20 || r == 0x7f:
		p.hex('x', r, 2)
	case r < 0x7f:
		p.text = append(p.text, byte(r))
	case p.isPrintable(r):
		p.text = utf8.AppendRune(p.text, r)
	case r <= 0xff:
		p.hex('x', r, 2)
	case r <= 0xffff:
		p.hex('u', r, 4)
	default:
		p.hex('U', r, 8)
	}
}

func (p *printer) isPrintable(r rune) bool {
	if _, differs := printableSince(r); differs {
		p.versionMatters = true
	}
	return isPrintable(r, p.version)
}

func (p *printer) hex(letter byte, r rune, digits int) {
	p.text = append(p.text, '\\', letter)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		p.text = append(p.text, "0123456789abcdef"[r>>shift&0xf])
	}
}

var minus = []byte{'-'}

func (p *printer) number() bool {
	token, isInt, ok := p.scan.Number()
	switch {
	case !ok:
		return false
	case !isInt:
		p.text = appendFloat(p.text, token)
	case string(token) == "-0":
		p.text = append(p.text, '0')
	case len(bytes.TrimPrefix(token, minus)) > maxDigits:
		p.unsignable = true
		return false
	default:
		p.text = append(p.text, token...)
	}
	return true
}

// appendFloat prints repr(float(token)): the shortest digits that read back as
// the same number, with an exponent below 1e-4 and from 1e16 on.
func appendFloat(dst, token []byte) []byte {
	// The error says "out of range", with f already the infinity that Python
	// returns.
	f, _ := strconv.ParseFloat(string(token), 64)
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if !slices.Contains(dst[start:], '.') {
		dst = append(dst, ".0"...)
	}
	return dst
}

// bare prints str() of a string token with its quotes: the string itself. It
// reports false when that has a lone surrogate, which Python cannot encode.
func (p *printer) bare(quoted []byte) bool {
	for rest := quoted[1 : len(quoted)-1]; len(rest) > 0; {
		r, size := jsonscan.Rune(rest)
		if jsonscan.IsSurrogate(r) {
			return false
		}
		p.text = utf8.AppendRune(p.text, r)
		rest = rest[size:]
	}
	return true
}

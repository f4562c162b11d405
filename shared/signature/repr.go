package signature

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"veryfi-intake/shared/jsonscan"
)

const (
	// maxDepth is how many containers CPython nests at its default recursion
	// limit of 1,000 (measured: 994 with CPython 3.11, called from a script).
	maxDepth = 994
	// maxDigits is CPython's default sys.get_int_max_str_digits().
	maxDigits = 4300
	// dataDepth is the depth of data's own members: the body is the first container.
	dataDepth = 2
)

// A span is a part of a text, from start to before end.
type span struct{ start, end int }

func (s span) of(text []byte) []byte { return text[s.start:s.end] }

// A member is one key of an object with its value.
type member struct {
	key, value span // in the printed text
	dicts      int  // the number of dicts after the value
	raw        span // the value in the JSON text
}

// A dict is an object with a repeated key: in a Python dict that keeps its first
// place and has its last value.
type dict struct {
	span         // in the printed text
	outside int  // the number of dicts before it
	members span // in printer.dictMembers
}

// A printer reads a JSON text once and prints the decoded value as CPython 3.15 does,
// which knows the most characters. It first prints all members of an object with a
// repeated key; at the end layOut keeps those that count. So no text moves once for each
// level of nesting.
type printer struct {
	json        []byte
	scan        jsonscan.Scanner
	text        []byte
	members     []member // of the objects that are being printed, innermost last
	dicts       []dict   // inner ones before outer ones
	dictMembers []member
	laidOut     []byte // layOut fills it from its end
	floats      floatReader
	newer       int // the number of characters that some Python prints as escapes
	// unsignable is set when the text is JSON that CPython refuses to decode: Veryfi
	// cannot have signed it.
	unsignable bool
	// work counts the bytes that were printed, compared and moved.
	work int
}

// clear forgets what was printed.
func (p *printer) clear() {
	p.text, p.members, p.dicts, p.dictMembers, p.newer = p.text[:0], p.members[:0], p.dicts[:0], p.dictMembers[:0], 0
}

// value prints repr() of the next value and returns where it stands in the JSON text.
// depth is how many containers it is in.
func (p *printer) value(depth int) (raw span, ok bool) {
	first := p.scan.Next()
	raw.start = p.scan.Pos()
	switch first {
	case '{':
		ok = p.enter(depth) && p.object(depth+1)
	case '[':
		ok = p.enter(depth) && p.array(depth+1)
	case '"':
		ok = p.string()
	default:
		ok = p.number() || p.word()
	}
	raw.end = p.scan.Pos()
	return raw, ok
}

// words are those of JSON and of json.loads, and what repr prints for them.
var words = [...][2]string{
	{"null", "None"}, {"true", "True"}, {"false", "False"}, {"NaN", "nan"}, {"Infinity", "inf"}, {"-Infinity", "-inf"},
}

func (p *printer) word() bool {
	for _, word := range words {
		if p.scan.Literal(word[0]) {
			p.text = append(p.text, word[1]...)
			return true
		}
	}
	return false
}

// enter reports whether CPython decodes another container at this depth.
func (p *printer) enter(depth int) bool {
	p.unsignable = p.unsignable || depth == maxDepth
	return depth < maxDepth
}

func (p *printer) array(depth int) (ok bool) {
	p.text = append(p.text, '[')
	for more := p.scan.Open(']'); more; {
		if _, ok = p.value(depth); !ok {
			return false
		}
		if more, ok = p.scan.More(']'); !ok {
			return false
		}
		if more {
			p.text = append(p.text, ", "...)
		}
	}
	p.text = append(p.text, ']')
	return true
}

// object prints an object. It leaves the members of data on p.members.
func (p *printer) object(depth int) bool {
	start, outer, outside := len(p.text), len(p.members), len(p.dicts)
	keys := keySet{first: outer}
	repeated := false
	p.text = append(p.text, '{')
	for more := p.scan.Open('}'); more; {
		m, ok := p.member(depth)
		if !ok {
			return false
		}
		if earlier, ok := keys.add(p, m); ok {
			m.key = p.members[earlier].key
			p.members[earlier] = m
			repeated = true
		} else {
			p.members = append(p.members, m)
		}
		if more, ok = p.scan.More('}'); !ok {
			return false
		}
		if more {
			p.text = append(p.text, ", "...)
		}
	}
	p.text = append(p.text, '}')
	if repeated {
		first := len(p.dictMembers)
		p.dictMembers = append(p.dictMembers, p.members[outer:]...)
		p.dicts = append(p.dicts, dict{span{start, len(p.text)}, outside, span{first, len(p.dictMembers)}})
	}
	if depth > dataDepth {
		p.members = p.members[:outer]
	}
	return true
}

func (p *printer) member(depth int) (m member, ok bool) {
	p.scan.Next()
	m.key.start = len(p.text)
	if !p.string() || !p.scan.Take(':') {
		return m, false
	}
	m.key.end = len(p.text)
	p.text = append(p.text, ": "...)
	m.value.start = len(p.text)
	m.raw, ok = p.value(depth)
	m.value.end, m.dicts = len(p.text), len(p.dicts)
	return m, ok
}

// result returns the text of the printed value, each dict with the members that count.
func (p *printer) result() []byte {
	if len(p.dicts) == 0 {
		return p.text
	}
	p.laidOut = slices.Grow(p.laidOut[:0], len(p.text))[:len(p.text)]
	return p.laidOut[p.layOut(span{0, len(p.text)}, len(p.dicts), len(p.text)):]
}

// layOut copies a part of the text to the place that ends at end in p.laidOut, and returns
// where the copy begins. Of the first so many dicts, the last ones are those in the part.
func (p *printer) layOut(s span, dicts, end int) int {
	put := func(b []byte) {
		end -= len(b)
		copy(p.laidOut[end:], b)
		p.work += len(b)
	}
	for dicts > 0 && p.dicts[dicts-1].start >= s.start {
		d := p.dicts[dicts-1]
		put(p.text[d.end:s.end])
		put([]byte("}"))
		for i, m := range slices.Backward(p.dictMembers[d.members.start:d.members.end]) {
			end = p.layOut(m.value, m.dicts, end)
			put([]byte(": "))
			put(m.key.of(p.text))
			if i > 0 {
				put([]byte(", "))
			}
		}
		put([]byte("{"))
		s.end, dicts = d.start, d.outside
	}
	put(s.of(p.text))
	return end
}

// A keySet finds repeated keys among the members from index first on. It compares the
// printed keys: repr prints different strings differently.
type keySet struct {
	first int
	index map[uint64]int // by hash, or the next free number after it; nil for few keys
}

// manyKeys is the number of keys from which on a map is faster than looking at each.
const manyKeys = 16

// seed is secret, so that nobody can send keys with the same hash.
var seed = maphash.MakeSeed()

// add returns the index of an earlier member with the key of m, if there is one.
func (s *keySet) add(p *printer, m member) (earlier int, ok bool) {
	if len(p.members)-s.first < manyKeys {
		for i, e := range p.members[s.first:] {
			if p.equal(e.key, m.key) {
				return s.first + i, true
			}
		}
		return 0, false
	}
	if s.index == nil {
		s.index = make(map[uint64]int, 4*manyKeys)
		for i, e := range p.members[s.first:] {
			s.find(p, e.key, s.first+i)
		}
	}
	return s.find(p, m.key, len(p.members))
}

// find looks a key up in the index. It adds a new one, as that of member next.
func (s *keySet) find(p *printer, key span, next int) (earlier int, ok bool) {
	for hash := maphash.Bytes(seed, key.of(p.text)); ; hash++ {
		earlier, ok = s.index[hash]
		if !ok {
			s.index[hash] = next
			return 0, false
		}
		if p.equal(p.members[earlier].key, key) {
			return earlier, true
		}
	}
}

// equal reports whether two parts of the text are the same.
func (p *printer) equal(a, b span) bool {
	p.work += min(a.end-a.start, b.end-b.start)
	return bytes.Equal(a.of(p.text), b.of(p.text))
}

// string prints repr() of a string.
func (p *printer) string() bool {
	start := len(p.text)
	token, plain, ok := p.scan.String()
	if !ok {
		return false
	}
	if plain {
		q := quoteFor(bytes.IndexByte(token, '\'') >= 0, false)
		p.text = append(append(append(p.text, q), token...), q)
		p.work += len(p.text) - start
		return true
	}
	var apostrophe, quote bool
	for i := 0; i < len(token); {
		r, size := runeAt(token, i)
		if r == jsonscan.Invalid {
			return false
		}
		apostrophe = apostrophe || r == '\''
		quote = quote || r == '"'
		i += size
	}
	q := quoteFor(apostrophe, quote)
	p.text = append(slices.Grow(p.text, 4*len(token)+2), q) // each byte becomes four at most
	for i := 0; i < len(token); {
		r, size := runeAt(token, i)
		p.rune(r, q)
		i += size
	}
	p.text = append(p.text, q)
	p.work += len(p.text) - start
	return true
}

// runeAt is [jsonscan.Rune] from offset i on, faster for ASCII.
func runeAt(token []byte, i int) (r rune, size int) {
	if c := token[i]; c < utf8.RuneSelf && c != '\\' {
		return rune(c), 1
	}
	return jsonscan.Rune(token[i:])
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
	case 0x20 <= r && r < 0x7f:
		p.text = append(p.text, byte(r))
	case r > 0x7f && p.isPrintable(r):
		p.text = utf8.AppendRune(p.text, r)
	default:
		p.text = appendEscape(p.text, r)
	}
}

// isPrintable reports whether the newest Python prints r as it is.
func (p *printer) isPrintable(r rune) bool {
	if _, newer := printableSince(r); newer {
		p.newer++
		return true
	}
	return strconv.IsPrint(r)
}

// appendEscape prints a character that is not printable.
func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r <= 0xff:
		return append(dst, '\\', 'x', hex[r>>4], hex[r&0xf])
	case r <= 0xffff:
		return append(dst, '\\', 'u', hex[r>>12], hex[r>>8&0xf], hex[r>>4&0xf], hex[r&0xf])
	default:
		return append(dst, '\\', 'U', '0', '0', hex[r>>20], hex[r>>16&0xf], hex[r>>12&0xf], hex[r>>8&0xf], hex[r>>4&0xf], hex[r&0xf])
	}
}

func (p *printer) number() bool {
	token, isInt, ok := p.scan.Number()
	switch {
	case !ok:
		return false
	case !isInt:
		p.text = p.floats.appendRepr(p.text, token)
	case string(token) == "-0":
		p.text = append(p.text, '0')
	case len(bytes.TrimPrefix(token, []byte("-"))) > maxDigits:
		p.unsignable = true
		return false
	default:
		p.text = append(p.text, token...)
	}
	return true
}

// bare prints str() of a quoted string: the string itself. It returns false for a lone
// surrogate, which Python cannot encode.
func (p *printer) bare(quoted []byte) bool {
	for rest := quoted[1 : len(quoted)-1]; len(rest) > 0; {
		r, size := jsonscan.Rune(rest)
		if utf16.IsSurrogate(r) {
			return false
		}
		p.text = utf8.AppendRune(p.text, r)
		rest = rest[size:]
	}
	return true
}

// Package jsonscan reads the tokens of a JSON text where they stand, without
// copying them. Its callers each walk the text once and build what they need
// from the tokens; there is no tree in between.
//
// It accepts what CPython's json.loads accepts: RFC 8259 and the three names
// NaN, Infinity and -Infinity. What a string holds is checked for form only
// (no raw control characters, well-formed escapes). [Rune] shows whether it is
// valid Unicode.
package jsonscan

import (
	"encoding/hex"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// A Scanner stands at a place in a JSON text.
type Scanner struct {
	text []byte
	pos  int
}

// New returns a scanner at the beginning of text, which it does not change.
func New(text []byte) Scanner { return Scanner{text: text} }

// Pos returns the offset of the next unread byte.
func (s *Scanner) Pos() int { return s.pos }

// Next skips white space and returns the first byte of the next token without
// consuming it, or 0 at the end of the text.
func (s *Scanner) Next() byte {
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if c > ' ' || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
		s.pos++
	}
	return 0
}

// AtEnd skips white space and reports whether nothing follows it.
func (s *Scanner) AtEnd() bool {
	s.Next()
	return s.pos == len(s.text)
}

// Take skips white space, consumes the byte c if it is next, and reports
// whether it was.
func (s *Scanner) Take(c byte) bool {
	if s.Next() != c {
		return false
	}
	s.pos++
	return true
}

// Open consumes the opening bracket, which must be next, and reports whether the array or
// object has values. Of an empty one, it consumes the closing bracket too.
func (s *Scanner) Open(closing byte) bool {
	s.Next()
	s.pos++
	return !s.Take(closing)
}

// Name consumes the name of an object's member and the colon after it. Its results are
// those of [Scanner.String].
func (s *Scanner) Name() (token []byte, isPlain, ok bool) {
	s.Next()
	token, isPlain, ok = s.String()
	return token, isPlain, ok && s.Take(':')
}

// More consumes what follows a value in an array or object: a comma, so that there are
// more, or the closing bracket. ok is false when neither is next.
func (s *Scanner) More(closing byte) (more, ok bool) {
	if s.Take(',') {
		return true, true
	}
	return false, s.Take(closing)
}

// Literal consumes the word if it is next and reports whether it was. White
// space before it must have been skipped.
func (s *Scanner) Literal(word string) bool {
	end := s.pos + len(word)
	if end > len(s.text) || string(s.text[s.pos:end]) != word {
		return false
	}
	s.pos = end
	return true
}

// plain has the bytes that stand for themselves in a string: printable ASCII but for the
// quote and the backslash.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// escapes are the characters that stand after a backslash, and what they mean.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// String consumes a string and returns what stands between its quotes, as it
// stands there. isPlain is true when that is printable ASCII with no escape,
// and so is the string itself. ok is false when there is no well-formed string.
// White space before it must have been skipped.
func (s *Scanner) String() (token []byte, isPlain, ok bool) {
	if s.pos == len(s.text) || s.text[s.pos] != '"' {
		return nil, false, false
	}
	isPlain = true
	text, start := s.text, s.pos+1
	for i := start; i < len(text); i++ {
		c := text[i]
		if plain[c] {
			continue
		}
		switch {
		case c == '"':
			s.pos = i + 1
			return text[start:i], isPlain, true
		case c == '\\':
			size := escapeSize(text[i:])
			if size == 0 {
				return nil, false, false
			}
			i += size - 1
		case c < ' ': // a control character
			return nil, false, false
		}
		isPlain = false
	}
	return nil, false, false
}

// escapeSize returns how many bytes the escape has that text begins with, 0 if it is none.
func escapeSize(text []byte) int {
	switch {
	case len(text) < 2:
		return 0
	case escapes[text[1]] != 0:
		return 2
	}
	if _, ok := hex4(text[2:]); text[1] != 'u' || !ok {
		return 0
	}
	return 6
}

// Number consumes a number and returns its text. isInt is true when it has
// neither a fraction nor an exponent. ok is false when there is no number.
// White space before it must have been skipped.
func (s *Scanner) Number() (token []byte, isInt, ok bool) {
	i := s.pos
	if i < len(s.text) && s.text[i] == '-' {
		i++
	}
	switch d := s.digits(i); {
	case d == 0:
		return nil, false, false
	case s.text[i] == '0':
		i++ // a leading zero stands alone
	default:
		i += d
	}
	isInt = true
	if i < len(s.text) && s.text[i] == '.' {
		if d := s.digits(i + 1); d > 0 {
			i += 1 + d
			isInt = false
		}
	}
	if i < len(s.text) && (s.text[i] == 'e' || s.text[i] == 'E') {
		e := i + 1
		if e < len(s.text) && (s.text[e] == '+' || s.text[e] == '-') {
			e++
		}
		if d := s.digits(e); d > 0 {
			i = e + d
			isInt = false
		}
	}
	token = s.text[s.pos:i]
	s.pos = i
	return token, isInt, true
}

// digits counts the decimal digits from offset i on.
func (s *Scanner) digits(i int) (n int) {
	for i+n < len(s.text) && '0' <= s.text[i+n] && s.text[i+n] <= '9' {
		n++
	}
	return n
}

// Invalid is what [Rune] returns for bytes that are not UTF-8.
const Invalid rune = -1

// Rune returns the first rune of a string token, its escapes resolved, and how
// many bytes of the token it takes. Two escapes that form a surrogate pair are
// one rune. A surrogate that stands alone is returned as it is, be it an escape
// or (as Python's "surrogatepass" reads it) three bytes. Bytes that are not
// UTF-8 are [Invalid], one at a time. The token must not be empty.
func Rune(token []byte) (r rune, size int) {
	switch c := token[0]; {
	case c == '\\':
		return escaped(token)
	case c < utf8.RuneSelf:
		return rune(c), 1
	}
	r, size = utf8.DecodeRune(token)
	if r != utf8.RuneError || size > 1 {
		return r, size
	}
	// UTF-8 proper has no surrogates: ED A0..BF xx.
	if len(token) >= 3 && token[0] == 0xed && 0xa0 <= token[1] && token[1] <= 0xbf && 0x80 <= token[2] && token[2] <= 0xbf {
		return 0xd000 | rune(token[1]&0x3f)<<6 | rune(token[2]&0x3f), 3
	}
	return Invalid, 1
}

func escaped(token []byte) (r rune, size int) {
	if c := token[1]; c != 'u' {
		return rune(escapes[c]), 2
	}
	r, _ = hex4(token[2:])
	if utf16.IsSurrogate(r) && len(token) >= 12 && token[6] == '\\' && token[7] == 'u' {
		low, _ := hex4(token[8:])
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return r, 6
}

func hex4(b []byte) (r rune, ok bool) {
	var unit [2]byte
	if len(b) < 4 {
		return 0, false
	}
	_, err := hex.Decode(unit[:], b[:4])
	return rune(unit[0])<<8 | rune(unit[1]), err == nil
}

// Bytes returns the string that a token stands for, as UTF-8. Each lone surrogate and
// each byte that is not UTF-8 becomes U+FFFD. It is the token itself where that has no
// escapes and is ASCII.
func Bytes(token []byte) []byte {
	if !slices.ContainsFunc(token, func(c byte) bool { return c == '\\' || c >= utf8.RuneSelf }) {
		return token
	}
	text := make([]byte, 0, len(token))
	for len(token) > 0 {
		r, size := Rune(token)
		text = utf8.AppendRune(text, r) // writes U+FFFD for what is no rune
		token = token[size:]
	}
	return text
}

// Text returns the string that a JSON value is, as [Bytes] does. ok is false for any other
// value, and for none.
func Text(value []byte) (text []byte, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return nil, false
	}
	return Bytes(value[1 : len(value)-1]), true
}

// maxValueDepth bounds the recursion of [Scanner.Value]; CPython refuses a little less.
const maxValueDepth = 1000

// Value consumes a value of any kind and returns its text. ok is false when it is not JSON,
// or nests more than a thousand deep.
func (s *Scanner) Value() (text []byte, ok bool) {
	s.Next()
	start := s.pos
	ok = s.skip(0)
	return s.text[start:s.pos], ok
}

func (s *Scanner) skip(depth int) bool {
	switch first := s.Next(); {
	case depth > maxValueDepth:
		return false
	case first == '{' || first == '[':
		return s.container(func([]byte) bool { return s.skip(depth + 1) })
	case first == '"':
		_, _, ok := s.String()
		return ok
	}
	if _, _, ok := s.Number(); ok {
		return true
	}
	return slices.ContainsFunc([]string{"true", "false", "null", "NaN", "Infinity", "-Infinity"}, s.Literal)
}

// container consumes an array or an object. For each value in it, value is called with
// the member's name as it stands between its quotes, nil in an array; it must consume the
// value.
func (s *Scanner) container(value func(name []byte) bool) (ok bool) {
	first := s.Next()
	if first != '{' && first != '[' {
		return false
	}
	closing := first + 2 // in ASCII
	for more := s.Open(closing); more; {
		var name []byte
		if closing == '}' {
			if name, _, ok = s.Name(); !ok {
				return false
			}
		}
		if !value(name) {
			return false
		}
		if more, ok = s.More(closing); !ok {
			return false
		}
	}
	return true
}

// Each calls visit with each value in the object or array that text is: with the
// member's name, resolved, which is empty in an array. It reports whether text is
// such JSON; visit may have been called when it is not.
func Each(text []byte, visit func(name string, value []byte)) bool {
	s := New(text)
	ok := s.container(func(name []byte) bool {
		value, ok := s.Value()
		if ok {
			visit(string(Bytes(name)), value)
		}
		return ok
	})
	return ok && s.AtEnd()
}

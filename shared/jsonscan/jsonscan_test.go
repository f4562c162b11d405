package jsonscan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// maxDepth is where encoding/json gives up.
const maxDepth = 10_000

// A walker reads a value as the callers of this package do. It notes what is JSON
// for Python only, so that encoding/json can judge the rest.
type walker struct {
	Scanner
	names  [][2]int // where NaN, Infinity and -Infinity stand
	tokens [][]byte // of all strings
}

func (w *walker) text() bool { return w.value(0) && w.AtEnd() }

func (w *walker) value(depth int) (ok bool) {
	switch first := w.Next(); first {
	case '{', '[':
		closing := first + 2
		for more := w.Open(closing); more; {
			if first == '{' && !w.string(w.Name()) || !w.value(depth+1) {
				return false
			}
			if more, ok = w.More(closing); !ok {
				return false
			}
		}
		return depth < maxDepth
	case '"':
		return w.string(w.String())
	}
	if _, _, ok := w.Number(); ok {
		return true
	}
	if slices.ContainsFunc([]string{"true", "false", "null"}, w.Literal) {
		return true
	}
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if start := w.Pos(); w.Literal(word) {
			w.names = append(w.names, [2]int{start, w.Pos()})
			return true
		}
	}
	return false
}

func (w *walker) string(token []byte, _, ok bool) bool {
	if ok {
		w.tokens = append(w.tokens, token)
	}
	return ok
}

// withoutNames returns the text with null for each of Python's names.
func (w *walker) withoutNames(text []byte) []byte {
	var b []byte
	end := 0
	for _, name := range w.names {
		b = append(append(b, text[end:name[0]]...), "null"...)
		end = name[1]
	}
	return append(b, text[end:]...)
}

var texts = []string{
	``, ` `, "\x00", `null`, ` true `, `false`, `nul`, `nulll`, `True`, `NULL`, `null x`, "null\x00",
	`0`, `-0`, `-`, `+1`, `01`, `-01`, `1.`, `.5`, `1.5`, `1.5.5`, `1e`, `1e+`, `1e5`, `1E-5`, `1e5.5`, `0e0`, `00`, `0x1`, `1_0`, `１`, `-a`, `--1`,
	`""`, `"`, `"a`, `"\`, `"\"`, `"\\"`, `"\/\b\f\n\r\t"`, `"\a"`, `"\'"`, `"\U0041"`, `"\u004"`, `"\u004`, `"\u00g0"`, `"\u0041"`, `"\uD83D\uDE00"`, `"\ud800"`,
	"\"\n\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\x80\"", "\"\xed\xa0\x80\"", `"é😀"`, `'a'`, `"a" "b"`,
	`[]`, `[ ]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1,,2]`, `[1`, `[`, `]`, `[1}`, `[[]]`, `[[],[]]`, `[]]`, `[1:2]`,
	`{}`, `{ }`, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"a":1 "b":2}`, `{"a":1`, `{"a"`, `{`, `{"a":1]`, `{"a"::1}`, `{"a":1,"a":2}`, `{null:1}`,
	" \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n} \t\r\n", "\v1", "\f1", "\u00a01", "\ufeff1", "1\ufeff", "1//", "/**/1",
	strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
}

func TestAcceptsWhatIsJSON(t *testing.T) {
	t.Parallel()
	for _, text := range texts {
		w := walker{Scanner: New([]byte(text))}
		if got, want := w.text(), json.Valid([]byte(text)); got != want || len(w.names) > 0 {
			t.Errorf("%.60q: got %v, want %v", text, got, want)
		}
	}
}

func TestAcceptsPythonsNamesWhereAValueMayStand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`NaN`: true, `Infinity`: true, `-Infinity`: true, `[NaN, Infinity,-Infinity]`: true, `{"a":NaN}`: true,
		`-NaN`: false, `+Infinity`: false, `- Infinity`: false, `nan`: false, `inf`: false, `Infinit`: false, `-Infinit`: false, `NaNNaN`: false, `NaN1`: false, `-Infinity.5`: false, `{NaN:1}`: false,
	} {
		if w := (walker{Scanner: New([]byte(text))}); w.text() != want {
			t.Errorf("%s: got %v", text, !want)
		}
	}
}

func TestTokensAreReadWhereTheyStand(t *testing.T) {
	t.Parallel()
	text := []byte(` { "key" : [ "pl ain/", "\u0041", "é", "` + "\x7f" + `", -12, 0, 1.50, 2e5, true ] } `)
	s := New(text)
	if s.Next() != '{' || !s.Open('}') {
		t.Fatal("no object")
	}
	if name, plain, ok := s.Name(); string(name) != "key" || !plain || !ok || s.Next() != '[' || !s.Open(']') {
		t.Fatalf("%q: %v, %v", name, plain, ok)
	}
	for _, want := range []struct {
		token string
		flag  bool // plain, or an integer
	}{
		{"pl ain/", true}, {`\u0041`, false}, {"é", false}, {"\x7f", false}, {"-12", true}, {"0", true}, {"1.50", false}, {"2e5", false},
	} {
		read := s.Number
		if s.Next() == '"' {
			read = s.String
		}
		got, flag, ok := read()
		if !ok || string(got) != want.token || flag != want.flag {
			t.Fatalf("got %q, %v, %v, want %+v", got, flag, ok, want)
		}
		if at := bytes.LastIndex(text[:s.Pos()], got); &got[0] != &text[at] {
			t.Errorf("%q was copied", got)
		}
		if more, ok := s.More(']'); !more || !ok {
			t.Fatalf("nothing after %q", got)
		}
	}
	if s.Next(); !s.Literal("true") || s.Next() != ']' || s.Take('}') || s.AtEnd() {
		t.Error("the array is at its end, the text is not")
	}
	if more, ok := s.More('}'); more || ok {
		t.Error("an array does not end as an object")
	}
	for _, closing := range []byte("]}") {
		if more, ok := s.More(closing); more || !ok {
			t.Errorf("%c: more is %v, %v", closing, more, ok)
		}
	}
	if !s.AtEnd() || s.Pos() != len(text) || s.Next() != 0 || s.Take('}') || s.Literal("x") {
		t.Error("the text is at its end")
	}
}

// TestWhatIsNoTokenIsNotConsumed looks at each kind of token at a place where
// there is none.
func TestWhatIsNoTokenIsNotConsumed(t *testing.T) {
	t.Parallel()
	for _, text := range append([]string{`x`, `"\x"`, `"\u12"`, `-`, `-x`, `tru`, "\x00"}, texts...) {
		s := New([]byte(text))
		s.Next()
		before := s
		if _, _, ok := s.String(); !ok && s.Pos() != before.Pos() {
			t.Errorf("%.40q: String moved to %d", text, s.Pos())
		}
		s = before
		if _, _, ok := s.Number(); !ok && s.Pos() != before.Pos() {
			t.Errorf("%.40q: Number moved to %d", text, s.Pos())
		}
		s = before
		if !s.Literal("true") && s.Pos() != before.Pos() {
			t.Errorf("%.40q: Literal moved to %d", text, s.Pos())
		}
	}
}

func TestRune(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		token string
		want  rune
		size  int
	}{
		{`a`, 'a', 1},
		{`ab`, 'a', 1},
		{"\x7f", 0x7f, 1},
		{`é`, 'é', 2},
		{"\ufffd", utf8.RuneError, 3},
		{`😀x`, '😀', 4},
		{"\U0010ffff", 0x10ffff, 4},
		{`\"`, '"', 2},
		{`\\u0041`, '\\', 2},
		{`\/`, '/', 2},
		{`\b`, '\b', 2},
		{`\f`, '\f', 2},
		{`\n`, '\n', 2},
		{`\r`, '\r', 2},
		{`\t`, '\t', 2},
		{`\u0000`, 0, 6},
		{`\u00e9`, 'é', 6},
		{`\u00E9`, 'é', 6},
		{`\uFFFF`, 0xffff, 6},
		{`\uabCD1`, 0xabcd, 6},
		// pairs
		{`\ud83d\ude00`, '😀', 12},
		{`\uD800\uDC00`, 0x10000, 12},
		{`\udbff\udfff`, 0x10ffff, 12},
		{`\udbff\udfff\udfff`, 0x10ffff, 12},
		// halves, and what follows them
		{`\ud800`, 0xd800, 6},
		{`\udfff`, 0xdfff, 6},
		{`\ud800a`, 0xd800, 6},
		{`\ud800\n`, 0xd800, 6},
		{`\ud800\nabcdefgh`, 0xd800, 6},
		{`\ud800xudc00`, 0xd800, 6},
		{`\ud800\udbff`, 0xd800, 6},
		{`\ud800\ue000`, 0xd800, 6},
		{`\ud800\u0041`, 0xd800, 6},
		{`\udc00\ud800`, 0xdc00, 6},
		{`\udc00\udc00`, 0xdc00, 6},
		// a pair is made of two escapes only
		{"\\ud83d\xed\xb8\x80", 0xd83d, 6},
		{"\xed\xa0\xbd\\ude00", 0xd83d, 3},
		{"\xed\xa0\xbd\xed\xb8\x80", 0xd83d, 3},
		// surrogates in bytes
		{"\xed\xa0\x80", 0xd800, 3},
		{"\xed\xaf\xbf", 0xdbff, 3},
		{"\xed\xb0\x80", 0xdc00, 3},
		{"\xed\xbf\xbfx", 0xdfff, 3},
		{"\xed\x9f\xbf", 0xd7ff, 3},
		{"\xee\x80\x80", 0xe000, 3},
		// no UTF-8
		{"\x80", Invalid, 1},
		{"\xff", Invalid, 1},
		{"\xc3", Invalid, 1},
		{"\xc3a", Invalid, 1},
		{"\xc0\x80", Invalid, 1},
		{"\xe0\x80\x80", Invalid, 1},
		{"\xf4\x90\x80\x80", Invalid, 1},
		{"\xf8\x88\x80\x80\x80", Invalid, 1},
		{"\xed", Invalid, 1},
		{"\xed\xa0", Invalid, 1},
		{"\xed\xa0x", Invalid, 1},
		{"\xed\xa0\xc0", Invalid, 1},
		{"\xed\xc0\x80", Invalid, 1},
	} {
		if r, size := Rune([]byte(test.token)); r != test.want || size != test.size {
			t.Errorf("%q: got %U, %d, want %U, %d", test.token, r, size, test.want, test.size)
		}
	}
}

// TestEveryCharacterIsReadAsItself takes every character of the basic plane, and
// some of each other plane, as escapes and as bytes.
func TestEveryCharacterIsReadAsItself(t *testing.T) {
	t.Parallel()
	var token []byte
	step := rune(1)
	for r := rune(0); r <= utf8.MaxRune; r += step {
		if r > 0xffff {
			step = 211
			high, low := utf16.EncodeRune(r)
			token = fmt.Appendf(token[:0], `\u%04x\u%04X`, high, low)
		} else {
			token = fmt.Appendf(token[:0], `\u%04x`, r)
		}
		if got, size := Rune(token); got != r || size != len(token) {
			t.Fatalf("%s: got %U, %d", token, got, size)
		}
		if token = utf8.AppendRune(token[:0], r); r != '\\' && !utf16.IsSurrogate(r) {
			if got, size := Rune(token); got != r || size != len(token) {
				t.Fatalf("% x: got %U, %d", token, got, size)
			}
		}
	}
}

func TestTextIsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "string")
		quoted, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		s := New(quoted)
		token, plain, ok := s.String()
		if !ok || !s.AtEnd() {
			t.Fatalf("%s is not read", quoted)
		}
		if plain && string(token) != want {
			t.Fatalf("%q is not plain", token)
		}
		if got, ok := Text(quoted); string(got) != want || !ok {
			t.Fatalf("%s: got %q, %v", quoted, got, ok)
		}
	})
	for _, other := range []string{"", "null", "1", `["a"]`} {
		if text, ok := Text([]byte(other)); ok {
			t.Errorf("%s is the string %q", other, text)
		}
	}
}

func TestBytesAreUnicode(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{
		``:                           "",
		`\ud800`:                     "\ufffd",
		`a\udc00\ud800b`:             "a\ufffd\ufffdb",
		"a\xed\xa0\x80b":             "a\ufffdb",
		"\xff\xc3":                   "\ufffd\ufffd",
		"\x80":                       "\ufffd",
		`\ufffd\u0000`:               "\ufffd\x00",
		`\ud83d\ude00 \u00e9\t\/\\n`: "😀 é\t/\\n",
	} {
		if got := Bytes([]byte(token)); string(got) != want {
			t.Errorf("%q: got %q, want %q", token, got, want)
		}
	}
	token := []byte("a\x7f")
	if got := Bytes(token); &got[0] != &token[0] {
		t.Errorf("%q was copied", token)
	}
}

// FuzzAgreesWithEncodingJSON also reads each string rune by rune.
func FuzzAgreesWithEncodingJSON(f *testing.F) {
	for _, text := range texts {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte(`{"a":[NaN,-Infinity,"\ud83d\ude00\ud83d",1.50e+3,{"b":"é"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		w := walker{Scanner: New(text)}
		valid := w.text()
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		if judged := w.withoutNames(text); valid != json.Valid(judged) {
			t.Fatalf("%q: got %v", judged, valid)
		}
		for _, token := range w.tokens {
			checkToken(t, token)
		}
	})
}

func checkToken(t *testing.T, token []byte) {
	t.Helper()
	for rest := token; len(rest) > 0; {
		r, size := Rune(rest)
		if size < 1 || size > len(rest) || r != Invalid && !utf16.IsSurrogate(r) && !utf8.ValidRune(r) {
			t.Fatalf("%q: got %U, %d", rest, r, size)
		}
		rest = rest[size:]
	}
	quoted := append(append([]byte{'"'}, replaceSurrogateBytes(token)...), '"')
	var want string
	if err := json.Unmarshal(quoted, &want); err != nil {
		t.Fatalf("%q: %v", quoted, err)
	}
	if got := Bytes(token); string(got) != want {
		t.Fatalf("%q: got %q, want %q", token, got, want)
	}
}

// replaceSurrogateBytes writes one U+FFFD for a surrogate in bytes. encoding/json
// makes three of it.
func replaceSurrogateBytes(token []byte) []byte {
	for r := rune(0xd800); bytes.IndexByte(token, 0xed) >= 0 && r <= 0xdfff; r++ {
		token = bytes.ReplaceAll(token, []byte{0xed, byte(0x80 | r>>6&0x3f), byte(0x80 | r&0x3f)}, []byte("\ufffd"))
	}
	return token
}

func TestEachValueOfAContainer(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "", ` [ ] `: "",
		`{"a": 1, "\u0062" : [1, {"c": "}"}],"c":NaN }`: `a=1 b=[1, {"c": "}"}] c=NaN `,
		`[null,true , "x"]`:                             `=null =true ="x" `,
	} {
		var got strings.Builder
		if ok := Each([]byte(text), func(name string, value []byte) { fmt.Fprintf(&got, "%s=%s ", name, value) }); !ok || got.String() != want {
			t.Errorf("%s: %v, %q", text, ok, got.String())
		}
	}
	for _, text := range []string{
		"", "1", `"x"`, "{", "[", "[1", "[1,", "[1,]", "[1 2]", "{1:2}", `{"a"}`, `{"a":}`, `{"a":1,}`, "[] []", "[nul]", "[1]x",
		strings.Repeat("[", 1_000_000), strings.Repeat("[", 1003) + strings.Repeat("]", 1003),
	} {
		if Each([]byte(text), func(string, []byte) {}) {
			t.Errorf("%.20q is taken for JSON", text)
		}
	}
}

func TestValueIsAtMostAThousandDeep(t *testing.T) {
	t.Parallel()
	for depth, want := range map[int]bool{1: true, maxValueDepth + 1: true, maxValueDepth + 2: false} {
		value := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		s := New([]byte(" " + value + ","))
		if text, ok := s.Value(); ok != want || ok && (string(text) != value || !s.Take(',')) {
			t.Errorf("%d arrays in each other: %t", depth, ok)
		}
	}
}

func TestEveryDigitIsPartOfANumber(t *testing.T) {
	t.Parallel()
	const number = "9876543210.0123456789e+9012345678"
	s := New([]byte(number + "]"))
	if token, _, ok := s.Number(); string(token) != number || !ok {
		t.Errorf("read %q, %t", token, ok)
	}
}

package document

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"
)

// A number is an exact one: a fraction in lowest terms.
type number string

func exactly(t fataler, text string) number {
	t.Helper()
	if mantissa, _, _ := strings.Cut(strings.ToLower(text), "e"); strings.Trim(mantissa, "-0.") == "" {
		return "0" // with an exponent that may be beyond big.Rat
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return number(r.RatString())
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// decodedJSON returns what a JSON text stands for, by encoding/json: nil, bool,
// string, [number], []any and map[string]any.
func decodedJSON(t fataler, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%.100s: %v", text, err)
	}
	return withNumbers(t, v)
}

func withNumbers(t fataler, v any) any {
	switch v := v.(type) {
	case json.Number:
		return exactly(t, string(v))
	case []any:
		for i := range v {
			v[i] = withNumbers(t, v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = withNumbers(t, v[k])
		}
	}
	return v
}

// decodedNative returns the same of an attribute value in DynamoDB's JSON.
func decodedNative(t fataler, native []byte) any {
	t.Helper()
	var v map[string]json.RawMessage
	if err := json.Unmarshal(native, &v); err != nil || len(v) != 1 {
		t.Fatalf("%.100s is no attribute value: %v", native, err)
	}
	into := func(raw json.RawMessage, target any) {
		if err := json.Unmarshal(raw, target); err != nil {
			t.Fatalf("%.100s: %v", native, err)
		}
	}
	for kind, raw := range v {
		switch kind {
		case "S":
			var s string
			into(raw, &s)
			return s
		case "N":
			var s string
			into(raw, &s)
			return exactly(t, s)
		case "BOOL":
			var b bool
			into(raw, &b)
			return b
		case "NULL":
			if string(raw) == "true" {
				return nil
			}
		case "L":
			var elements []json.RawMessage
			into(raw, &elements)
			list := make([]any, len(elements))
			for i, e := range elements {
				list[i] = decodedNative(t, e)
			}
			return list
		case "M":
			var members map[string]json.RawMessage
			into(raw, &members)
			object := make(map[string]any, len(members))
			for k, m := range members {
				object[k] = decodedNative(t, m)
			}
			return object
		}
	}
	t.Fatalf("%.100s is no attribute value", native)
	return nil
}

// countedByDynamoDB is the size of a value, as AWS describes it in "DynamoDB Item
// sizes and formats".
func countedByDynamoDB(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case number:
		size := (len(significant(v))+1)/2 + 1
		if strings.HasPrefix(string(v), "-") {
			size++
		}
		return size
	case []any:
		size := 3
		for _, e := range v {
			size += 1 + countedByDynamoDB(e)
		}
		return size
	case map[string]any:
		size := 3
		for k, e := range v {
			size += 1 + len(k) + countedByDynamoDB(e)
		}
		return size
	default:
		return 1
	}
}

// significant returns the digits of a number, with no zeros around them.
func significant(n number) string {
	r, _ := new(big.Rat).SetString(string(n))
	for !r.IsInt() {
		r.Mul(r, big.NewRat(10, 1))
	}
	return strings.Trim(r.Num().String(), "-0")
}

// fits says whether DynamoDB can hold a JSON text natively, by the tokens that
// encoding/json makes of it. It must not have U+FFFD in it, which stands for what
// is no Unicode.
func fits(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	type container struct {
		isObject, atKey bool
		keys            map[string]bool
	}
	var open []container
	for {
		token, err := d.Token()
		if err != nil {
			return true
		}
		isKey := len(open) > 0 && open[len(open)-1].atKey
		switch token := token.(type) {
		case json.Delim:
			if token == '{' || token == '[' {
				if open = append(open, container{isObject: token == '{', atKey: token == '{', keys: map[string]bool{}}); len(open) > 31 {
					return false
				}
				continue
			}
			open = open[:len(open)-1]
		case string:
			if strings.ContainsRune(token, utf8.RuneError) {
				return false
			}
			if isKey {
				in := &open[len(open)-1]
				if token == "" || len(token) > 65_535 || in.keys[token] {
					return false
				}
				in.keys[token] = true
				in.atKey = false
				continue
			}
		case json.Number:
			if !numberFits(string(token)) {
				return false
			}
		}
		if len(open) > 0 {
			open[len(open)-1].atKey = open[len(open)-1].isObject
		}
	}
}

// numberFits counts a number's digits as text.
func numberFits(text string) bool {
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(text, "-")), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return true
	}
	exponent := new(big.Int)
	if power != "" {
		exponent.SetString(strings.TrimPrefix(power, "+"), 10)
	}
	exponent.Add(exponent, big.NewInt(int64(len(digits)-1-len(fraction))))
	return len(strings.TrimRight(digits, "0")) <= 38 && exponent.CmpAbs(big.NewInt(125)) <= 0
}

// TestReferenceCountsAsAWSDoes keeps the reference itself in order.
func TestReferenceCountsAsAWSDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`null`: 1, `true`: 1, `""`: 0, `"é"`: 2, `1`: 2, `-1`: 3, `12`: 2, `123`: 3, `1200`: 2, `0.0012`: 2, `12.1`: 3, `[]`: 3, `{}`: 3, `[1]`: 6, `{"ab":null}`: 7,
		strings.Repeat("9", 38): 20,
	} {
		if got := countedByDynamoDB(decodedJSON(t, []byte(text))); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
	for _, text := range []string{`[1e126]`, `{"":1}`, `{"a":1,"b":{"a":1},"a":1}`, strings.Repeat("[", 32), `["\ud800"]`} {
		if fits([]byte(text)) {
			t.Errorf("%s fits", text)
		}
	}
}

package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"veryfi-intake/local/standin"
)

// with returns a document with that value in it.
func with(value string) []byte { return []byte(`{"id":1,"v":` + value + `}`) }

func isNative(t *testing.T, body []byte) bool {
	t.Helper()
	d, err := Read(body, 1)
	if err != nil {
		t.Fatalf("%.100s: %v", body, err)
	}
	if d.Native == nil && d.NativeSize != 0 {
		t.Errorf("%.100s: what is not native has size %d", body, d.NativeSize)
	}
	return d.Native != nil
}

func TestNativeFormIsDynamoDBsJSON(t *testing.T) {
	t.Parallel()
	body := ` { "id" : 1 , "a" : [ 12.10, "x\u00e9\"\/", null, true, false, { }, [ ] ], "b":{"c\u0064":-1.50E+2,"e":-0.0},"f":100 } `
	want := `{"M":{"id":{"N":"1"},"a":{"L":[{"N":"12.1"},{"S":"x\u00e9\"\/"},{"NULL":true},{"BOOL":true},{"BOOL":false},{"M":{}},{"L":[]}]},` +
		`"b":{"M":{"c\u0064":{"N":"-1.5E+2"},"e":{"N":"0"}}},"f":{"N":"100"}}}`
	d, err := Read([]byte(body), 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(d.Native)); diff != "" {
		t.Error(diff)
	}
	if string(d.JSON) != body {
		t.Errorf("JSON is %s", d.JSON)
	}
}

func TestNumbersAreExactOrNotNative(t *testing.T) {
	t.Parallel()
	n38 := "12345678901234567890123456789012345678"
	zeros := func(n int) string { return strings.Repeat("0", n) }
	for value, want := range map[string]bool{
		"0": true, "-0": true, "0.0": true, "-0.000": true, "0e5": true, "0e-999999999999999999999": true, "0.0E+999999999999999999999": true, zeros(1) + "." + zeros(500): true,
		"12.10": true, "9223372036854775807": true, "9223372036854775808": true, "-1": true, "0.1": true,
		n38: true, "-" + n38: true, n38 + "9": false, n38 + "0": true, n38 + ".0": true, n38 + ".00e0": true, n38 + zeros(20): true, n38 + zeros(20) + "1": false,
		"0." + n38: true, "0." + zeros(20) + n38: true, "0." + n38 + zeros(60): true, "0." + n38 + "9": false, "0." + zeros(20) + n38 + "9": false,
		"1" + zeros(36) + "1": true, "1" + zeros(37) + "1": false, "1." + zeros(36) + "1": true, "1." + zeros(37) + "1": false, "1." + zeros(200): true,
		"1e125": true, "1e126": false, "1E+125": true, "1E+126": false, "1e-125": true, "1e-126": false, "9.99e125": true, "-9.99e125": true, "-1e126": false, "-1e-126": false,
		"0.1e126": true, "0.1e127": false, "0.001e128": true, "10e124": true, "10e125": false, "10e-126": true, "10e-127": false, "0.1e-124": true, "0.1e-125": false,
		"1" + zeros(125): true, "1" + zeros(126): false, "0." + zeros(124) + "1": true, "0." + zeros(125) + "1": false,
		"1" + zeros(200) + "e-200": true, "0." + zeros(200) + "1e200": true, "1e0000125": true, "1e-00000": true,
		n38[:1] + "." + n38[1:] + "e125": true, n38[:1] + "." + n38[1:] + "e-125": true,
		"1e2147483647": false, "1e2147483648": false, "1e-2147483649": false, "1e9223372036854775808": false, "0.1e-9223372036854775809": false, "1e99999999999999999999999": false,
		"NaN": false, "Infinity": false, "-Infinity": false,
	} {
		body := with(value)
		if got := isNative(t, body); got != want {
			t.Errorf("%s: native is %v", value, got)
		}
		if want {
			checkNative(t, body)
		}
	}
}

// checkNative compares a document's native form with the JSON.
func checkNative(t fataler, body []byte) {
	t.Helper()
	d, err := Read(body, 1)
	if err != nil || d.Native == nil {
		t.Fatalf("%.100s: %v, native %v", body, err, err == nil && d.Native != nil)
		return
	}
	if !json.Valid(d.Native) || !utf8.Valid(d.Native) {
		t.Fatalf("%.100s: %.100q is not JSON", body, d.Native)
	}
	want, got := decodedJSON(t, body), decodedNative(t, d.Native)
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%.100s (-want +got):\n%s", body, cmp.Diff(want, got))
	}
	if counted := countedByDynamoDB(got); d.NativeSize < counted {
		t.Fatalf("%.100s: size is %d, DynamoDB counts %d", body, d.NativeSize, counted)
	}
}

func TestDepthThatDynamoDBTakes(t *testing.T) {
	t.Parallel()
	// The document itself is the first container.
	for _, nest := range [][2]string{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":`, "}]"}, {`[1,`, `,2]`}} {
		each := strings.Count(nest[0], "[") + strings.Count(nest[0], "{")
		for n := 1; n < 40; n++ {
			value := strings.Repeat(nest[0], n) + "7" + strings.Repeat(nest[1], n)
			if got, want := isNative(t, with(value)), 1+n*each <= 31; got != want {
				t.Errorf("%s: %d containers: native is %v", value, 1+n*each, got)
			}
		}
	}
	empty := strings.Repeat("[", 30) + strings.Repeat("]", 30)
	if !isNative(t, with(empty)) || isNative(t, with("["+empty+"]")) || isNative(t, with(empty[:30]+`{}`+empty[30:])) {
		t.Error("an empty container is one too")
	}
	if siblings := `[` + strings.Repeat(`[[]],`, 100) + `[]]`; !isNative(t, with(siblings)) {
		t.Error("containers side by side do not nest")
	}
}

// TestDeepNestingIsNoDocument keeps the recursion from growing without bounds.
func TestDeepNestingIsNoDocument(t *testing.T) {
	t.Parallel()
	for _, nest := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
		deep := func(n int) []byte { return with(strings.Repeat(nest[0], n) + "7" + strings.Repeat(nest[1], n)) }
		if isNative(t, deep(maxJSONDepth-1)) {
			t.Error("a thousand containers are native")
		}
		if _, err := Read(deep(maxJSONDepth), 1); !errors.Is(err, ErrNotDocument) {
			t.Errorf("got %v", err)
		}
		if _, err := Read([]byte(`{"id":1,"v":`+strings.Repeat(nest[0], 100_000)), 1); !errors.Is(err, ErrNotDocument) {
			t.Errorf("got %v", err)
		}
	}
}

func TestNamesThatDynamoDBTakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		want bool
	}{
		{``, false},
		{`a`, true},
		{` `, true},
		{`\u0000`, true},
		{`\"`, true},
		{strings.Repeat("a", 65_535), true},
		{strings.Repeat("a", 65_536), false},
		{strings.Repeat("é", 32_767) + "a", true},
		{strings.Repeat("é", 32_768), false},
		{strings.Repeat(`\u0061`, 65_535), true},
		{strings.Repeat(`\u00e9`, 32_768), false},
		{strings.Repeat(`\ud83d\ude00`, 16_383), true},
		{strings.Repeat(`\ud83d\ude00`, 16_384), false},
		{`\ud800`, false},
		{"\xff", false},
		{"a\xed\xa0\x80", false},
	} {
		bodies := [][]byte{with(`[{"a":{"` + test.name + `":{}}}]`)}
		if len(test.name) < 10 {
			bodies = append(bodies, with(`{"`+test.name+`":1}`), []byte(`{"id":1,"`+test.name+`":1}`))
		}
		for _, body := range bodies {
			if got := isNative(t, body); got != test.want {
				t.Errorf("a name of %d bytes (%.20q): native is %v", len(test.name), test.name, got)
			}
		}
	}
}

func TestRepeatedKeyIsNotNative(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		`{"a":1,"b":2,"c":3}`:                   true,
		`{"c":1,"b":2,"a":3}`:                   true,
		`{"a":1,"a":2}`:                         false,
		`{"a":1,"a":1}`:                         false,
		`{"a":1,"\u0061":2}`:                    false,
		`{"\u0061":1,"a":2}`:                    false,
		`{"b":1,"a":2,"b":3}`:                   false,
		`{"b":1,"a":2,"\u0062":3}`:              false,
		`{"a":1,"b":2,"c":3,"a":4}`:             false,
		`{"c":1,"b":2,"a":3,"c":4}`:             false,
		`{"\/":1,"/":2}`:                        false,
		`{"😀":1,"\ud83d\ude00":2}`:              false,
		`{"a":1,"A":2}`:                         true,
		`{"a":1,"ab":2,"a\u0000":3}`:            true,
		`{"a":{"a":{"a":[{"a":1},{"a":2}]}}}`:   true,
		`{"a":{"b":1},"b":{"a":1}}`:             true,
		`{"b":{"b":1,"a":1},"a":{"b":1,"a":1}}`: true,
		`{"b":{"b":1,"a":1},"b":1}`:             false,
		`{"a":{"b":1,"a":1,"b":1}}`:             false,
		`[[{"z":{"x":1,"y":{"a":1,"a":1}}}]]`:   false,
		`{"z":{"y":1,"x":1},"y":{},"z":1}`:      false,
		`{"\ud800":1,"\ud801":1}`:               false, // and no names either
	} {
		if got := isNative(t, with(value)); got != want {
			t.Errorf("%s: native is %v", value, got)
		}
	}
	for _, body := range []string{`{"id":1,"id":1}`, `{"z":1,"id":1,"z":1}`, `{"id":1,"a":{"b":1},"\u0061":1}`} {
		if isNative(t, []byte(body)) {
			t.Errorf("%s is native", body)
		}
	}
}

func TestManyKeysInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.StringN(1, 3, -1), 0, 60).Draw(t, "keys")
		var members []string
		distinct := map[string]bool{"id": true}
		for _, key := range keys {
			quoted, err := json.Marshal(key)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, string(quoted)+":0")
			distinct[key] = true
		}
		d, err := Read([]byte(`{`+strings.Join(append(members, `"id":1`), ",")+`}`), 1)
		if len(distinct) == len(keys)+1 {
			if err != nil || d.Native == nil {
				t.Fatalf("not native: %v", err)
			}
		} else if err == nil && d.Native != nil {
			t.Fatal("native with a key twice")
		}
	})
}

func TestTextThatIsNoUnicodeIsNotNative(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		``: true, `\u0000\u001f\u007f`: true, "é😀\ufffd\U0010ffff": true, `\ud83d\ude00`: true, `\uffff\ufffe`: true, `\\ud800`: true,
		`\ud800`: false, `\udfff`: false, `a\ud800b`: false, `\ud800\ud800`: false, `\ude00\ud83d`: false, `\ud83d\u0041`: false, `\ud83d\\ude00`: false,
		"\xff": false, "\xc3": false, "\xc0\x80": false, "\xed\xa0\xbd\xed\xb8\x80": false, "\xf4\x90\x80\x80": false,
	} {
		for _, value := range []string{`"` + text + `"`, `[[{"a":"b` + text + `"}]]`} {
			if got := isNative(t, with(value)); got != want {
				t.Errorf("%q: native is %v", value, got)
			}
		}
		if want {
			checkNative(t, with(`"`+text+`"`))
		}
	}
}

// TestSizeThatDynamoDBTakes goes to the limit with what has many bytes and with
// what has few.
func TestSizeThatDynamoDBTakes(t *testing.T) {
	t.Parallel()
	const limit = 400 << 10
	fill := func(part func(n int) string, each int) func(n int) string {
		return func(n int) string { return part(n / each) }
	}
	for name, value := range map[string]func(n int) string{
		"ASCII":     fill(func(n int) string { return `"` + strings.Repeat("a", n) + `"` }, 1),
		"two bytes": fill(func(n int) string { return `"` + strings.Repeat("é", n) + `"` }, 2),
		"escapes":   fill(func(n int) string { return `"` + strings.Repeat(`\u00e9`, n) + `"` }, 2),
		"nulls":     fill(func(n int) string { return `[` + strings.Repeat("null,", n) + `null]` }, 2),
		"names":     fill(func(n int) string { return `[` + strings.Repeat(`{"abcdefghijklmnopqr":null},`, n) + `1]` }, 24),
	} {
		small, large := with(value(limit-100)), with(value(limit+100))
		counted := countedByDynamoDB(decodedJSON(t, small))
		if counted > limit || counted < limit-200 {
			t.Fatalf("%s: the test is wrong: %d bytes", name, counted)
		}
		if d, err := Read(small, 1); err != nil || d.Native == nil || d.NativeSize < counted {
			t.Errorf("%s: not native, or less than %d bytes: %v", name, counted, err)
		}
		if isNative(t, large) {
			t.Errorf("%s: native beyond the limit", name)
		}
	}
	exact := len(`{"id":1,"v":""}`)
	for n := limit - 12; n < limit-8; n++ {
		body := with(`"` + strings.Repeat("a", n) + `"`)
		counted := 3 + 1 + 2 + 2 + 1 + 1 + len(body) - exact
		if got := isNative(t, body); got && counted > limit || !got && counted < limit-5 {
			t.Errorf("%d bytes: native is %v", counted, got)
		}
	}
}

// values generates JSON texts, most of them native.
func values(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		if depth == 0 {
			kind %= 7
		}
		switch kind {
		case 0:
			return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "word")
		case 1, 2:
			return numbers().Draw(t, "number")
		case 3, 4, 5, 6:
			return quoted().Draw(t, "string")
		case 7:
			return "[" + join(t, rapid.SliceOfN(values(depth-1), 0, 5).Draw(t, "elements")) + "]"
		default:
			var members []string
			keys := rapid.SliceOfN(rapid.OneOf(rapid.StringMatching(`"[a-z]{1,3}"`), quoted()), 0, 5).Draw(t, "keys")
			for _, key := range keys {
				members = append(members, key+space(t)+":"+space(t)+values(depth-1).Draw(t, "value"))
			}
			return "{" + join(t, members) + "}"
		}
	})
}

func space(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", " ", "\r\n\t"}).Draw(t, "space")
}

func join(t *rapid.T, parts []string) string {
	return space(t) + strings.Join(parts, space(t)+","+space(t)) + space(t)
}

func numbers() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Map(rapid.Int64(), func(i int64) string { return strconv.FormatInt(i, 10) }),
		rapid.Map(rapid.Int64Range(-100_000, 100_000), func(cents int64) string { return fmt.Sprintf("%.2f", float64(cents)/100) }),
		rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?`),
		rapid.StringMatching(`-?(0|[1-9]0{0,50}[0-9]{0,20}0{0,50})(\.0{0,50}[0-9]{1,20}0{0,20})?([eE][-+]?(1[123])?[0-9])?`),
	)
}

// quoted generates strings of Unicode text but for U+FFFD, as JSON writes them or
// all in escapes.
func quoted() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		text := strings.ReplaceAll(rapid.String().Draw(t, "text"), "\ufffd", "")
		if rapid.Bool().Draw(t, "in escapes") {
			escaped := `"`
			for _, unit := range utf16.Encode([]rune(text)) {
				escaped += fmt.Sprintf(`\u%04x`, unit)
			}
			return escaped + `"`
		}
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	})
}

func TestNativeFormHoldsTheSameValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		body := with("[" + strings.Join(rapid.SliceOfN(values(4), 1, 5).Draw(t, "values"), ",") + "]")
		d, err := Read(body, 1)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if got, want := d.Native != nil, fits(body); got != want {
			t.Fatalf("%s: native is %v", body, got)
		}
		if d.Native != nil {
			checkNative(t, body)
		}
	})
}

func TestDocumentThatWasAskedFor(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{
		`{"id":5}`:                                      nil,
		` {"id":5} `:                                    nil,
		"\r\n\t{\"id\" : 5 }\n":                         nil,
		`{"a":[{"id":6}],"id":5}`:                       nil,
		`{"id":"5"}`:                                    nil,
		`{"id":"\u0035"}`:                               nil,
		`{"\u0069d":5}`:                                 nil,
		`{"id":{"value":5,"score":NaN}}`:                nil,
		`{"id":{"value":5,"score":0.9}}`:                nil,
		`{"id":{"score":0.9,"value":"5"}}`:              nil,
		`{"id":6,"id":5}`:                               nil, // the last one counts
		`{"id":5,"status":"processed"}`:                 nil,
		`{"id":5,"status":"in_progres"}`:                nil,
		`{"id":5,"status":null}`:                        nil,
		`{"id":5,"meta":{"status":"in_progress"}}`:      nil,
		`{"id":5,"total":NaN,"a":[Infinity,-Infinity]}`: nil,

		`{"id":5,"status":"in_progress"}`:                     ErrInProgress,
		`{"status":"in_progress","id":5}`:                     ErrInProgress,
		`{"id":5,"status":"\u0069n_progress"}`:                ErrInProgress,
		`{"id":5,"status":{"value":"in_progress","score":1}}`: ErrInProgress,
		`{"status":"in_progress"}`:                            ErrInProgress,

		`{}`:                            ErrOtherDocument,
		`{"id":6}`:                      ErrOtherDocument,
		`{"id":-5}`:                     ErrOtherDocument,
		`{"id":55}`:                     ErrOtherDocument,
		`{"id":5.0}`:                    ErrOtherDocument,
		`{"id":5e0}`:                    ErrOtherDocument,
		`{"id":" 5"}`:                   ErrOtherDocument,
		`{"id":"05"}`:                   ErrOtherDocument,
		`{"id":""}`:                     ErrOtherDocument,
		`{"id":null}`:                   ErrOtherDocument,
		`{"id":true}`:                   ErrOtherDocument,
		`{"id":NaN}`:                    ErrOtherDocument,
		`{"id":[5]}`:                    ErrOtherDocument,
		`{"id":{}}`:                     ErrOtherDocument,
		`{"id":{"value":null}}`:         ErrOtherDocument,
		`{"id":{"value":6}}`:            ErrOtherDocument,
		`{"id":{"value":{"value":5}}}`:  ErrOtherDocument,
		`{"id":{"value":[5]}}`:          ErrOtherDocument,
		`{"ID":5}`:                      ErrOtherDocument,
		`{"id":5,"id":6}`:               ErrOtherDocument,
		`{"id":5,"id":null}`:            ErrOtherDocument,
		`{"document":{"id":5}}`:         ErrOtherDocument,
		`{"status":"fail","error":"x"}`: ErrOtherDocument,

		``:                               ErrNotDocument,
		` `:                              ErrNotDocument,
		`null`:                           ErrNotDocument,
		`5`:                              ErrNotDocument,
		`"id"`:                           ErrNotDocument,
		`[{"id":5}]`:                     ErrNotDocument,
		`{"id":5`:                        ErrNotDocument,
		`{"id":5,`:                       ErrNotDocument,
		`{"id":5,}`:                      ErrNotDocument,
		`{"id":5}}`:                      ErrNotDocument,
		`{"id":5}{"id":5}`:               ErrNotDocument,
		`{"id":5} x`:                     ErrNotDocument,
		"{\"id\":5}\x00":                 ErrNotDocument,
		"\ufeff{\"id\":5}":               ErrNotDocument,
		`{"id":05}`:                      ErrNotDocument,
		`{"id":5,"a":[1,]}`:              ErrNotDocument,
		`{"id":5,"a":tru}`:               ErrNotDocument,
		`{"id":5,"a":'b'}`:               ErrNotDocument,
		`{"id":5,"a":"` + "\n\"}":        ErrNotDocument,
		`{"id":5,"a":"\x"}`:              ErrNotDocument,
		`{"id":5,a:1}`:                   ErrNotDocument,
		`{"id":5,"a"}`:                   ErrNotDocument,
		`{"id":5,"status":"in_progress"`: ErrNotDocument,
		`<html>502</html>`:               ErrNotDocument,
	} {
		if _, err := Read([]byte(body), 5); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", body, err, want)
		}
	}
	for _, id := range []int64{1, 123456789, 1<<63 - 1} {
		for _, form := range []string{`{"id":%d}`, `{"id":"%d"}`, `{"id":{"value":%d}}`, `{"id":{"value":"%d"}}`} {
			body := fmt.Sprintf(form, id)
			if _, err := Read([]byte(body), id); err != nil {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
}

func TestDocumentThatWasCutShortIsNone(t *testing.T) {
	t.Parallel()
	whole := ` {"id":5,"a":[1.5e+3,"\u00e9\ud83d\ude00",true,false,null,NaN,-Infinity,{"b":[]}],"c":{}}`
	if _, err := Read([]byte(whole), 5); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := Read([]byte(whole[:n]), 5); !errors.Is(err, ErrNotDocument) {
			t.Errorf("%s: got %v", whole[:n], err)
		}
	}
}

// TestGzipKeepsEveryByte makes all of them before it looks at any, so that a writer that
// is used again and side by side does no harm.
func TestGzipKeepsEveryByte(t *testing.T) {
	t.Parallel()
	bodies := [][]byte{
		with(`1`), with(` 1.50 `), with("\"\\u00e9\xff\xed\xa0\x80\""), with(`NaN`), with(`"` + strings.Repeat("a", 1<<20) + `"`), synthetic(15_000), synthetic(600_000),
	}
	zipped := make([][]byte, 3*len(bodies))
	var wg sync.WaitGroup
	for i := range zipped {
		wg.Go(func() {
			d := Document{JSON: bodies[i%len(bodies)]}
			var err error
			if zipped[i], err = d.Gzip(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, body := range bodies {
		for j := i; j < len(zipped); j += len(bodies) {
			if d, err := ReadGzip(zipped[j], 1); err != nil || !bytes.Equal(d.JSON, body) {
				t.Errorf("%d: other bytes, %v", i, err)
			}
		}
	}
}

func TestGzippedDocumentHasBounds(t *testing.T) {
	t.Parallel()
	zipped := func(body []byte) []byte {
		b, err := (&Document{JSON: body}).Gzip()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := zipped(with("1"))
	for name, b := range map[string][]byte{
		"no gzip": with("1"), "cut short": whole[:len(whole)-1], "too large": zipped(with(`"` + strings.Repeat("a", MaxJSON) + `"`)),
	} {
		if _, err := ReadGzip(b, 1); !errors.Is(err, ErrNotDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSamplesAreNative reads whole documents as Veryfi sends them.
func TestSamplesAreNative(t *testing.T) {
	t.Parallel()
	const id = 123456789
	for name, body := range map[string][]byte{
		"receipt": standin.Receipt(id), "invoice": standin.Invoice(id), "bank statement": standin.BankStatement(id), "150 KB": standin.Large(id, 150_000),
	} {
		before := bytes.Clone(body)
		d, err := Read(body, id)
		if err != nil || d.Native == nil || !bytes.Equal(body, before) || !bytes.Equal(d.JSON, before) {
			t.Fatalf("%s: not native, or not what was read: %v", name, err)
		}
		if diff := cmp.Diff(decodedJSON(t, body), decodedNative(t, d.Native)); diff != "" {
			t.Errorf("%s: -JSON +native:\n%s", name, diff)
		}
		if counted := countedByDynamoDB(decodedNative(t, d.Native)); d.NativeSize < counted || d.NativeSize > counted+counted/8 {
			t.Errorf("%s: size is %d, DynamoDB counts %d", name, d.NativeSize, counted)
		}
		if _, err := Read(body, id+1); !errors.Is(err, ErrOtherDocument) {
			t.Errorf("%s with another id: %v", name, err)
		}
	}
}

// pythonsName is what encoding/json does not know.
var pythonsName = regexp.MustCompile(`NaN|-?Infinity`)

func FuzzRead(f *testing.F) {
	for _, value := range []string{
		`1`, `"\ud83d\ude00"`, `[1.50,-0,1e5,null,{"a":{}}]`, `{"a":1,"\u0061":2}`, `NaN`, `1,"id":2`, `{"b":1,"a":[`, `""`, `{"value":"x"},"external_id":{"value":5}`,
		`1,"total":12.10,"date":"d","vendor":{"name":{"value":"A"},"name":"B"},"meta":{"external_id":7},"is_duplicate":{"value":true}`,
		strings.Repeat("[", 40) + strings.Repeat("]", 40), "\"\xed\xa0\x80\xff\"", `123456789012345678901234567890123456789`, `1.0000e-126`,
	} {
		f.Add([]byte(value))
		f.Add(with(value))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, body := range [][]byte{text, with(string(text))} {
			d, err := Read(body, 1)
			if err != nil && !errors.Is(err, ErrNotDocument) && !errors.Is(err, ErrOtherDocument) && !errors.Is(err, ErrInProgress) {
				t.Fatalf("unnamed error: %v", err)
			}
			isObject := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
			valid := isObject && json.Valid(body) && bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) < maxJSONDepth
			if valid && errors.Is(err, ErrNotDocument) {
				t.Fatalf("%q is JSON: %v", body, err)
			}
			if !json.Valid(body) && !errors.Is(err, ErrNotDocument) && !pythonsName.Match(body) {
				t.Fatalf("%q is not JSON: %v", body, err)
			}
			if err == nil && d.Native != nil {
				checkNative(t, body)
			}
			if valid && err == nil && !bytes.Contains(body, []byte("\ufffd")) && !bytes.Contains(bytes.ToLower(body), []byte(`\ufffd`)) {
				if (d.Native != nil) != fits(body) {
					t.Fatalf("%q: native is %v", body, d.Native != nil)
				}
				checkLifted(t, body, 1)
			}
		}
	})
}

// synthetic returns a document of about that size, in the manner of Veryfi's.
func synthetic(size int) []byte {
	b := []byte(`{"created_date":"2026-01-02 03:04:05","currency_code":"EUR","discount":null,"document_type":"invoice","external_id":"order-2026-0017","id":1,` +
		`"is_duplicate":false,"line_items":[`)
	const end = `],"status":"processed","subtotal":1037.39,"tax":197.11,"tip":null,"total":1234.50,"vendor":{"address":"Hauptstra\u00dfe 1\n10115 Berlin",` +
		`"lat":52.5200066,"lng":13.404954,"name":"Bäckerei Müller","phone_number":"+49 30 1234567"}}`
	for i := 0; len(b)+len(end) < size; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"date":null,"description":"Roggenbrot 1 kg, geschnitten","discount":null,"hsn":null,"id":%d,"order":%d,"price":4.95,"quantity":2.00,"section":null,`+
			`"sku":null,"tags":[],"tax":0.65,"tax_rate":7,"text":"Roggenbrot\t1 kg\t2\t4,95\t9,90","total":9.90,"type":"food","unit_of_measure":null}`, 987654321+i, i)
	}
	return append(b, end...)
}

// sizes are those of the benchmarks' documents, in bytes: a receipt, an invoice of
// one page, one of ten pages, and one that DynamoDB holds gzipped only.
var sizes = []int{2_000, 15_000, 150_000, 600_000}

// benchmark reads documents of all sizes.
func benchmark(b *testing.B, read func(body []byte) error) {
	for _, size := range sizes {
		body := synthetic(size)
		b.Run(fmt.Sprintf("%dKB", size/1000), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := read(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	benchmark(b, func(body []byte) error {
		_, err := Read(body, 1)
		return err
	})
}

// BenchmarkStandardJSON is what BenchmarkRead is compared with: the standard
// library's way to read a document without losing digits. It has no form of
// DynamoDB's yet.
func BenchmarkStandardJSON(b *testing.B) {
	benchmark(b, func(body []byte) error {
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		var document map[string]any
		return decoder.Decode(&document)
	})
}

func BenchmarkGzip(b *testing.B) {
	d := &Document{JSON: synthetic(600_000)}
	b.SetBytes(int64(len(d.JSON)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Gzip(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSyntheticDocumentsAreWhatTheyStandFor keeps the benchmarks honest.
func TestSyntheticDocumentsAreWhatTheyStandFor(t *testing.T) {
	t.Parallel()
	for size, native := range map[int]bool{2_000: true, 15_000: true, 150_000: true, 600_000: false} {
		body := synthetic(size)
		if len(body) < size || len(body) > size+1000 || isNative(t, body) != native {
			t.Errorf("%d bytes: native is %v", len(body), !native)
		}
	}
}

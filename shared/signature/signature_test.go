package signature

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const secret = "a client secret"

//go:embed testdata/vectors.json
var published []byte

type vector struct {
	Body       string
	SignedText string `json:"signed_text"`
	Signature  string
}

// forEachVector runs a test with each published signature.
func forEachVector(t *testing.T, test func(t *testing.T, clientSecret string, v vector)) {
	t.Helper()
	var file struct {
		ClientSecret string `json:"client_secret"`
		Vectors      []vector
	}
	if err := json.Unmarshal(published, &file); err != nil || len(file.Vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(file.Vectors), err)
	}
	for _, v := range file.Vectors {
		t.Run(v.SignedText, func(t *testing.T) { test(t, file.ClientSecret, v) })
	}
}

func TestPublishedSignatureVerifies(t *testing.T) {
	forEachVector(t, func(t *testing.T, clientSecret string, v vector) {
		data, err := verify(v.Body, v.Signature, clientSecret)
		if err != nil {
			t.Fatal(err)
		}
		if string(data.Text) != v.SignedText {
			t.Errorf("text is %s, want %s", data.Text, v.SignedText)
		}
	})
}

func TestPublishedSignatureIsMadeAgain(t *testing.T) {
	forEachVector(t, func(t *testing.T, clientSecret string, v vector) {
		got, err := Sign(parse(t, v.Body).Unverified().JSON, clientSecret)
		if err != nil || got != v.Signature {
			t.Errorf("Sign = %q, %v, want %q", got, err, v.Signature)
		}
	})
}

func TestPublishedSignatureIsRefusedWithAnotherSecret(t *testing.T) {
	forEachVector(t, func(t *testing.T, clientSecret string, v vector) {
		if _, err := verify(v.Body, v.Signature, clientSecret+"x"); !errors.Is(err, ErrMismatch) {
			t.Errorf("got %v, want %v", err, ErrMismatch)
		}
	})
}

func parse(t testing.TB, body string) *Payload {
	t.Helper()
	var p Payload
	if err := p.Parse([]byte(body)); err != nil {
		t.Fatalf("%v: %.100s", err, body)
	}
	return &p
}

func verify(body, signature string, secrets ...string) (Data, error) {
	var keys []*Key
	for _, s := range secrets {
		keys = append(keys, NewKey(s))
	}
	var p Payload
	if err := p.Parse([]byte(body)); err != nil {
		return Data{}, err
	}
	return p.Verify(signature, keys...)
}

func sign(t testing.TB, data string) string {
	t.Helper()
	s, err := Sign([]byte(data), secret)
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return s
}

// TestReasonOfRefusal changes one thing of a good request at a time.
func TestReasonOfRefusal(t *testing.T) {
	const good = `{"id": 7, "created": "2026-01-02 03:04:05"}`
	signature := sign(t, good)
	body := `{"event": "document.created", "data": ` + good + `}`
	tests := []struct {
		name, body, signature, secret string
		want                          error
	}{
		{"nothing changed", body, signature, secret, nil},
		{"spaces around the signature", body, " \t" + signature + "\r\n", secret, nil},
		{"no signature", body, "", secret, ErrNoSignature},
		{"blank signature", body, "  ", secret, ErrNoSignature},
		{"signature is not base64", body, strings.Repeat("?", len(signature)), secret, ErrMalformed},
		{"signature is cut short", body, signature[:40], secret, ErrMalformed},
		{"signature has no padding", body, strings.TrimRight(signature, "="), secret, ErrMalformed},
		{"signature is repeated", body, signature + "," + signature, secret, ErrMalformed},
		{"signature has a line break inside", body, signature[:20] + "\n" + signature[20:], secret, ErrMalformed},
		{"signature has loose bits", body, looseBits(signature), secret, ErrMalformed},
		{"signature is URL-safe base64 of other length", body, signature + "==", secret, ErrMalformed},
		{"another secret", body, signature, "b", ErrMismatch},
		{"empty secret", body, signature, "", ErrMismatch},
		{"id changed", strings.Replace(body, "7", "8", 1), signature, secret, ErrMismatch},
		{"key order changed", `{"data": {"created": "2026-01-02 03:04:05", "id": 7}}`, signature, secret, ErrMismatch},
		{"event changed, which is not signed", strings.Replace(body, "created", "failed", 1), signature, secret, nil},
		{"no data", `{"event": "document.created", "id": 7}`, signature, secret, ErrNoData},
		{"later data counts", `{"data": ` + good + `, "data": {"id": 8}}`, signature, secret, ErrMismatch},
		{"earlier data does not count", `{"data": {"id": 8}, "data": ` + good + `}`, signature, secret, nil},
		{"data spelt with an escape", `{"d\u0061ta": ` + good + `}`, signature, secret, nil},
		{"an array", `[` + body + `]`, signature, secret, ErrNotObject},
		{"a string", `"data"`, signature, secret, ErrNotObject},
		{"byte order mark", "\ufeff" + body, signature, secret, ErrNotObject},
		{"something after the end", body + "x", signature, secret, ErrNotObject},
		{"cut short", body[:len(body)-1], signature, secret, ErrNotObject},
		{"not UTF-8", `{"event": "` + "\xff" + `", "data": ` + good + `}`, signature, secret, ErrNotObject},
		{"empty", "", signature, secret, ErrNotObject},
		{"too deep", `{"data": ` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, signature, secret, ErrUnsignable},
		{"too many digits", `{"data": 1` + strings.Repeat("0", maxDigits) + `}`, signature, secret, ErrUnsignable},
		{"a lone surrogate for data", `{"data": "\ud800"}`, signature, secret, ErrUnsignable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data, err := verify(test.body, test.signature, test.secret)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err != nil && data.Text != nil {
				t.Error("refused data was handed out")
			}
		})
	}
}

// looseBits sets the two bits of the last character that carry no data.
func looseBits(signature string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := strings.IndexByte(alphabet, signature[42])
	return signature[:42] + string(alphabet[i|1]) + "="
}

func TestOneOfSomeSecretsVerifies(t *testing.T) {
	const data = `{"id": 7}`
	for _, test := range []struct {
		signedWith string
		secrets    []string
		want       error
	}{
		{secret, []string{"the new secret", secret}, nil},
		{secret, []string{secret, ""}, nil},
		{secret, nil, ErrMismatch},
		{"", []string{"", ""}, ErrMismatch}, // anybody could sign with it
	} {
		signature, err := Sign([]byte(data), test.signedWith)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify(`{"data": `+data+`}`, signature, test.secrets...); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestDeepestAndLongestThatCPythonAcceptsVerify(t *testing.T) {
	for _, data := range []string{
		strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1),
		strings.Repeat("9", maxDigits),
		"-" + strings.Repeat("9", maxDigits),
	} {
		if _, err := verify(`{"data": `+data+`}`, sign(t, data), secret); err != nil {
			t.Errorf("%v: %.20s…", err, data)
		}
	}
}

func TestWhatPythonRefusesHasNoText(t *testing.T) {
	for data, want := range map[string]error{
		``:           ErrNotJSON,
		`{"a":1,}`:   ErrNotJSON,
		`1 2`:        ErrNotJSON,
		"\"\xff\"":   ErrNotJSON,
		`"\ud800"`:   ErrUnsignable,
		`["\ud800"]`: nil,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth): ErrUnsignable,
	} {
		if _, err := Text([]byte(data)); !errors.Is(err, want) {
			t.Errorf("%.40q: the text: %v, want %v", data, err, want)
		}
		if signature, err := Sign([]byte(data), secret); !errors.Is(err, want) || want != nil && signature != "" {
			t.Errorf("%.40q: the signature: %v, want %v", data, err, want)
		}
	}
}

// TestEveryPythonVerifies signs characters that are newer than some versions of Python, as
// each version prints them: one of each, and all together.
func TestEveryPythonVerifies(t *testing.T) {
	for _, characters := range append(strings.Split(newerOfAll, ""), newerOfAll, "\U0001fae8") {
		for _, version := range pythons {
			text := "{'error': '"
			for _, r := range characters {
				if since, _ := printableSince(r); since <= version {
					text += string(r)
				} else {
					text += strings.Trim(strconv.QuoteToASCII(string(r)), `"`)
				}
			}
			if text += "'}"; version == 15 && !strings.Contains(text, characters) {
				t.Errorf("CPython 3.15 knows all characters: %s", text)
			}
			got, err := verify(`{"data": {"error": "`+characters+`"}}`, signText(text), secret)
			if err != nil || string(got.Text) != text {
				t.Errorf("%s: got %s, %v", text, got.Text, err)
			}
		}
	}
}

func TestField(t *testing.T) {
	tests := []struct{ data, field, want string }{
		{`{"id": 7, "created": "x"}`, "id", "7"},
		{`{"id": 7, "created": "x"}`, "created", `"x"`},
		{`{"id": 7}`, "error", ""},
		{`{"id": 7, "a": {"error": 1}}`, "error", ""},
		{`{"id": 7, "id": [8, 9]}`, "id", "[8, 9]"},
		{`{"a": 1, "a": 22, "id": 7, "id": 8}`, "id", "8"},
		{`{"\u0069d": 7}`, "id", "7"},
		{`[{"id": 7}]`, "id", ""},
		{`"id"`, "id", ""},
		{`{}`, "id", ""},
	}
	for _, test := range tests {
		p := parse(t, `{"before": {"id": 1}, "data": `+test.data+`, "after": {"id": 2}}`)
		if got := p.Unverified().Field(test.field); string(got) != test.want {
			t.Errorf("%s: %s is %s, want %s", test.data, test.field, got, test.want)
		}
	}
}

func TestEvent(t *testing.T) {
	tests := []struct {
		body, want string
		ok         bool
	}{
		{`{"event": "document.created"}`, "document.created", true},
		{`{"event": "caf\u00e9 \ud83d\ude00"}`, "café 😀", true},
		{`{"event": ""}`, "", true},
		{`{"event": "a", "event": "b"}`, "b", true},
		{`{"event": "a", "event": 1}`, "", false},
		{`{"event": null}`, "", false},
		{`{"data": {"event": "a"}}`, "", false},
	}
	for _, test := range tests {
		if got, ok := parse(t, test.body).Event(); string(got) != test.want || ok != test.ok {
			t.Errorf("%s: got %q, %v", test.body, got, ok)
		}
	}
}

// TestManyKeys has objects that are large enough to be looked up by map.
func TestManyKeys(t *testing.T) {
	var first, again, text []string
	for i := range 3 * manyKeys {
		key := strings.Repeat("k", i+1)
		first = append(first, `"`+key+`":1`)
		again = append(again, `"`+key+`":2`)
		text = append(text, `'`+key+`': 2`)
	}
	want := "{" + strings.Join(text, ", ") + "}"
	got, err := Text([]byte("{" + strings.Join(append(first, again...), ",") + "}"))
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestOnePayloadParsesManyBodies(t *testing.T) {
	var p Payload
	for _, data := range []string{`{"id": 7, "id": 8, "x": {"a": 1}}`, `{"id": 9}`, `[]`} {
		if err := p.Parse([]byte(`{"event": "e", "data": ` + data + `}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(sign(t, data), NewKey(secret)); err != nil {
			t.Errorf("%v: %s", err, data)
		}
	}
	if err := p.Parse([]byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Event(); ok || p.Unverified().JSON != nil {
		t.Error("the event or the data of an earlier body is still there")
	}
}

func TestEveryBitOfTheSignatureCounts(t *testing.T) {
	const data = `{"id": 123456789, "created": "2021-10-20 15:27:26"}`
	digest, err := base64.StdEncoding.DecodeString(sign(t, data))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(digest) {
		digest[bit/8] ^= 1 << (bit % 8)
		if _, err := verify(`{"data": `+data+`}`, base64.StdEncoding.EncodeToString(digest), secret); !errors.Is(err, ErrMismatch) {
			t.Errorf("bit %d is another: %v", bit, err)
		}
		digest[bit/8] ^= 1 << (bit % 8)
	}
}

//go:embed signature.go
var source string

// TestSignaturesAreComparedInConstantTime reads the code: the difference in time
// is too small for a test to measure, and large enough for an attacker.
func TestSignaturesAreComparedInConstantTime(t *testing.T) {
	signed := regexp.MustCompile(`(?s)\nfunc \(k \*Key\) signed\(.*?\n}\n`).FindString(source)
	if strings.Count(signed, "hmac.Equal(") != 1 || strings.Count(strings.ReplaceAll(signed, "== nil", ""), "==") != 0 {
		t.Errorf("not compared by hmac.Equal alone:\n%s", signed)
	}
}

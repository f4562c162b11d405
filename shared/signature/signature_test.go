package signature

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

const secret = "a client secret"

type vector struct {
	Body       string
	SignedText string `json:"signed_text"`
	Signature  string
}

// forEachVector runs a test with each published signature.
func forEachVector(t *testing.T, test func(t *testing.T, clientSecret string, v vector)) {
	t.Helper()
	file, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		ClientSecret string `json:"client_secret"`
		Vectors      []vector
	}
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range vectors.Vectors {
		t.Run(v.SignedText, func(t *testing.T) { test(t, vectors.ClientSecret, v) })
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
		var p Payload
		if err := p.Parse([]byte(v.Body)); err != nil {
			t.Fatal(err)
		}
		got, err := Sign(p.Unverified().JSON, clientSecret)
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

func TestEmptySecretNeverVerifies(t *testing.T) {
	const data = `{"id": 7}`
	signature, err := Sign([]byte(data), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(`{"data": `+data+`}`, signature, "", ""); !errors.Is(err, ErrMismatch) {
		t.Errorf("got %v, want %v", err, ErrMismatch)
	}
	if _, err := verify(`{"data": `+data+`}`, signature); !errors.Is(err, ErrMismatch) {
		t.Errorf("with no keys: got %v, want %v", err, ErrMismatch)
	}
}

func TestPreviousSecretVerifies(t *testing.T) {
	const data = `{"id": 7}`
	if _, err := verify(`{"data": `+data+`}`, sign(t, data), "the new secret", secret); err != nil {
		t.Error(err)
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

// TestEveryPythonVerifies signs with a character that is newer than some
// versions of Python, as an old one and as a new one prints it.
func TestEveryPythonVerifies(t *testing.T) {
	const data = "{\"error\": \"\U0001fae8\"}" // Unicode 15.0: printable since CPython 3.12
	for _, text := range []string{"{'error': '\U0001fae8'}", `{'error': '\U0001fae8'}`} {
		var p Payload
		if err := p.Parse([]byte(`{"data": ` + data + `}`)); err != nil {
			t.Fatal(err)
		}
		got, err := p.Verify(signText(text), NewKey(secret))
		if err != nil || string(got.Text) != text {
			t.Errorf("%s: got %s, %v", text, got.Text, err)
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
		var p Payload
		if err := p.Parse([]byte(`{"before": {"id": 1}, "data": ` + test.data + `, "after": {"id": 2}}`)); err != nil {
			t.Fatal(err)
		}
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
		var p Payload
		if err := p.Parse([]byte(test.body)); err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Event(); string(got) != test.want || ok != test.ok {
			t.Errorf("%s: got %q, %v", test.body, got, ok)
		}
	}
}

// TestManyKeys has objects that are large enough to be looked up by map.
func TestManyKeys(t *testing.T) {
	var data, text strings.Builder
	data.WriteString(`{`)
	text.WriteString(`{`)
	for i := range 3 * manyKeys {
		if i > 0 {
			data.WriteString(`,`)
			text.WriteString(`, `)
		}
		key := strings.Repeat("k", i+1)
		data.WriteString(`"` + key + `":1`)
		text.WriteString(`'` + key + `': 2`)
	}
	for i := range 3 * manyKeys {
		data.WriteString(`,"` + strings.Repeat("k", i+1) + `":2`)
	}
	data.WriteString(`}`)
	text.WriteString(`}`)
	got, err := Text([]byte(data.String()))
	if err != nil || string(got) != text.String() {
		t.Errorf("got %s, %v, want %s", got, err, text.String())
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
	signed, err := Sign([]byte(data), "the secret")
	if err != nil {
		t.Fatal(err)
	}
	digest, err := base64.StdEncoding.DecodeString(signed)
	if err != nil {
		t.Fatal(err)
	}
	var p Payload
	if err := p.Parse([]byte(`{"data": ` + data + `}`)); err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(digest) {
		digest[bit/8] ^= 1 << (bit % 8)
		if _, err := p.Verify(base64.StdEncoding.EncodeToString(digest), NewKey("the secret")); !errors.Is(err, ErrMismatch) {
			t.Errorf("bit %d is another: %v", bit, err)
		}
		digest[bit/8] ^= 1 << (bit % 8)
	}
	if _, err := p.Verify(base64.StdEncoding.EncodeToString(digest), NewKey("the secret")); err != nil {
		t.Error(err)
	}
}

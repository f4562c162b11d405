package signature

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func seedWithVectors(f *testing.F) {
	f.Helper()
	for _, body := range []string{
		`{"event":"document.created","data":{"id":63184393,"created":"2022-03-28 21:12:14"}}`,
		`{"event":"document.failed","data":{"id":1,"error":"Couldn't \"read\" \u00e9\ud800\ud83d\ude00"}}`,
		`{"data":{"a":[1.0,1e16,-0,NaN,true,null],"a":{}}}`,
		`{"data":"text"}`,
	} {
		f.Add([]byte(body))
	}
}

func FuzzParseNeverPanics(f *testing.F) {
	seedWithVectors(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var p Payload
		err := p.Parse(body)
		if err != nil && !errors.Is(err, ErrNotObject) && !errors.Is(err, ErrUnsignable) {
			t.Errorf("unnamed error: %v", err)
		}
		if err == nil {
			p.Event()
			if d := p.Unverified(); d.Field("id") != nil && !bytes.Contains(body, d.Field("id")) {
				t.Errorf("id %s is not in the body", d.Field("id"))
			}
			if _, err := p.Verify("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", NewKey(secret)); err == nil {
				t.Error("verified with a signature of zeros")
			}
		}
		if !bytes.Equal(body, before) {
			t.Error("the body was changed")
		}
	})
}

func FuzzSignedVerifies(f *testing.F) {
	for _, data := range []string{`{"id":1}`, `[1,"'",1.5e300]`, `"x"`, `{"a":1,"a":2}`, "\"\U0001fae8\""} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		signature, err := Sign(data, secret)
		if err != nil {
			return
		}
		body := append(append([]byte(`{"event":"e","data":`), data...), '}')
		var p Payload
		if err := p.Parse(body); err != nil {
			t.Fatal(err)
		}
		got, err := p.Verify(signature, NewKey("another"), NewKey(secret))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.JSON, bytes.Trim(data, " \t\r\n")) {
			t.Errorf("JSON is %q", got.JSON)
		}
	})
}

// FuzzChangeIsRefused replaces one byte of signed data. Whether that is a change
// is judged by encoding/json.
func FuzzChangeIsRefused(f *testing.F) {
	f.Add([]byte(`{"id":63184393,"created":"2022-03-28 21:12:14"}`), uint(6), byte('7'))
	f.Add([]byte(`{"id":[1,2,3],"error":"it's"}`), uint(7), byte('9'))
	f.Add([]byte(`{"a":1.50,"b":"\u00e9"}`), uint(7), byte('1'))
	f.Fuzz(func(t *testing.T, data []byte, at uint, b byte) {
		if len(data) == 0 {
			return
		}
		signature, err := Sign(data, secret)
		if err != nil {
			return
		}
		changed := bytes.Clone(data)
		changed[at%uint(len(data))] = b
		was, ok1 := decoded(data)
		is, ok2 := decoded(changed)
		if !ok1 || !ok2 || reflect.DeepEqual(was, is) {
			return
		}
		_, err = verify(`{"data":`+string(changed)+`}`, signature, secret)
		if !errors.Is(err, ErrMismatch) && !errors.Is(err, ErrUnsignable) {
			t.Errorf("%s was signed, %s is taken: %v", data, changed, err)
		}
	})
}

// decoded returns a value with numbers as Python compares them: integers in
// full, others as floats.
func decoded(data []byte) (any, bool) {
	// encoding/json makes many things U+FFFD, which then look the same.
	if !json.Valid(data) || strings.ContainsRune(string(data), '\ufffd') {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	return canonical(v), true
}

func canonical(v any) any {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			f, _ := strconv.ParseFloat(string(v), 64)
			return strconv.FormatFloat(f, 'g', -1, 64) + "f"
		}
		if v == "-0" {
			return json.Number("0")
		}
	case []any:
		for i := range v {
			v[i] = canonical(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = canonical(v[k])
		}
	}
	return v
}

package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// attributesOf returns the lifted attributes of a document, in DynamoDB's JSON.
func attributesOf(t fataler, body []byte, id int64) map[string]string {
	t.Helper()
	d, err := Read(body, id)
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	attributes := map[string]string{}
	for _, a := range d.Lifted {
		if counted := countedByDynamoDB(decodedNative(t, a.Value)); a.Size < counted || a.Size > counted+2 || !utf8.Valid(a.Value) {
			t.Fatalf("%s: %q has size %d, DynamoDB counts %d", a.Name, a.Value, a.Size, counted)
		}
		if attributes[a.Name] != "" {
			t.Fatalf("%s is there twice", a.Name)
		}
		attributes[a.Name] = string(a.Value)
	}
	return attributes
}

func TestLiftedAttributes(t *testing.T) {
	t.Parallel()
	type attributes = map[string]string
	for members, want := range map[string]attributes{
		`"a":1`: {},
		`"external_id":"order 7","document_type":"invoice"`: {"external_id": `{"S":"order 7"}`, "document_type": `{"S":"invoice"}`},
		`"vendor":{"name":"A","address":"B"},"date":"2026-01-02 03:04:05","total":12.10,"currency_code":"EUR","is_duplicate":false`: {
			"vendor": `{"S":"A"}`, "date": `{"S":"2026-01-02 03:04:05"}`, "total": `{"N":"12.1"}`, "currency_code": `{"S":"EUR"}`, "is_duplicate": `{"BOOL":false}`,
		},
		// With bounding_boxes or confidence_details.
		`"external_id":{"value":"order 7","score":0.5},"document_type":{"value":"invoice","boxes":[]}`: {"external_id": `{"S":"order 7"}`, "document_type": `{"S":"invoice"}`},
		`"vendor":{"name":{"score":0.9,"value":"A"}},"date":{"value":"d"},"total":{"bounding_box":[0,0.5],"value":-1.50e2},"currency_code":{"value":"EUR","score":NaN},"is_duplicate":{"value":true}`: {
			"vendor": `{"S":"A"}`, "date": `{"S":"d"}`, "total": `{"N":"-1.5e2"}`, "currency_code": `{"S":"EUR"}`, "is_duplicate": `{"BOOL":true}`,
		},
		`"meta":{"external_id":{"value":"m","score":1}}`:                                                                  {"external_id": `{"S":"m"}`},
		`"total":{"score":1},"vendor":{"name":{}},"date":{"value":null},"is_duplicate":{"value":null},"currency_code":{}`: {},
		// A value of another object is not theirs.
		`"vendor":{"value":"a"},"external_id":{"score":0.5},"document_type":{}`:                      {"vendor": `{"S":"a"}`},
		`"a":{"value":"a","external_id":"b","name":"c","total":1},"external_id":{"a":{"value":"b"}}`: {},
		`"a":[{"vendor":{"name":"A"},"total":1,"meta":{"external_id":"b"}}]`:                         {},

		`"external_id":"top","meta":{"external_id":"m"}`:                               {"external_id": `{"S":"top"}`},
		`"meta":{"external_id":"m"},"external_id":"top"`:                               {"external_id": `{"S":"top"}`},
		`"meta":{"external_id":"m","document_type":"b"}`:                               {"external_id": `{"S":"m"}`},
		`"external_id":null,"meta":{"external_id":"m"}`:                                {"external_id": `{"S":"m"}`},
		`"external_id":"","meta":{"external_id":7}`:                                    {"external_id": `{"S":"7"}`},
		`"external_id":{"value":null},"meta":{"external_id":"m"}`:                      {"external_id": `{"S":"m"}`},
		`"external_id":{"value":""},"meta":{"external_id":"m"}`:                        {"external_id": `{"S":"m"}`},
		`"external_id":{"score":1},"meta":{"external_id":"m"}`:                         {"external_id": `{"S":"m"}`},
		`"external_id":"","meta":{"external_id":""}`:                                   {},
		`"external_id":null,"meta":null`:                                               {},
		`"meta":"m"`:                                                                   {},
		`"meta":[{"external_id":"m"}]`:                                                 {},
		`"meta":{"meta":{"external_id":"m"}}`:                                          {},
		`"meta":{"value":{"external_id":"m"}}`:                                         {},
		`"\u006deta":{"externa\u006c_id":"m"}`:                                         {"external_id": `{"S":"m"}`},
		`"meta":{"a":[{"external_id":"b"}],"external_id":"m","b":{"external_id":"c"}}`: {"external_id": `{"S":"m"}`},
		// One that is there and cannot be lifted is not replaced: the other may be another's.
		`"external_id":"a\ud800b","meta":{"external_id":"m"}`:                         {},
		`"external_id":["a"],"meta":{"external_id":"m"}`:                              {},
		`"external_id":"` + strings.Repeat("a", 257) + `","meta":{"external_id":"m"}`: {},

		`"vendor":"A"`:                        {"vendor": `{"S":"A"}`},
		`"vendor":""`:                         {},
		`"vendor":{"name":""}`:                {},
		`"vendor":{"name":null}`:              {},
		`"vendor":{"name":["A"]}`:             {},
		`"vendor":{"name":1.5}`:               {},
		`"vendor":[{"name":"A"}]`:             {},
		`"vendor":{"name":{"name":"A"}}`:      {},
		`"vendor":{"vendor":{"name":"A"}}`:    {},
		`"vendor":{"na\u006de":"\u00e9\" /"}`: {"vendor": `{"S":"\u00e9\" /"}`},

		`"external_id":7,"document_type":null`:                                   {"external_id": `{"S":"7"}`},
		`"external_id":-123456789012345678901234567890123456789012345`:           {"external_id": `{"S":"-123456789012345678901234567890123456789012345"}`},
		`"external_id":"\u00e9\ud83d\ude00\"","document_type":""`:                {"external_id": `{"S":"\u00e9\ud83d\ude00\""}`},
		`"external_id":{"value":12},"document_type":{"value":1.5}`:               {"external_id": `{"S":"12"}`},
		`"external_id":1.5,"document_type":{"value":{"value":"a"}}`:              {},
		`"external_id":true,"document_type":true`:                                {},
		`"external_id":NaN,"document_type":-Infinity`:                            {},
		`"external_id":{"S":"a"},"total":{"N":"1"},"is_duplicate":{"BOOL":true}`: {},
		`"total":"12.10","is_duplicate":"true","date":20260102`:                  {"date": `{"S":"20260102"}`},
		`"total":NaN`: {}, `"total":-Infinity`: {}, `"total":true,"is_duplicate":1`: {}, `"total":[1]`: {},
		`"total":-0.00`:  {"total": `{"N":"0"}`},
		`"total":1E+125`: {"total": `{"N":"1E+125"}`},
		`"total":1E+126`: {},
		`"total":1e-126`: {},
		`"total":12345678901234567890123456789012345678`:  {"total": `{"N":"12345678901234567890123456789012345678"}`},
		`"total":123456789012345678901234567890123456789`: {},
		`"total":0.30000000000000004`:                     {"total": `{"N":"0.30000000000000004"}`},

		"\"external_id\":\"\xff\",\"document_type\":{\"value\":\"\\ud800\"},\"vendor\":{\"name\":\"\xed\xa0\x80\"}": {},
		`"external_id":"\ufffd"`: {"external_id": `{"S":"\ufffd"}`},

		`"external_id":"a","external_id":"b"`:                             {"external_id": `{"S":"b"}`},
		`"total":1,"total":"x"`:                                           {},
		`"total":{"value":1,"value":2}`:                                   {"total": `{"N":"2"}`},
		`"vendor":{"name":"A"},"vendor":{"address":"B"}`:                  {},
		`"vendor":{"name":"A","name":"B"}`:                                {"vendor": `{"S":"B"}`},
		`"vendor":{"name":"A"},"vendor":"B"`:                              {"vendor": `{"S":"B"}`},
		`"meta":{"external_id":"a"},"meta":{"external_id":"b"}`:           {"external_id": `{"S":"b"}`},
		`"external_id":"a","external_id":null,"meta":{"external_id":"m"}`: {"external_id": `{"S":"m"}`},
		` "vendor" : { "name" : { "value" : "A" } } , "total" : 1 `:       {"vendor": `{"S":"A"}`, "total": `{"N":"1"}`},
	} {
		body := []byte(`{"id":1,` + members + `}`)
		if diff := cmp.Diff(want, attributesOf(t, body, 1)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", members, diff)
		}
		// They do not depend on whether DynamoDB can hold the document.
		if diff := cmp.Diff(want, attributesOf(t, append([]byte(`{"n":NaN,`), body[1:]...), 1)); diff != "" {
			t.Errorf("%s in a document that is not native (-want +got):\n%s", members, diff)
		}
	}
}

// TestLongValueIsNotLifted counts bytes of UTF-8, however they are written.
func TestLongValueIsNotLifted(t *testing.T) {
	t.Parallel()
	for _, form := range []string{`"external_id":%s`, `"meta":{"external_id":%s}`, `"document_type":{"value":%s}`, `"vendor":{"name":%s}`, `"vendor":%s`, `"date":%s`, `"currency_code":%s`} {
		for _, test := range []struct {
			value string
			want  bool
		}{
			{`"` + strings.Repeat("a", 256) + `"`, true},
			{`"` + strings.Repeat("a", 257) + `"`, false},
			{`"` + strings.Repeat("é", 128) + `"`, true},
			{`"` + strings.Repeat("é", 128) + `a"`, false},
			{`"` + strings.Repeat(`\u00e9`, 128) + `"`, true},
			{`"` + strings.Repeat(`\u00e9`, 129) + `"`, false},
			{`"` + strings.Repeat(`\ud83d\ude00`, 64) + `"`, true},
			{`"` + strings.Repeat(`\ud83d\ude00`, 64) + `\n"`, false},
			{strings.Repeat("7", 256), true},
			{strings.Repeat("7", 257), false},
			{`"` + strings.Repeat("a", 500_000) + `"`, false},
		} {
			if got := attributesOf(t, []byte(`{"id":1,`+fmt.Sprintf(form, test.value)+`}`), 1); (len(got) == 1) != test.want {
				t.Errorf("%s of %d bytes (%.12s…): lifted %v", form, len(test.value), test.value, len(got) == 1)
			}
		}
	}
}

// liftedBy says what is lifted out of a document, in the tree that encoding/json makes
// of it. It must not have U+FFFD in it, which stands for what is no Unicode.
func liftedBy(t fataler, body []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	inside := func(v any, name string) any {
		if object, ok := v.(map[string]any); ok {
			return object[name]
		}
		return nil
	}
	plain := func(v any) any {
		if _, ok := v.(map[string]any); ok {
			v = inside(v, "value")
		}
		if v == "" {
			return nil
		}
		return v
	}
	externalID, vendor := plain(document["external_id"]), plain(inside(document["vendor"], "name"))
	if externalID == nil {
		externalID = plain(inside(document["meta"], "external_id"))
	}
	if vendor == nil {
		vendor = plain(document["vendor"])
	}
	attributes := map[string]any{}
	for name, v := range map[string]any{
		"external_id": externalID, "vendor": vendor,
		"document_type": plain(document["document_type"]), "date": plain(document["date"]), "currency_code": plain(document["currency_code"]),
	} {
		if n, ok := v.(json.Number); ok && !strings.ContainsAny(string(n), ".eE") {
			v = string(n)
		}
		if s, ok := v.(string); ok && len(s) <= 256 && !strings.ContainsRune(s, utf8.RuneError) {
			attributes[name] = s
		}
	}
	if n, ok := plain(document["total"]).(json.Number); ok && numberFits(string(n)) {
		attributes["total"] = exactly(t, string(n))
	}
	if b, ok := plain(document["is_duplicate"]).(bool); ok {
		attributes["is_duplicate"] = b
	}
	return attributes
}

// checkLifted compares a document's lifted attributes with the JSON.
func checkLifted(t fataler, body []byte, id int64) {
	t.Helper()
	got := map[string]any{}
	for name, value := range attributesOf(t, body, id) {
		got[name] = decodedNative(t, []byte(value))
	}
	if diff := cmp.Diff(liftedBy(t, body), got); diff != "" {
		t.Fatalf("%.500s (-JSON +lifted):\n%s", body, diff)
	}
}

// scalars generates what Veryfi might send for a lifted value, and what it never should.
func scalars() *rapid.Generator[string] {
	return rapid.OneOf(
		values(2), numbers(), quoted(),
		rapid.SampledFrom([]string{`null`, `true`, `false`, `""`, `"\ud800"`, "\"a\xff\"", `"\ude00\ud83d"`, `[]`, `{}`}),
		rapid.Custom(func(t *rapid.T) string {
			part := rapid.SampledFrom([]string{"a", `\u0061`, "é", `\u00e9`, `\ud83d\ude00`}).Draw(t, "part")
			return `"` + strings.Repeat(part, rapid.IntRange(60, 260).Draw(t, "times")) + `"`
		}),
	)
}

func TestLiftedAttributesHoldTheSameValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"external_id", "document_type", "vendor", "date", "total", "currency_code", "is_duplicate", "meta", "name", "value", "other"}
		name := rapid.Custom(func(t *rapid.T) string {
			text := rapid.SampledFrom(names).Draw(t, "name")
			if rapid.IntRange(0, 4).Draw(t, "in escapes") == 0 {
				return fmt.Sprintf(`"\u%04x%s"`, text[0], text[1:])
			}
			return `"` + text + `"`
		})
		var object func(depth int) *rapid.Generator[string]
		object = func(depth int) *rapid.Generator[string] {
			return rapid.Custom(func(t *rapid.T) string {
				var members []string
				for range rapid.IntRange(0, 12/depth).Draw(t, "members") {
					value := scalars()
					if depth < 4 && rapid.Bool().Draw(t, "an object") {
						value = object(depth + 1)
					}
					members = append(members, name.Draw(t, "name")+space(t)+":"+space(t)+value.Draw(t, "value"))
				}
				if depth == 1 {
					members = append(members, `"id":1`)
				}
				return "{" + join(t, members) + "}"
			})
		}
		checkLifted(t, []byte(object(1).Draw(t, "document")), 1)
	})
}

// TestKindsOfObjects has each of them as Veryfi's SDKs show it, with few of its members.
func TestKindsOfObjects(t *testing.T) {
	t.Parallel()
	for kind, test := range map[string]struct {
		body string
		want map[string]string
	}{
		"receipt of an early year": {
			`{"abn_number":"","category":"Meals & Entertainment","currency_code":"USD","date":"2021-06-22 16:11:10","external_id":"","id":1,"total":97.66,"vendor":{"address":"2 Main St","name":"A Grill","raw_name":"A GRILL"}}`,
			map[string]string{"currency_code": `{"S":"USD"}`, "date": `{"S":"2021-06-22 16:11:10"}`, "total": `{"N":"97.66"}`, "vendor": `{"S":"A Grill"}`},
		},
		"receipt that could not be read": {
			`{"id":1,"currency_code":"COP","date":null,"document_type":"receipt","external_id":null,"is_duplicate":false,"meta":{"duplicates":[{"id":2,"score":1}]},"total":null,"vendor":{"name":null,"raw_name":null}}`,
			map[string]string{"currency_code": `{"S":"COP"}`, "document_type": `{"S":"receipt"}`, "is_duplicate": `{"BOOL":false}`},
		},
		"receipt with both flags": {
			`{"id":1,"currency_code":{"score":0.96,"value":"USD"},"date":{"bounding_box":[0,0.5,0.1,0.7,0.1],"bounding_region":[0.5],"rotation":0,"score":1.0,"enriched":true,"value":"2022-05-24 13:10:00"},` +
				`"document_type":{"score":0.99,"value":"receipt"},"external_id":null,"is_duplicate":true,"meta":{"duplicates":[]},"total":{"ocr_score":0.99,"score":1.0,"value":29.53},` +
				`"vendor":{"address":{"value":"1 Main St"},"bank_breakdown":[{}],"name":{"rotation":0,"score":0.98,"value":"Corner Shop"}}}`,
			map[string]string{
				"currency_code": `{"S":"USD"}`, "date": `{"S":"2022-05-24 13:10:00"}`, "document_type": `{"S":"receipt"}`, "is_duplicate": `{"BOOL":true}`, "total": `{"N":"29.53"}`, "vendor": `{"S":"Corner Shop"}`,
			},
		},
		"check": {
			`{"pdf_url":"https://example.com/a.pdf","id":1,"external_id":null,"created_date":"2024-01-02 03:04:05","text":"⑆021000021⑆\f","meta":{"external_id":"cheque 9","source":"api","tags":[]},"amount":150.0,` +
				`"date":"2021-10-04","payer_name":"A","receiver_name":"B","micr":{"branch":null,"raw":"⑈0101⑈"}}`,
			map[string]string{"external_id": `{"S":"cheque 9"}`, "date": `{"S":"2021-10-04"}`},
		},
		"bank statement": {
			`{"transactions":[{"date":"2020-11-01","description":"BALANCE"}],"id":1,"external_id":null,"account_holder_name":"A","period_end_date":"2020-11-30","statement_date":"2020-12-02","currency_code":"GBP"}`,
			map[string]string{"currency_code": `{"S":"GBP"}`},
		},
		"W-2":           {`{"id":1,"external_id":null,"created_date":"2024-01-02 03:04:05","employer_name":"A","wages_other_comps":30000.0,"states":[{"state":"IL"}]}`, map[string]string{}},
		"any-document":  {`{"id":1,"external_id":"licence","blueprint_name":"us_driver_license","birth_date":"1995-03-01","weight":"160 lb"}`, map[string]string{"external_id": `{"S":"licence"}`}},
		"business card": {`{"text":"A","id":1,"external_id":null,"organization":"B","parsed_name":{"first_name":"C"},"email":"c@example.com"}`, map[string]string{}},
	} {
		if diff := cmp.Diff(test.want, attributesOf(t, []byte(test.body), 1)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
		checkLifted(t, []byte(test.body), 1)
	}
}

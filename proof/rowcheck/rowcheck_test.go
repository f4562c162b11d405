package rowcheck

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Short names for the attributes of a row.
type (
	text    = types.AttributeValueMemberS
	number  = types.AttributeValueMemberN
	truth   = types.AttributeValueMemberBOOL
	null    = types.AttributeValueMemberNULL
	list    = types.AttributeValueMemberL
	object  = types.AttributeValueMemberM
	binary  = types.AttributeValueMemberB
	members = map[string]types.AttributeValue
	values  = []types.AttributeValue
)

func gzipped(t *testing.T, document string) *binary {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(document)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &binary{Value: b.Bytes()}
}

func TestLiftedAttributesAreThoseOfTheDocument(t *testing.T) {
	all := func() members {
		return members{
			"external_id": &text{Value: "x"}, "document_type": &text{Value: "receipt"}, "vendor": &text{Value: "A"}, "date": &text{Value: "d"},
			"currency_code": &text{Value: "7"}, "total": &number{Value: "12.1"}, "is_duplicate": &truth{Value: true},
		}
	}
	const plain = `"external_id": "x", "document_type": "receipt", "vendor": {"name": "A"}, "date": "d", "currency_code": 7, "total": 12.10, "is_duplicate": true}`
	const detailed = `"external_id": "", "meta": {"external_id": {"value": "x"}}, "document_type": {"value": "receipt"}, "vendor": {"name": {"value": "A"}}, ` +
		`"date": {"value": "d"}, "currency_code": {"value": 7}, "total": {"value": 12.10}, "is_duplicate": {"value": true}}`
	none := `"external_id": "` + strings.Repeat("a", 257) + `", "document_type": "", "vendor": ["A"], "date": 1.5, "currency_code": null, "total": "12.1", "is_duplicate": 1}`
	check := func(document string, row members, isAlike bool) {
		t.Helper()
		row["document_gzip"] = gzipped(t, document)
		if got := Difference(row, []byte(document)); (got == "") != isAlike {
			t.Errorf("%s: %q", document, got)
		}
	}
	for _, start := range []string{`{"id": 1, `, `{"vendor": "B", "total": 1e300, `} {
		check(start+plain, all(), true)
		check(start+detailed, all(), true)
		check(start+none, members{}, true)
		for name := range all() {
			missing, other, more := all(), all(), members{name: all()[name]}
			delete(missing, name)
			other[name] = &text{Value: "other"}
			for _, form := range []string{plain, detailed} {
				check(start+form, missing, false)
				check(start+form, other, false)
			}
			check(start+none, more, false)
		}
	}
	check(`{"total": 1e300}`, members{}, true)
	check(`{"total": 1e30}`, members{"total": &number{Value: "2e30"}}, false)
	check(`{"vendor": "a\ud800"}`, members{}, true)
	check(`{"total": NaN, "vendor": "A"}`, members{}, true) // encoding/json cannot say
}

func TestEachDifferenceIsTold(t *testing.T) {
	one := func(value types.AttributeValue) members {
		return members{"document": &object{Value: members{"a": value}}}
	}
	for name, test := range map[string]struct {
		document string
		row      members
		want     string
	}{
		"all alike": {`{"a": [1.50, "é", true, null, {"b": []}]}`, one(&list{Value: values{
			&number{Value: "1.5"}, &text{Value: "é"}, &truth{Value: true}, &null{Value: true}, &object{Value: members{"b": &list{}}},
		}}), ""},
		"exponent":         {`{"a": 1e3}`, one(&number{Value: "1000"}), ""},
		"one digit":        {`{"a": 12345678901234567890.1}`, one(&number{Value: "12345678901234567890.2"}), "a: 12345678901234567890.2 for 12345678901234567890.1"},
		"no number":        {`{"a": 1}`, one(&number{Value: "one"}), "a: one for 1"},
		"text for number":  {`{"a": 1}`, one(&text{Value: "1"}), "S for 1"},
		"number for text":  {`{"a": "1"}`, one(&number{Value: "1"}), `for "1"`},
		"another text":     {`{"a": "x"}`, one(&text{Value: "y"}), `for "x"`},
		"another truth":    {`{"a": true}`, one(&truth{Value: false}), "for true"},
		"text for truth":   {`{"a": true}`, one(&text{Value: "true"}), "for true"},
		"text for null":    {`{"a": null}`, one(&text{Value: ""}), "S for null"},
		"missing":          {`{"a": 1, "b": 2}`, one(&number{Value: "1"}), "for an object of 2 members"},
		"another name":     {`{"b": 1}`, one(&number{Value: "1"}), "b: <nil> for 1"},
		"one too many":     {`{}`, one(&number{Value: "1"}), "for an object of 0 members"},
		"text for object":  {`{"a": {}}`, one(&text{Value: "{}"}), "S for an object"},
		"shorter":          {`{"a": [1, 2]}`, one(&list{Value: values{&number{Value: "1"}}}), "for an array of 2 elements"},
		"other order":      {`{"a": [1, 2]}`, one(&list{Value: values{&number{Value: "2"}, &number{Value: "1"}}}), "a: 0: 2 for 1"},
		"text for array":   {`{"a": []}`, one(&text{Value: "[]"}), "S for an array"},
		"deep":             {`{"a": {"b": [{"c": 1}]}}`, one(&object{Value: members{"b": &list{Value: values{&object{Value: members{"c": &number{Value: "2"}}}}}}}), "a: b: 0: c: 2 for 1"},
		"none":             {`{"a": 1}`, members{}, "<nil> for an object"},
		"no JSON":          {`{"a"`, one(&number{Value: "1"}), "unexpected EOF"},
		"gzipped":          {`{"a": 1}`, members{"document_gzip": gzipped(t, `{"a": 1}`)}, ""},
		"gzipped a bit":    {`{"a": 1}`, members{"document_gzip": gzipped(t, `{"a":1}`)}, "which are not the 8 of the document"},
		"gzipped, another": {`{"a": 1}`, members{"document_gzip": gzipped(t, `{"a": 2}`)}, "which are not the 8 of the document"},
		"no gzip":          {`{"a": 1}`, members{"document_gzip": &binary{Value: []byte(`{"a": 1}`)}}, "unexpected EOF"},
		"half a gzip":      {`{"a": 1}`, members{"document_gzip": &binary{Value: gzipped(t, `{"a": 1}`).Value[:20]}}, "unexpected EOF"},
		"twice":            {`{"a": 1}`, members{"document_gzip": gzipped(t, `{"a": 1}`), "document": &object{}}, "there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Difference(test.row, []byte(test.document))
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("%q, not %q", got, test.want)
			}
		})
	}
}

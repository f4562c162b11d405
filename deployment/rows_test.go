package deployment

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/document"
)

func TestNumbersAreShownToTheDigit(t *testing.T) {
	t.Parallel()
	row := Row{"document": &types.AttributeValueMemberM{Value: Row{
		"id":    &types.AttributeValueMemberN{Value: "9223372036854775807"},
		"rate":  &types.AttributeValueMemberN{Value: "1.2345678901234567890123456789012345678"},
		"paid":  &types.AttributeValueMemberBOOL{Value: true},
		"logo":  &types.AttributeValueMemberNULL{Value: true},
		"lines": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: "<ñ> & 'x'"}}},
	}}}
	got, err := row.Document()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":9223372036854775807,"lines":["<ñ> & 'x'"],"logo":null,"paid":true,"rate":1.2345678901234567890123456789012345678}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestGzippedDocumentIsShownAsReceived(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 990) + strings.Repeat("]", 990)
	for received, want := range map[string]string{
		`{"id": 7, "status": "processed", "n": 1e400}`:                                   `{"id": 7, "status": "processed", "n": 1e400}`,
		`{"id": 7, "a": [NaN, Infinity, -Infinity], "NaN": {"Infinity": NaN}}`:           `{"id": 7, "a": ["NaN", "Infinity", "-Infinity"], "NaN": {"Infinity": "NaN"}}`,
		`{"id": 7, "b": "NaN", "-Infinity": "\" NaN", "n": -0.10e+99, "o": null}`:        `{"id": 7, "b": "NaN", "-Infinity": "\" NaN", "n": -0.10e+99, "o": null}`,
		`{"id": 7, "n": 123456789012345678901234567890123456789012345678901234567890.0}`: `{"id": 7, "n": 123456789012345678901234567890123456789012345678901234567890.0}`,
		"{\"id\": 7,\n\t\"deep\": " + deep + ", \"t\": true, \"f\": false}":              "{\"id\": 7,\n\t\"deep\": " + deep + ", \"t\": true, \"f\": false}",
	} {
		d, err := document.Read([]byte(received), 7)
		if err != nil {
			t.Fatal(err)
		}
		zipped, err := d.Gzip()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Row{"document_gzip": &types.AttributeValueMemberB{Value: zipped}}.Document()
		if err != nil || string(got) != want || !json.Valid(got) {
			t.Errorf("%s, %v", got, err)
		}
	}
	for _, broken := range []string{"", "{", `{"a" 1}`, "nan", "Inf", "-", `"a`, "1 2", "NaNNaN", "[1,]"} {
		if got, err := strict([]byte(broken)); err == nil {
			t.Errorf("%s becomes %s", broken, got)
		}
	}
	if _, err := (Row{"document_gzip": &types.AttributeValueMemberB{Value: []byte("x")}}).Document(); err == nil {
		t.Error("what cannot be read is no document")
	}
	if got, err := (Row{}).Document(); got != nil || err != nil {
		t.Errorf("a row without a document has %s, %v", got, err)
	}
}

// Package rowcheck compares rows with the documents that they must hold.
package rowcheck

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/big"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Difference says where a row does not hold the document, or nothing: native,
// number by number, or gzipped, byte by byte, and not both.
func Difference(row map[string]types.AttributeValue, document []byte) string {
	gzipped, ok := row["document_gzip"].(*types.AttributeValueMemberB)
	if !ok {
		var want any
		decoder := json.NewDecoder(bytes.NewReader(document))
		decoder.UseNumber()
		if err := decoder.Decode(&want); err != nil {
			return err.Error()
		}
		return difference(want, row["document"])
	}
	if row["document"] != nil {
		return "the document is there twice"
	}
	r, err := gzip.NewReader(bytes.NewReader(gzipped.Value))
	if err != nil {
		return err.Error()
	}
	got, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	if !bytes.Equal(got, document) {
		return fmt.Sprintf("document_gzip has %d bytes, which are not the %d of the document", len(got), len(document))
	}
	return ""
}

// difference says where an attribute is not what the JSON says.
func difference(want any, got types.AttributeValue) string {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(*types.AttributeValueMemberM)
		if !ok || len(m.Value) != len(want) {
			return fmt.Sprintf("%T for an object of %d members", got, len(want))
		}
		for name, value := range want {
			if diff := difference(value, m.Value[name]); diff != "" {
				return name + ": " + diff
			}
		}
	case []any:
		l, ok := got.(*types.AttributeValueMemberL)
		if !ok || len(l.Value) != len(want) {
			return fmt.Sprintf("%T for an array of %d elements", got, len(want))
		}
		for i, value := range want {
			if diff := difference(value, l.Value[i]); diff != "" {
				return fmt.Sprintf("%d: %s", i, diff)
			}
		}
	case json.Number:
		n, ok := got.(*types.AttributeValueMemberN)
		if !ok {
			return fmt.Sprintf("%T for %s", got, want)
		}
		a, okA := new(big.Rat).SetString(string(want))
		b, okB := new(big.Rat).SetString(n.Value)
		if !okA || !okB || a.Cmp(b) != 0 {
			return fmt.Sprintf("%s for %s", n.Value, want)
		}
	case string:
		if s, ok := got.(*types.AttributeValueMemberS); !ok || s.Value != want {
			return fmt.Sprintf("%v for %q", got, want)
		}
	case bool:
		if b, ok := got.(*types.AttributeValueMemberBOOL); !ok || b.Value != want {
			return fmt.Sprintf("%v for %v", got, want)
		}
	case nil:
		if _, ok := got.(*types.AttributeValueMemberNULL); !ok {
			return fmt.Sprintf("%T for null", got)
		}
	}
	return ""
}

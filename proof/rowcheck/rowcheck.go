// Package rowcheck compares rows with the documents that they must hold.
package rowcheck

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Difference says where a row does not hold the document, or nothing: native,
// number by number, or gzipped, byte by byte, and not both. Of what is lifted out of a
// document, it says nothing when encoding/json cannot read that.
func Difference(row map[string]types.AttributeValue, document []byte) string {
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	err := decoder.Decode(&tree)
	var diff string
	switch gzipped, ok := row["document_gzip"].(*types.AttributeValueMemberB); {
	case !ok && err != nil:
		return err.Error()
	case !ok:
		diff = difference(tree, row["document"])
	case row["document"] != nil:
		return "the document is there twice"
	default:
		diff = gzippedDifference(gzipped, document)
	}
	if diff == "" && err == nil {
		return liftedDifference(row, tree)
	}
	return diff
}

func gzippedDifference(gzipped *types.AttributeValueMemberB, document []byte) string {
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

// liftedDifference says which attribute is not what must be lifted out of a document.
func liftedDifference(row map[string]types.AttributeValue, document any) string {
	of := func(name string) any { return plain(member(document, name)) }
	externalID := first(of("external_id"), plain(member(member(document, "meta"), "external_id")))
	vendor := first(plain(member(member(document, "vendor"), "name")), of("vendor"))
	total, isNumber := of("total").(json.Number)
	// Of other numbers, some are beyond what DynamoDB can hold.
	mustBeThere := len(total) <= 38 && !strings.ContainsAny(string(total), "eE")
	isDuplicate, isBool := of("is_duplicate").(bool)
	for name, want := range map[string]any{
		"external_id": liftedText(externalID), "document_type": liftedText(of("document_type")), "vendor": liftedText(vendor),
		"date": liftedText(of("date")), "currency_code": liftedText(of("currency_code")),
		"total": when(isNumber, total), "is_duplicate": when(isBool, isDuplicate),
	} {
		got := row[name]
		switch s, isText := want.(string); {
		case isText && strings.ContainsRune(s, utf8.RuneError): // perhaps in place of what is no Unicode
		case want == nil && got != nil:
			return fmt.Sprintf("%s: %v is not lifted out of the document", name, got)
		case want != nil && (got != nil || name != "total" || mustBeThere):
			if diff := difference(want, got); diff != "" {
				return name + ": " + diff
			}
		}
	}
	return ""
}

func member(object any, name string) any {
	members, _ := object.(map[string]any)
	return members[name]
}

// plain returns the scalar that a detailed answer has as {"value": …}.
func plain(value any) any {
	if _, ok := value.(map[string]any); ok {
		return member(value, "value")
	}
	return value
}

func first(one, other any) any {
	if one == nil || one == "" {
		return other
	}
	return one
}

// liftedText returns the text that is lifted, nil for none.
func liftedText(value any) any {
	if n, ok := value.(json.Number); ok && !strings.ContainsAny(string(n), ".eE") {
		value = string(n)
	}
	s, ok := value.(string)
	return when(ok && s != "" && len(s) <= 256, s)
}

func when(is bool, value any) any {
	if !is {
		return nil
	}
	return value
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

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/shared/jsonscan"
	"veryfi-intake/shared/store"
)

// An item is a row as DynamoDB has it.
type item map[string]types.AttributeValue

// row returns the row of a key, or nil.
func (d *deployment) row(a *app, key string) (item, error) {
	out, err := dynamodb.NewFromConfig(d.aws).GetItem(a, &dynamodb.GetItemInput{
		TableName: aws.String(d.outputs[tableName]), Key: item{"id": &types.AttributeValueMemberS{Value: key}}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// plain returns the row without the document, for JSON. Numbers keep their digits.
func (i item) plain() map[string]any {
	plain := map[string]any{}
	for name, value := range i {
		if name != "document" {
			plain[name] = plainValue(value)
		}
	}
	return plain
}

// whole returns the row with the document, for JSON.
func (i item) whole() (map[string]any, error) {
	plain := i.plain()
	document, err := i.document()
	if document != nil {
		delete(plain, "document_gzip")
		plain["document"] = document
	}
	return plain, err
}

func (i item) status() store.Status {
	status, _ := i["status"].(*types.AttributeValueMemberS)
	if status == nil {
		return ""
	}
	return store.Status(status.Value)
}

// document returns the document, or nil when there is none. What was stored gzipped has
// its members in the order in which Veryfi sent them; else they are sorted by name.
func (i item) document() (json.RawMessage, error) {
	if zipped, ok := i["document_gzip"].(*types.AttributeValueMemberB); ok {
		text, err := gunzip(zipped.Value)
		if err == nil {
			text, err = strict(text)
		}
		if err != nil {
			return nil, fmt.Errorf("the row's document_gzip cannot be read: %w", err)
		}
		return text, nil
	}
	if i["document"] == nil {
		return nil, nil //nolint:nilnil // most rows that need attention have none
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(plainValue(i["document"]))
	return bytes.TrimSpace(out.Bytes()), err
}

func gunzip(zipped []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

// strict returns JSON as RFC 8259 has it of what Python writes: the numbers NaN,
// Infinity and -Infinity become strings. All else stays to the byte.
func strict(text []byte) ([]byte, error) {
	var out []byte
	s := jsonscan.New(text)
	for space := 0; !s.AtEnd(); space = s.Pos() {
		start := s.Pos()
		out = append(out, text[space:start]...)
		isName := slices.ContainsFunc([]string{"NaN", "Infinity", "-Infinity"}, s.Literal)
		switch token := text[start:s.Pos()]; {
		case isName:
			out = fmt.Appendf(out, "%q", token)
		case isToken(&s):
			out = append(out, text[start:s.Pos()]...)
		default:
			return nil, errNotJSON
		}
	}
	if !json.Valid(out) {
		return nil, errNotJSON
	}
	return out, nil
}

var errNotJSON = errors.New("it is not JSON")

// isToken consumes the next token, and reports whether it is one of JSON's.
func isToken(s *jsonscan.Scanner) bool {
	if _, _, ok := s.String(); ok {
		return true
	}
	if _, _, ok := s.Number(); ok {
		return true
	}
	return slices.ContainsFunc([]string{"{", "}", "[", "]", ",", ":", "true", "false", "null"}, s.Literal)
}

func plainValue(value types.AttributeValue) any {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return json.Number(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberB:
		return v.Value
	case *types.AttributeValueMemberL:
		list := make([]any, len(v.Value))
		for i, one := range v.Value {
			list[i] = plainValue(one)
		}
		return list
	case *types.AttributeValueMemberM:
		members := make(map[string]any, len(v.Value))
		for name, one := range v.Value {
			members[name] = plainValue(one)
		}
		return members
	default: // null; a row has no sets
		return nil
	}
}

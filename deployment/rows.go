package deployment

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// A Row is a row of the table, whole, as DynamoDB has it. It is nil where there is none.
type Row map[string]types.AttributeValue

// Row returns the row with a key, or nil.
func (s *Stack) Row(ctx context.Context, key string) (Row, error) {
	out, err := dynamodb.NewFromConfig(s.AWS).GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(s.Outputs[TableName]), Key: Row{"id": &types.AttributeValueMemberS{Value: key}}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// Rows returns the row with a key; without one, the rows of that number under the keys of
// all other kinds and of failed sets; without these, those of the documents that have it as
// external_id, which Veryfi is asked for. Without a row the error says what is known of the
// id.
func (s *Stack) Rows(ctx context.Context, id string) ([]Row, error) {
	kinds, err := s.Kinds()
	if err != nil {
		return nil, err
	}
	if row, err := s.Row(ctx, id); row != nil || err != nil {
		return []Row{row}, err
	}
	number, notNumber := strconv.ParseInt(id, 10, 64)
	if notNumber == nil {
		var keys []string
		for _, kind := range kinds.All() {
			if kind.Resource != string(veryfi.Documents) {
				keys = append(keys, kind.Key(number))
			}
			if kind.HasSets {
				keys = append(keys, kind.FailedSetKey(number))
			}
		}
		if rows, err := s.rows(ctx, keys); rows != nil || err != nil {
			return rows, err
		}
	}
	keys, err := s.keysByExternalID(ctx, kinds, id)
	if err != nil {
		return nil, err
	}
	rows, err := s.rows(ctx, keys)
	switch {
	case rows != nil || err != nil:
		return rows, err
	case keys != nil:
		return nil, fmt.Errorf("Veryfi has %s as %v, and there is no row of it yet: `intake reconcile %s` fetches it", id, keys, keys[0])
	case notNumber == nil:
		return nil, fmt.Errorf("there is no row %s: if that is a document's id, `intake reconcile %s` fetches it. Veryfi knows no document with that external_id", id, id)
	default:
		return nil, fmt.Errorf("there is no row %s, and Veryfi knows no document with that external_id (it does not list those that it has deleted)", id)
	}
}

// rows returns those rows with these keys that there are.
func (s *Stack) rows(ctx context.Context, keys []string) (rows []Row, err error) {
	for _, key := range keys {
		row, err := s.Row(ctx, key)
		if err != nil {
			return nil, err
		}
		if row != nil {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// notListed are the classes of the answers for a kind that an account does not have.
var notListed = []failure.Class{failure.CredentialsRefused, failure.NotFound, failure.Refused}

// keysByExternalID asks Veryfi for the documents of each kind that have an external_id, and
// returns the keys of their rows. A kind that Veryfi does not list for this account has none.
func (s *Stack) keysByExternalID(ctx context.Context, kinds event.Kinds, id string) (keys []string, err error) {
	client, err := s.VeryfiClient(ctx)
	if err != nil {
		return nil, fmt.Errorf("there is no row %s; to look for an external_id, %w", id, err)
	}
	for _, kind := range kinds.All() {
		resource := veryfi.Resource(kind.Resource)
		found, err := client.FindByExternalID(ctx, resource, id)
		answer, _ := errors.AsType[*veryfi.Error](err)
		switch {
		case resource != veryfi.Documents && answer != nil && slices.Contains(notListed, answer.Class):
			continue
		case err != nil:
			return nil, fmt.Errorf("there is no row %s, and cannot ask Veryfi for an external_id: %w", id, err)
		}
		for _, number := range found {
			keys = append(keys, kind.Key(number))
		}
	}
	return keys, nil
}

// ProblemStatuses are those of rows that need attention, the worst first.
var ProblemStatuses = []store.Status{store.Error, store.Retrying, store.Failed, store.Unsupported}

// Problems returns the rows that need attention because of a status, the latest first,
// without their documents, at most limit of them.
func (s *Stack) Problems(ctx context.Context, status store.Status, limit int) ([]store.Row, error) {
	return store.NewReader(dynamodb.NewFromConfig(s.AWS), s.Outputs[TableName]).Problems(ctx, status, limit)
}

// Text returns an attribute that is a text, or "".
func (r Row) Text(name string) string {
	value, _ := r[name].(*types.AttributeValueMemberS)
	if value == nil {
		return ""
	}
	return value.Value
}

// Status returns the row's status, "" where there is no row.
func (r Row) Status() store.Status { return store.Status(r.Text("status")) }

// Whole returns the row for JSON, with the document as a [json.RawMessage]. Numbers keep
// their digits.
func (r Row) Whole() (map[string]any, error) {
	whole := map[string]any{}
	for name, value := range r {
		if name != "document" && name != "document_gzip" {
			whole[name] = plainValue(value)
		}
	}
	document, err := r.Document()
	if document != nil {
		whole["document"] = document
	}
	return whole, err
}

// Document returns the document, or nil when there is none. What was stored gzipped has
// its members in the order in which Veryfi sent them; else they are sorted by name.
func (r Row) Document() (json.RawMessage, error) {
	if zipped, ok := r["document_gzip"].(*types.AttributeValueMemberB); ok {
		text, err := gunzip(zipped.Value)
		if err == nil {
			text, err = strict(text)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the row's document_gzip: %w", err)
		}
		return text, nil
	}
	if r["document"] == nil {
		return nil, nil //nolint:nilnil // most rows that need attention have none
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(plainValue(r["document"]))
	return bytes.TrimSpace(out.Bytes()), err
}

func gunzip(zipped []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

// token matches a string, and the numbers that Python writes and JSON does not have.
var token = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|NaN|-?Infinity`)

// strict turns what Python writes as JSON into that of RFC 8259: the numbers NaN,
// Infinity and -Infinity become strings. All else stays to the byte.
func strict(text []byte) ([]byte, error) {
	text = token.ReplaceAllFunc(text, func(found []byte) []byte {
		if found[0] == '"' {
			return found
		}
		return fmt.Appendf(nil, "%q", found)
	})
	if !json.Valid(text) {
		return nil, errors.New("it is not JSON")
	}
	return text, nil
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

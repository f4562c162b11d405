package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/shared/document"
)

// TimeFormat is how rows write times: RFC 3339 in UTC. All have the same length,
// so that their order as text is their order in time.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// putItemBody returns the body of a PutItem call.
func putItemBody(table string, row Row, seen State, native bool) ([]byte, error) {
	name, value, size, err := documentAttribute(row.Document, native)
	if err != nil {
		return nil, err
	}
	b := body{json: make([]byte, 0, 2048+len(value))}
	b.quoted(`{"TableName":`, table, `,"Item":{"id":`)
	b.quoted(`{"S":`, row.ID, `}`)
	b.size = len("id") + len(row.ID)

	b.string("status", string(row.Status))
	if row.Status != Processed {
		b.string("problem", string(row.Status))
		b.string("error", row.Error)
	}
	b.string("event", row.Event)
	b.list("events", row.Events)
	b.string("created", row.Created)
	b.number("parent_id", row.ParentID)
	b.time("received_at", row.ReceivedAt)
	b.time("retrieved_at", row.RetrievedAt)
	b.time("updated_at", row.UpdatedAt)
	if !row.ExpiresAt.IsZero() {
		b.number("expires_at", row.ExpiresAt.Unix()) // as DynamoDB wants it
	}
	b.list("enrichments", formatted(row.Enrichments))
	b.number("attempts", int64(row.Attempts))
	b.number("not_found", int64(row.NotFound))
	b.string("request_id", row.RequestID)
	b.string("data", row.Data)
	if d := row.Document; d != nil {
		for _, lifted := range d.Lifted {
			b.attribute(lifted.Name, lifted.Size)
			b.json = append(b.json, lifted.Value...)
		}
		b.attribute(name, size)
		b.json = append(b.json, value...)
	}
	if b.size > document.MaxItemSize {
		return nil, fmt.Errorf("%w: the item would have %d bytes, of %d", ErrTooLarge, b.size, document.MaxItemSize)
	}

	if seen.Version == "" {
		b.raw(`},"ConditionExpression":"attribute_not_exists(updated_at)"}`)
		return b.json, nil
	}
	b.quoted(`},"ConditionExpression":"updated_at = :version","ExpressionAttributeValues":{":version":{"S":`, seen.Version, `}}}`)
	return b.json, nil
}

// documentAttribute returns the attribute that holds a document: its name, its value in
// DynamoDB's JSON, and how many bytes the value counts.
func documentAttribute(d *document.Document, native bool) (name string, value []byte, size int, err error) {
	switch {
	case d == nil:
		return "", nil, 0, nil
	case native:
		return "document", d.Native, d.NativeSize, nil
	}
	gzipped, err := d.Gzip()
	value = append(base64.StdEncoding.AppendEncode([]byte(`{"B":"`), gzipped), `"}`...)
	return "document_gzip", value, len(gzipped), err
}

// A body is DynamoDB's JSON in the making. Attributes without a value are left out.
type body struct {
	json []byte
	size int // of the item, as DynamoDB counts it
}

func (b *body) raw(parts ...string) {
	for _, part := range parts {
		b.json = append(b.json, part...)
	}
}

// quoted writes s as a JSON string, with raw text around it.
func (b *body) quoted(before, s, after string) {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	b.raw(before)
	b.json = append(b.json, quoted...)
	b.raw(after)
}

// attribute begins an attribute whose value counts size bytes.
func (b *body) attribute(name string, size int) {
	b.raw(`,"`, name, `":`)
	b.size += len(name) + size
}

func (b *body) string(name, value string) {
	if value == "" {
		return
	}
	b.attribute(name, len(value))
	b.quoted(`{"S":`, value, `}`)
}

func (b *body) list(name string, values []string) {
	if len(values) == 0 {
		return
	}
	b.attribute(name, 3+len(values)+len(strings.Join(values, "")))
	b.raw(`{"L":[`)
	for i, value := range values {
		if i > 0 {
			b.raw(`,`)
		}
		b.quoted(`{"S":`, value, `}`)
	}
	b.raw(`]}`)
}

func (b *body) number(name string, value int64) {
	if value == 0 {
		return
	}
	digits := strconv.FormatInt(value, 10)
	b.attribute(name, len(digits)/2+2)
	b.raw(`{"N":"`, digits, `"}`)
}

func (b *body) time(name string, value time.Time) {
	if !value.IsZero() {
		b.string(name, value.UTC().Format(TimeFormat))
	}
}

// stateOf reads the state of a row from its item.
func stateOf(item map[string]types.AttributeValue) State {
	row := Row{Status: Status(text(item, "status")), Error: text(item, "error")}
	return State{
		Status:      row.Status,
		Class:       row.Class(),
		Event:       text(item, "event"),
		Events:      texts(item, "events"),
		Created:     text(item, "created"),
		ParentID:    number(item, "parent_id"),
		RetrievedAt: timeOf(text(item, "retrieved_at")),
		Enrichments: times(texts(item, "enrichments")),
		Attempts:    int(number(item, "attempts")),
		NotFound:    int(number(item, "not_found")),
		RequestID:   text(item, "request_id"),
		Version:     text(item, "updated_at"),
	}
}

// rowOf reads a row that has no document, or the part of a row that the index problems
// holds.
func rowOf(item map[string]types.AttributeValue) Row {
	state := stateOf(item)
	return Row{
		ID:         text(item, "id"),
		Status:     state.Status,
		Error:      text(item, "error"),
		Event:      state.Event,
		Events:     state.Events,
		Created:    state.Created,
		ParentID:   state.ParentID,
		ReceivedAt: timeOf(text(item, "received_at")),
		UpdatedAt:  state.UpdatedAt(),
		Attempts:   state.Attempts,
		RequestID:  state.RequestID,
		Data:       text(item, "data"),
	}
}

// timeOf reads a time that [Table.Put] wrote; it is zero where there is none.
func timeOf(text string) time.Time {
	t, _ := time.Parse(TimeFormat, text)
	return t
}

func times(texts []string) (times []time.Time) {
	for _, text := range texts {
		times = append(times, timeOf(text))
	}
	return times
}

func formatted(times []time.Time) (texts []string) {
	for _, t := range times {
		texts = append(texts, t.UTC().Format(TimeFormat))
	}
	return texts
}

// text returns a string of an item, or nothing.
func text(item map[string]types.AttributeValue, name string) string {
	if s, ok := item[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// texts returns the strings in a list of an item.
func texts(item map[string]types.AttributeValue, name string) (list []string) {
	if l, ok := item[name].(*types.AttributeValueMemberL); ok {
		for _, value := range l.Value {
			if s, ok := value.(*types.AttributeValueMemberS); ok {
				list = append(list, s.Value)
			}
		}
	}
	return list
}

// number returns an integer of an item, or 0.
func number(item map[string]types.AttributeValue, name string) int64 {
	if n, ok := item[name].(*types.AttributeValueMemberN); ok {
		i, _ := strconv.ParseInt(n.Value, 10, 64) // written by Put only
		return i
	}
	return 0
}

package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"veryfi-intake/shared/document"
)

// TimeFormat is how rows write times: RFC 3339 in UTC. All have the same length,
// so that their order as text is their order in time.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// maxLifted is the longest text that is lifted out of a document, in bytes. A longer
// one is left out: a part of an id is another id.
const maxLifted = 256

// putItemBody returns the body of a PutItem call.
func putItemBody(table string, row Row, seen State, native bool) ([]byte, error) {
	b := body{json: make([]byte, 0, 2048+documentSize(row, native))}
	b.raw(`{"TableName":`)
	b.quote(table)
	b.raw(`,"Item":{"id":{"S":`)
	b.quote(row.ID)
	b.raw(`}`)
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
	b.number("attempts", int64(row.Attempts))
	b.number("not_found", int64(row.NotFound))
	b.string("request_id", row.RequestID)
	b.string("data", row.Data)
	if err := b.document(row, native); err != nil {
		return nil, err
	}

	if seen.Version == "" {
		b.raw(`},"ConditionExpression":"attribute_not_exists(updated_at)"}`)
		return b.json, nil
	}
	b.raw(`},"ConditionExpression":"updated_at = :version","ExpressionAttributeValues":{":version":{"S":`)
	b.quote(seen.Version)
	b.raw(`}}}`)
	return b.json, nil
}

func documentSize(row Row, native bool) int {
	switch {
	case row.Document == nil:
		return 0
	case native:
		return len(row.Document.Native)
	default:
		return len(row.Document.JSON) / 4
	}
}

// A body is DynamoDB's JSON in the making. Attributes without a value are left
// out.
type body struct {
	json []byte
	size int // of the item, as DynamoDB counts it
}

func (b *body) raw(s string) { b.json = append(b.json, s...) }

func (b *body) quote(s string) {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	b.json = append(b.json, quoted...)
}

func (b *body) attribute(name, kind string) {
	b.raw(`,"`)
	b.raw(name)
	b.raw(`":{"`)
	b.raw(kind)
	b.raw(`":`)
	b.size += len(name)
}

func (b *body) string(name, value string) {
	if value == "" {
		return
	}
	b.attribute(name, "S")
	b.quote(value)
	b.raw(`}`)
	b.size += len(value)
}

func (b *body) list(name string, values []string) {
	if len(values) == 0 {
		return
	}
	b.attribute(name, "L")
	b.size += 3 // of a list, and 1 of each element
	for i, value := range values {
		b.raw([...]string{`[{"S":`, `,{"S":`}[min(i, 1)])
		b.quote(value)
		b.raw(`}`)
		b.size += len(value) + 1
	}
	b.raw(`]}`)
}

func (b *body) number(name string, value int64) {
	if value == 0 {
		return
	}
	digits := strconv.FormatInt(value, 10)
	b.attribute(name, "N")
	b.quote(digits)
	b.raw(`}`)
	b.size += len(digits)/2 + 2
}

func (b *body) time(name string, value time.Time) {
	if !value.IsZero() {
		b.string(name, value.UTC().Format(TimeFormat))
	}
}

func (b *body) document(row Row, native bool) error {
	d := row.Document
	if d == nil {
		return b.add(0)
	}
	b.lifted("external_id", d.ExternalID)
	b.lifted("document_type", d.Type)
	if native {
		b.raw(`,"document":`)
		b.json = append(b.json, d.Native...)
		return b.add(len("document") + d.NativeSize)
	}
	gzipped, err := d.Gzip()
	if err != nil {
		return err
	}
	b.attribute("document_gzip", "B")
	b.raw(`"`)
	b.json = base64.StdEncoding.AppendEncode(b.json, gzipped)
	b.raw(`"}`)
	return b.add(len(gzipped))
}

func (b *body) lifted(name, value string) {
	if len(value) <= maxLifted {
		b.string(name, value)
	}
}

// add counts the document in.
func (b *body) add(size int) error {
	if b.size += size; b.size > document.MaxItemSize {
		return fmt.Errorf("%w: the item would have %d bytes, of %d", ErrTooLarge, b.size, document.MaxItemSize)
	}
	return nil
}

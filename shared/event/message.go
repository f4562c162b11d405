package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/signature"
)

// Version is the newest version of messages that this code writes and reads: 1, or 2 for
// what was added then: kinds, [DocumentEnriched] and [Message.Again]. It also names the
// table of kinds, and grows with it.
const Version = 2

// Why a message cannot be read.
var (
	// ErrMalformed means that a body is not a message, and never will be.
	ErrMalformed = failure.Malformed.New("malformed message")
	// ErrUnknownKind means that the webhook knew the event already: a newer version, or a
	// [Kinds] that reaches the other functions later.
	ErrUnknownKind = failure.NewerVersion.New("this function does not know the event yet")
	// ErrNewerVersion means that newer code wrote the message, as happens while a
	// new version is deployed. Newer code will read it.
	ErrNewerVersion = failure.NewerVersion.New("message of a newer version")
)

// A Message carries one id of an event, or the data of an unsupported one,
// through the queue.
type Message struct {
	Version    int       `json:"version"`
	Event      string    `json:"event"`
	ID         int64     `json:"id,omitempty"`
	ParentID   int64     `json:"parent_id,omitempty"`
	Created    string    `json:"created,omitempty"`
	Error      string    `json:"error,omitempty"`
	Data       Text      `json:"data,omitempty"`
	ReceivedAt time.Time `json:"received_at,omitzero"`
	RequestID  string    `json:"request_id,omitempty"`
	// Again asks for a document that may be stored already: what is retrieved replaces it.
	Again bool `json:"again,omitempty"`
	// Attempts counts the tries under earlier messages, when the processor has
	// put this one back.
	Attempts int `json:"attempts,omitempty"`
	// Document is the document, gzipped, when the processor has retrieved it but could
	// not store it. Veryfi may have deleted its own. RetrievedAt is when.
	Document    []byte    `json:"document_gzip,omitempty"`
	RetrievedAt time.Time `json:"retrieved_at,omitzero"`
}

// Text is a JSON text. A message holds it as a string, so that no byte changes.
type Text string

// UnmarshalJSON also takes the JSON itself, unless that is a string.
func (t *Text) UnmarshalJSON(b []byte) error {
	if b[0] != '"' {
		*t = Text(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(t))
}

// A Task is what a message asks for.
type Task uint8

// The tasks.
const (
	KeepData      Task = iota // an unsupported event
	Retrieve                  // a document is ready
	RecordFailure             // Veryfi could not process a document or a set
)

// Task returns what the message asks for.
func (m Message) Task() Task {
	switch {
	case m.ID <= 0:
		return KeepData
	case split(m.Event).action == actionFailed:
		return RecordFailure
	default:
		return Retrieve
	}
}

// Key returns the key of the row that the message is about.
func (m Message) Key() string {
	if m.Task() == KeepData {
		text, err := signature.Text([]byte(m.Data))
		if err != nil {
			text = []byte(m.Data) // no webhook has such data, but it needs a key
		}
		sum := sha256.Sum256(text)
		return unsupported + "#" + hex.EncodeToString(sum[:8])
	}
	n := split(m.Event)
	if n.isSet && n.action == actionFailed {
		n.kind += setSuffix
	}
	return keyOf(n.kind, m.ID)
}

// unsupported stands in the keys of rows that hold an unsupported event.
const unsupported = "unsupported"

// IsReconciled reports whether the reconciler wrote the message.
func (m Message) IsReconciled() bool { return IsReconciled(m.Event) }

// IsReconciled reports whether an event's name is one of the reconciler's own.
func IsReconciled(event string) bool { return split(event).action == actionReconciled }

// OtherKeys returns the keys of the rows that the message would be about if its event had
// another name. The name is not signed: whoever caught a call can send it again under any.
// What the reconciler found has no other name.
func (k Kinds) OtherKeys(m Message) (keys []string) {
	n := split(m.Event)
	if m.Task() == KeepData || n.action == actionReconciled || n.isSet && n.action == actionFailed {
		return nil
	}
	for _, kind := range k.All() {
		if kind.Name != n.kind {
			keys = append(keys, kind.Key(m.ID))
		}
	}
	return keys
}

// CreatedOr returns Created, or before if that is a time and Created is none.
func (m Message) CreatedOr(before string) string {
	_, ok := CreatedTime(m.Created)
	if _, okBefore := CreatedTime(before); !ok && okBefore {
		return before
	}
	return m.Created
}

// IsLater reports whether the message is about something created later than that time. It
// is false when one of the times is unreadable.
func (m Message) IsLater(created string) bool {
	now, ok := CreatedTime(m.Created)
	before, okBefore := CreatedTime(created)
	return ok && okBefore && now.After(before)
}

// IsOf reports whether the message is about something created at that time. It is false
// when one of the times is unreadable.
func (m Message) IsOf(created string) bool {
	now, ok := CreatedTime(m.Created)
	then, okThen := CreatedTime(created)
	return ok && okThen && now.Equal(then)
}

// IsEarlier reports whether the message is about something created earlier than that time. It
// is false when one of the times is unreadable.
func (m Message) IsEarlier(created string) bool { return Message{Created: created}.IsLater(m.Created) }

// Encode returns the message as JSON in ASCII, since SQS refuses some characters beyond.
// A character of two bytes becomes an escape of six: a webhook of 262,144 bytes makes a
// message of little more than 786,432 bytes, and SQS takes 1 MiB.
func (m Message) Encode() string {
	b := bytes.NewBuffer(make([]byte, 0, 512)) // most messages are shorter
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false) // it would make six bytes of each <
	if err := encoder.Encode(m); err != nil {
		panic(err) // a struct of strings, integers and a time always encodes
	}
	return ascii(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// ascii escapes all characters of a JSON text that are not ASCII.
func ascii(json []byte) string {
	if !slices.ContainsFunc(json, func(c byte) bool { return c >= utf8.RuneSelf }) {
		return string(json)
	}
	out := make([]byte, 0, len(json))
	for len(json) > 0 {
		r, size := utf8.DecodeRune(json)
		switch {
		case r < utf8.RuneSelf:
			out = append(out, json[0])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		json = json[size:]
	}
	return string(out)
}

// DecodeMessage reads a message. With [ErrMalformed] and [ErrNewerVersion] it still
// returns what it could read: that may tell which document the message is about.
func DecodeMessage(body string) (Message, error) {
	var m Message
	err := json.Unmarshal([]byte(body), &m)
	switch {
	case m.Version > Version:
		return m, fmt.Errorf("%w: %d, and this code knows %d", ErrNewerVersion, m.Version, Version)
	case err != nil:
		return m, fmt.Errorf("%w: %s", ErrMalformed, reason(err))
	case m.Version < 1:
		return m, fmt.Errorf("%w: it has no version", ErrMalformed)
	case m.Task() == KeepData && m.Data == "", m.ID > 0 && m.Version < VersionOf(m.Event):
		return m, fmt.Errorf("%w: it has neither a usable event and id nor data", ErrMalformed)
	}
	return m, nil
}

// Check returns [ErrUnknownKind] if the message is about a kind that is not known here.
func (k Kinds) Check(m Message) error {
	if _, ok := k.Of(m.Event); !ok && m.Task() != KeepData {
		return ErrUnknownKind
	}
	return nil
}

// reason says what is wrong with a body, without quoting it.
func reason(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return "the type of " + wrong.Field + " is wrong"
	}
	return "it is not the JSON of a message"
}

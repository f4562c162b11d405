package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"veryfi-intake/shared/signature"
)

// Version is the version of the messages that this code writes, and the newest
// one that it reads.
const Version = 1

// Why a message cannot be read.
var (
	// ErrMalformed means that a body is not a message. It will never be one.
	ErrMalformed = errors.New("malformed message")
	// ErrNewerVersion means that newer code wrote the message, as happens while a
	// new version is deployed. Newer code will read it.
	ErrNewerVersion = errors.New("message of a newer version")
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
	// Attempts counts the tries under earlier messages, when the processor has
	// put this one back.
	Attempts int `json:"attempts,omitempty"`
	// Document is the document, gzipped, when the processor has retrieved it and
	// could not store it: nobody else may have it any more. RetrievedAt is when.
	Document    []byte    `json:"document_gzip,omitempty"`
	RetrievedAt time.Time `json:"retrieved_at,omitzero"`
}

// Text is a JSON text. A message has it as a string, which keeps it to the byte.
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
	KeepData              Task = iota // an unsupported event
	RetrieveDocument                  // a document is ready
	RetrieveBankStatement             // a bank statement is ready
	RecordFailure                     // Veryfi could not process a document or a set
)

// Task returns what the message asks for.
func (m Message) Task() Task {
	if m.ID <= 0 {
		return KeepData
	}
	switch m.Event {
	case DocumentCreated, Reconciled:
		return RetrieveDocument
	case BankStatementSetCreated:
		return RetrieveBankStatement
	case DocumentFailed, BankStatementSetFailed:
		return RecordFailure
	default:
		return KeepData
	}
}

// Key returns the key of the row that the message is about.
func (m Message) Key() string {
	if m.Task() == KeepData {
		return m.Event + "#" + m.dataHash()
	}
	id := strconv.FormatInt(m.ID, 10)
	switch m.Event {
	case BankStatementSetCreated:
		return "bank_statement#" + id
	case BankStatementSetFailed:
		return "bank_statement_set#" + id
	default:
		return id
	}
}

// SignedKey returns the key of the row that the signed data asks for, when the
// event's name, which is not signed, asks for another one. Bank statements come
// with the parent_id of their set, documents without.
func (m Message) SignedKey() string {
	switch {
	case m.ID <= 0:
		return ""
	case m.Event == DocumentCreated && m.ParentID != 0:
		m.Event = BankStatementSetCreated
	case m.Event == BankStatementSetCreated && m.ParentID == 0:
		m.Event = DocumentCreated
	default:
		return ""
	}
	return m.Key()
}

// dataHash returns the first 16 hexadecimal digits of the SHA-256 of the signed
// text.
func (m Message) dataHash() string {
	text, err := signature.Text([]byte(m.Data))
	if err != nil {
		text = []byte(m.Data) // no webhook brings such data, but a key it has
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Encode returns the message as ASCII JSON. SQS refuses some characters, and
// ASCII is free of them.
func (m Message) Encode() string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // a struct of strings, integers and a time always marshals
	}
	return ascii(b)
}

// ascii writes what is beyond ASCII in a JSON text as escapes.
func ascii(json []byte) string {
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

// DecodeMessage reads a message. With [ErrMalformed] and [ErrNewerVersion] it
// returns what could be read all the same: enough, perhaps, to tell which
// document the message is about.
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
	case m.Task() == KeepData && m.Data == "":
		return m, fmt.Errorf("%w: it has neither a usable event and id nor data", ErrMalformed)
	}
	return m, nil
}

// reason says what is wrong with a body, without a word of it.
func reason(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return "the type of " + wrong.Field + " is wrong"
	}
	return "it is not the JSON of a message"
}

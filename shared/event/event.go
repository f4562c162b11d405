// Package event says what a verified webhook means, and puts it into the
// messages that carry it from the webhook function to the processor.
package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"veryfi-intake/shared/jsonscan"
	"veryfi-intake/shared/signature"
)

// Names of events, as Veryfi sends them.
const (
	DocumentCreated = "document.created"
	DocumentFailed  = "document.failed"
	// DocumentEnriched comes after a document that was processed while somebody waited,
	// and brings what was put off: duplicates, fraud, line items.
	DocumentEnriched        = "document.enriched"
	BankStatementSetCreated = "bank_statement_set.created"
	BankStatementSetFailed  = "bank_statement_set.failed"
	// Reconciled is the reconciler's own: it found a document whose webhook has not
	// arrived. For other kinds see [Kind.Reconciled].
	Reconciled = "reconciled"
	// Subscription brings the code that confirms a webhook's URL. A person has to
	// type it into Veryfi's portal.
	Subscription = "subscription"
	// Unknown stands for a name that is missing or not a string.
	Unknown = "unknown"
	// Probe is what `intake doctor` sends, with a wrong signature.
	Probe = "intake.probe"
)

// names are the usual names of webhooks. Returning one of them copies nothing.
var names = append([]string{Subscription, DocumentEnriched}, firstNames...)

// Limits on what an event takes from a webhook.
const (
	maxIDs          = 1000
	maxNameChars    = 256
	maxCreatedChars = 64
	maxErrorChars   = 1024
)

// An Event is what a webhook says.
type Event struct {
	Name string
	// IDs are the documents that the event is about, each once, or the set that failed.
	// Without ids, because the name is unknown or the data has no usable ones, the event is
	// unsupported, and Data keeps it.
	IDs      []int64
	ParentID int64  // the set of documents that came in one file; 0 when there is none
	Created  string // as received, at most 64 characters; see [CreatedTime]
	Error    string // at most 1,024 characters
	// Data is the JSON text as received, of an unsupported event only.
	Data Text
}

// Name returns the name of a payload's event, at most 256 characters of it.
func Name(p *signature.Payload) string {
	name, ok := p.Event()
	if !ok {
		return Unknown
	}
	if i := slices.IndexFunc(names, func(n string) bool { return n == string(name) }); i >= 0 {
		return names[i]
	}
	return cut(string(name), maxNameChars)
}

// Event reads the verified data of the event with that name.
//
// Usable ids are integers from 1 to 2^63-1 or their decimal strings, at most
// 1,000 different ones. One unusable id makes the whole event unsupported: what to
// retrieve would be a guess.
func (k Kinds) Event(name string, data signature.Data) Event {
	e := Event{
		Name:    name,
		Created: cut(plainText(data.Field("created")), maxCreatedChars),
		Error:   cut(plainText(data.Field("error")), maxErrorChars),
	}
	if parent, ok := id(data.Field("parent_id")); ok {
		e.ParentID = parent
	}
	_, isKnown := k.Of(name)
	switch n := split(name); {
	case !isKnown, n.action == actionReconciled:
	case n.isSet && n.action == actionFailed:
		// A genuine one has no ids. With ids, it is a caught call of another event.
		if e.ParentID != 0 && isEmpty(data.Field("id")) {
			e.IDs = []int64{e.ParentID}
		}
	default:
		e.IDs = ids(data.Field("id"))
	}
	if len(e.IDs) == 0 {
		return Event{Name: name, Created: e.Created, Data: Text(validUnicode(data.JSON))}
	}
	return e
}

// Reread reads the data that was kept of an unsupported event again, as the event with that
// name.
func (k Kinds) Reread(name string, data Text) Event {
	var p signature.Payload
	if err := p.Parse([]byte(`{"data":` + string(data) + `}`)); err != nil {
		return Event{Name: name, Data: data}
	}
	return k.Event(name, p.Unverified())
}

// ids returns the ids in an id or an array of ids, each once, or nil when one of
// them is not usable.
func ids(json []byte) []int64 {
	if len(json) == 0 || json[0] != '[' {
		if one, ok := id(json); ok {
			return []int64{one}
		}
		return nil
	}
	var list []int64
	usable, seen := true, make(map[int64]bool)
	jsonscan.Each(json, func(_ string, value []byte) {
		one, ok := id(value)
		usable = usable && ok
		if !seen[one] {
			seen[one] = true
			list = append(list, one)
		}
	})
	if !usable || len(list) > maxIDs {
		return nil
	}
	return list
}

// isEmpty reports whether a JSON value is missing, null or an empty array.
func isEmpty(json []byte) bool {
	scan := jsonscan.New(json)
	return len(json) == 0 || scan.Literal("null") || scan.Take('[') && scan.Take(']')
}

func id(json []byte) (n int64, ok bool) {
	digits, isText := jsonscan.Text(json)
	if !isText {
		digits = json
	}
	if len(digits) == 0 || digits[0] < '1' || digits[0] > '9' { // no sign, no leading zero
		return 0, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, err == nil
}

// plainText returns the string that a JSON value is, nothing for null or a missing value,
// and the JSON text of any other value.
func plainText(json []byte) string {
	if text, ok := jsonscan.Text(json); ok {
		return string(text)
	}
	if string(json) == "null" {
		return ""
	}
	return validUnicode(json)
}

// validUnicode returns a JSON text in which surrogates that stand as bytes become escapes.
// Nothing else is invalid in a body that Python decodes.
func validUnicode(json []byte) string {
	if utf8.Valid(json) {
		return string(json)
	}
	var b strings.Builder
	for len(json) > 0 {
		r, size := utf8.DecodeRune(json)
		if r == utf8.RuneError && size == 1 {
			r, size = jsonscan.Rune(json)
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
		json = json[size:]
	}
	return b.String()
}

// cut returns at most n characters of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// Messages returns the messages that carry the event: one for each id, or one
// with the whole data.
func (e Event) Messages(receivedAt time.Time, requestID string) []Message {
	m := Message{
		Version:    1,
		Event:      e.Name,
		ParentID:   e.ParentID,
		Created:    e.Created,
		Error:      e.Error,
		Data:       e.Data,
		ReceivedAt: receivedAt.UTC().Truncate(time.Millisecond),
		RequestID:  requestID,
	}
	if len(e.IDs) == 0 {
		return []Message{m}
	}
	m.Version = VersionOf(e.Name)
	messages := slices.Repeat([]Message{m}, len(e.IDs))
	for i, id := range e.IDs {
		messages[i].ID = id
	}
	return messages
}

// CreatedTime reads Created: a date and a time, as Veryfi writes them
// ("2021-10-20 15:27:26") or as RFC 3339 does. Without a zone it is UTC.
func CreatedTime(created string) (t time.Time, ok bool) {
	for _, layout := range []string{
		time.DateTime, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", time.RFC3339,
	} {
		if t, err := time.Parse(layout, created); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

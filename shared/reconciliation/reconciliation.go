// Package reconciliation is what the reconciler function is asked, and what it answers:
// the contract between the function and those who invoke it.
package reconciliation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Request is what a run by hand asks for, and where a run that was cut short
// goes on. IDs, Since or Unsupported is given; none asks for what a scheduled run does.
type Request struct {
	// Since and Until bound when Veryfi created the documents, Until not counted in.
	// Without Until it is the end of the grace period.
	Since *Time `json:"since,omitempty"`
	Until *Time `json:"until,omitempty"`
	// Page is where to begin in the (first) list of that time, from 1 on; 0 is 1.
	Page int `json:"page,omitempty"`
	// Kind is the kind to list, by its name. Without it, the function's own are listed.
	Kind string `json:"kind,omitempty"`
	// Then is what to list after that. It has Until.
	Then *Request `json:"then,omitempty"`
	// IDs are documents to retrieve unless they are stored, whatever their rows say. Again
	// retrieves them all the same.
	IDs   []ID `json:"ids,omitempty"`
	Again bool `json:"again,omitempty"`
	// Unsupported takes up the unsupported events that are known by now, and does nothing
	// else.
	Unsupported bool `json:"unsupported,omitempty"`
}

// A Result says what a run has done.
type Result struct {
	Listed   int `json:"listed"`   // documents that Veryfi has named
	Enqueued int `json:"enqueued"` // of these or of the ids: had to be retrieved
	Stale    int `json:"stale"`    // rows that were enqueued because they have been retrying for too long
	TakenUp  int `json:"taken_up"` // rows of unsupported events whose documents were enqueued
	Removed  int `json:"removed"`  // rows of unsupported events whose documents have rows of their own
	// Next is the payload that goes on where time was up.
	Next *Request `json:"next,omitempty"`
}

// A Time is read by [ParseTime].
type Time struct{ time.Time }

// At returns a time for a [Request].
func At(t time.Time) *Time { return &Time{t} }

// UnmarshalJSON reads a time.
func (t *Time) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return errors.New("a time is a string")
	}
	var err error
	t.Time, err = ParseTime(s)
	return err
}

// ParseTime reads a time as people write it: 2026-11-01, 2026-11-01 12:00:00 or
// 2026-11-01T12:00:00Z. Without a zone it is UTC.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", text)
}

// An ID is the key of a document's row: 123456789, or check#5. In JSON a document's may be a
// number.
type ID string

// ParseID reads an id: a whole number from 1 on, which may have a kind and # before it.
// Whether there is such a kind, the function says.
func ParseID(text string) (ID, error) {
	kind, number, isOther := strings.Cut(text, "#")
	if !isOther {
		kind, number = "", text
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || isOther && kind == "" {
		return "", fmt.Errorf("%q is not a document's id: a whole number from 1 on, or a kind, # and a number, such as check#5", text)
	}
	id := strconv.FormatInt(n, 10)
	if isOther {
		id = kind + "#" + id
	}
	return ID(id), nil
}

// MarshalJSON writes a number as a number.
func (id ID) MarshalJSON() ([]byte, error) {
	if !strings.Contains(string(id), "#") {
		return []byte(id), nil
	}
	return json.Marshal(string(id))
}

// UnmarshalJSON reads an id.
func (id *ID) UnmarshalJSON(text []byte) (err error) {
	plain := string(text)
	if text[0] == '"' {
		if err := json.Unmarshal(text, &plain); err != nil {
			return err
		}
	}
	*id, err = ParseID(plain)
	return err
}

// Package reconciliation is what the reconciler function is asked, and what it answers:
// the contract between the function and those who invoke it.
package reconciliation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A Request is what a run by hand asks for, and where a run that was cut short
// goes on. Either IDs or Since are given; neither asks for what a scheduled run does.
type Request struct {
	// Since and Until bound when Veryfi created the documents, Until not counted in.
	// Without Until it is the end of the grace period.
	Since *Time `json:"since,omitempty"`
	Until *Time `json:"until,omitempty"`
	// Page is where to begin in the list of that time, from 1 on; 0 is 1.
	Page int `json:"page,omitempty"`
	// Kind is the kind whose list is read, by name; without it those of the function.
	Kind string `json:"kind,omitempty"`
	// IDs are documents to retrieve unless they are stored, whatever their rows say; with
	// Again also if they are.
	IDs   []ID `json:"ids,omitempty"`
	Again bool `json:"again,omitempty"`
	// Unsupported asks for the rows of unsupported events that are known by now.
	Unsupported bool `json:"unsupported,omitempty"`
}

// A Result says what a run has done.
type Result struct {
	Listed   int `json:"listed"`   // documents that Veryfi has named
	Enqueued int `json:"enqueued"` // of these or of the ids: had to be retrieved
	Stale    int `json:"stale"`    // rows that were enqueued because they have been retrying for too long
	TakenUp  int `json:"taken_up"` // rows of unsupported events whose ids were enqueued
	Removed  int `json:"removed"`  // such rows that are gone, since each id has a row of its own
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

// An ID is the key of a document's row: 123456789, or check#5. A number need not be a
// string.
type ID string

// MarshalJSON writes a bare number as one.
func (id ID) MarshalJSON() ([]byte, error) {
	if _, err := strconv.ParseInt(string(id), 10, 64); err == nil {
		return []byte(id), nil
	}
	return json.Marshal(string(id))
}

// UnmarshalJSON reads an id.
func (id *ID) UnmarshalJSON(text []byte) error {
	if _, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		*id = ID(text)
		return nil
	}
	if json.Unmarshal(text, (*string)(id)) != nil {
		return errors.New("an id is a whole number, or a text such as check#5")
	}
	return nil
}

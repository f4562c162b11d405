// Package reconciliation is what the reconciler function is asked, and what it answers:
// the contract between the function and those who invoke it.
package reconciliation

import (
	"bytes"
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
	// IDs are documents to retrieve unless they are stored, whatever their rows say.
	IDs []ID `json:"ids,omitempty"`
}

// A Result says what a run has done.
type Result struct {
	Listed   int `json:"listed"`   // documents that Veryfi has named
	Enqueued int `json:"enqueued"` // of these or of the ids: had to be retrieved
	Stale    int `json:"stale"`    // rows that were enqueued because they have been retrying for too long
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

// An ID is a document's, which may be given as a string of digits.
type ID int64

// UnmarshalJSON reads an id.
func (id *ID) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(bytes.Trim(text, `"`)), 10, 64)
	if err != nil || n < 1 {
		return errors.New("an id is a whole number from 1 on")
	}
	*id = ID(n)
	return nil
}

package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A Request is what a run by hand asks for, and where a run that was cut short
// goes on. Either IDs or Since are given.
type Request struct {
	// Since and Until bound when Veryfi created the documents, Until not counted in.
	// Without Until it is the end of the grace period.
	Since *moment `json:"since,omitempty"`
	Until *moment `json:"until,omitempty"`
	// Page is where to begin in the list of that time, from 1 on; 0 is 1.
	Page int `json:"page,omitempty"`
	// IDs are documents to retrieve unless they are stored, whatever their rows say.
	IDs []documentID `json:"ids,omitempty"`
}

const help = `send {} for what a scheduled run does, {"since": "2026-11-01", "until": "2026-11-02T12:00:00Z"} for documents created then (until may be left out), or {"ids": [123456789]}`

// isScheduled reports whether a payload is EventBridge's event.
func isScheduled(payload []byte) bool {
	var event struct {
		Source string `json:"source"`
	}
	return json.Unmarshal(payload, &event) == nil && event.Source == "aws.events"
}

// readRequest reads a payload. An empty one, and EventBridge's event, ask for what
// a scheduled run does: then there is no request.
func readRequest(payload []byte) (*Request, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || bytes.Equal(payload, []byte("null")) || isScheduled(payload) {
		return nil, nil //nolint:nilnil // no request is one of the two good outcomes
	}
	var r Request
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("the payload cannot be read: %w; %s", err, help)
	}
	switch {
	case r.IDs == nil && r.Since == nil && r.Until == nil && r.Page == 0:
		return nil, nil //nolint:nilnil // as above
	case r.IDs != nil && (r.Since != nil || r.Until != nil || r.Page != 0):
		return nil, fmt.Errorf("the payload has ids and a time; %s", help)
	case r.IDs == nil && r.Since == nil:
		return nil, fmt.Errorf("the payload has no since; %s", help)
	case r.Since != nil && r.Until != nil && !r.Since.Before(r.Until.Time):
		return nil, fmt.Errorf("since is not before until; %s", help)
	case r.Page < 0:
		return nil, fmt.Errorf("page is less than 1; %s", help)
	}
	return &r, nil
}

// A moment is a time as [ParseTime] reads it.
type moment struct{ time.Time }

func (m *moment) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return errors.New("a time is a string")
	}
	var err error
	m.Time, err = ParseTime(s)
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
	return time.Time{}, fmt.Errorf("%q is no time", text)
}

// A documentID is an id, which may be given as a string of digits.
type documentID int64

func (id *documentID) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(bytes.Trim(text, `"`)), 10, 64)
	if err != nil || n < 1 {
		return errors.New("an id is a whole number from 1 on")
	}
	*id = documentID(n)
	return nil
}

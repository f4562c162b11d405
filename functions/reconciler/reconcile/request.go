package reconcile

import (
	"bytes"
	"encoding/json"
	"fmt"

	"veryfi-intake/shared/reconciliation"
)

const help = `send {} for what a scheduled run does, {"since": "2026-11-01", "until": "2026-11-02T12:00:00Z"} for documents created then (until may be left out), or {"ids": [123456789]}`

// isScheduled reports whether a payload is EventBridge's event.
func isScheduled(payload []byte) bool {
	var event struct {
		Source string `json:"source"`
	}
	return json.Unmarshal(payload, &event) == nil && event.Source == "aws.events"
}

// readRequest reads a payload. It returns nil for an empty one and for EventBridge's event:
// they ask for what a scheduled run does.
func readRequest(payload []byte) (*reconciliation.Request, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || bytes.Equal(payload, []byte("null")) || isScheduled(payload) {
		return nil, nil //nolint:nilnil // no request is one of the two good outcomes
	}
	var r reconciliation.Request
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

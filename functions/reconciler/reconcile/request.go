package reconcile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/reconciliation"
)

const help = `send {} for what a scheduled run does, {"since": "2026-11-01", "until": "2026-11-02T12:00:00Z"} for documents created then (until may be left out), {"ids": [123456789, "check#5"]}, with "again": true also if they are stored, or {"unsupported": true}`

// ReadLists reads which lists are read: names of kinds, with commas between them.
func ReadLists(names string, kinds event.Kinds) (lists []event.Kind, err error) {
	for name := range strings.SplitSeq(names, ",") {
		kind, isKnown := kinds.Named(name)
		if !isKnown || slices.Contains(lists, kind) {
			return nil, fmt.Errorf("RECONCILE_KINDS must be some of %s, each once, with commas between; %q is not one, or is there twice", namesOf(kinds), name)
		}
		lists = append(lists, kind)
	}
	return lists, nil
}

func namesOf(kinds event.Kinds) string {
	var names []string
	for _, kind := range kinds.All() {
		names = append(names, kind.Name)
	}
	return strings.Join(names, ", ")
}

// tasks returns a request for each list that a request asks for.
func (h *Handler) tasks(request *reconciliation.Request) (tasks []reconciliation.Request) {
	for ; request != nil; request = request.Then {
		kinds, page := h.Lists, request.Page
		if kind, ok := h.Kinds.Named(request.Kind); ok {
			kinds = []event.Kind{kind}
		}
		for _, kind := range kinds {
			tasks = append(tasks, reconciliation.Request{Since: request.Since, Until: request.Until, Page: page, Kind: kind.Name})
			page = 0
		}
	}
	return tasks
}

// isScheduled reports whether a payload is EventBridge's event.
func isScheduled(payload []byte) bool {
	var event struct {
		Source string `json:"source"`
	}
	return json.Unmarshal(payload, &event) == nil && event.Source == "aws.events"
}

// readRequest reads a payload. It returns nil for an empty one and for EventBridge's event:
// they ask for what a scheduled run does.
func (h *Handler) readRequest(payload []byte) (*reconciliation.Request, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || bytes.Equal(payload, []byte("null")) || isScheduled(payload) {
		return nil, nil //nolint:nilnil // no request is one of the two good outcomes
	}
	var r reconciliation.Request
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("cannot read the payload: %w; %s", err, help)
	}
	namesTime := r.Since != nil || r.Until != nil || r.Page != 0 || r.Kind != "" || r.Then != nil
	switch {
	case r.IDs == nil && !namesTime && !r.Again && !r.Unsupported:
		return nil, nil //nolint:nilnil // as above
	case r.Unsupported && (r.IDs != nil || namesTime):
		return nil, fmt.Errorf("the payload has unsupported and ids or a time; %s", help)
	case r.Again && r.IDs == nil:
		return nil, fmt.Errorf("the payload has again and no ids; %s", help)
	case r.IDs != nil && namesTime:
		return nil, fmt.Errorf("the payload has ids and a time; %s", help)
	case namesTime:
		return &r, h.checkTimes(&r)
	default:
		return &r, h.checkIDs(r.IDs)
	}
}

// checkTimes checks a request for lists, and all that are to follow.
func (h *Handler) checkTimes(r *reconciliation.Request) error {
	for then := r; then != nil; then = then.Then {
		_, isKnown := h.Kinds.Named(then.Kind)
		switch {
		case then.Since == nil:
			return fmt.Errorf("the payload has no since; %s", help)
		case then.Until == nil && then != r:
			return fmt.Errorf("the payload has no until in then; %s", help)
		case then.Until != nil && !then.Since.Before(then.Until.Time):
			return fmt.Errorf("since is not before until; %s", help)
		case then.Page < 0:
			return fmt.Errorf("page is less than 1; %s", help)
		case then.Kind != "" && !isKnown:
			return fmt.Errorf("%q is none of the kinds %s; %s", then.Kind, namesOf(h.Kinds), help)
		}
	}
	return nil
}

// checkIDs sees that each id is the key of a document.
func (h *Handler) checkIDs(ids []reconciliation.ID) error {
	for _, id := range ids {
		if _, _, ok := h.Kinds.OfKey(string(id)); !ok {
			return fmt.Errorf("%q is not the key of a document: that is a number, or KIND#NUMBER with a KIND of %s (a set that has failed has no document); %s", string(id), namesOf(h.Kinds), help)
		}
	}
	return nil
}

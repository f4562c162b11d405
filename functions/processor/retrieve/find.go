package retrieve

import (
	"context"
	"fmt"
	"time"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// A finding is what the row of a message should say.
type finding struct {
	nothing string        // why there is nothing to write; then the rest is empty
	wait    time.Duration // until it is time to ask Veryfi; then the rest is empty

	status      store.Status
	text        string      // why there is no document
	kinds       event.Kinds // that do not know an unsupported event
	document    *document.Document
	retrievedAt time.Time
	values      []metrics.Value // counted on the way
}

// row returns the row that says what was found, when it replaces what the table has.
func (f finding) row(d delivery, now store.State) store.Row {
	row := d.row(now)
	row.Status, row.Error = f.status, f.text
	row.Document, row.RetrievedAt = f.document, f.retrievedAt
	if f.status != store.Failed { // a swapped name can write that between two answers of 404
		row.NotFound = 0
	}
	if f.status == store.Unsupported {
		row.Data = string(d.message.Data)
		row.Events = append(append(make([]string, 0, store.MaxEvents), now.Events...), d.message.Event)
		row.Event = row.Events[0]
		row.Error = f.kinds.Unsupported(row.Events, d.message.Data)
	}
	return row
}

// find finds out what the row of a message should say, from the message or from Veryfi.
// With an error come the values that count all the same.
func (h *Handler) find(ctx context.Context, d delivery, seen *view) (finding, error) {
	if d.unreadable != nil {
		return finding{}, d.unreadable
	}
	if why := d.nothingToDo(*seen); why != "" {
		return finding{nothing: why}, nil
	}
	if d.isSwapped(*seen) {
		return finding{}, errOtherKind
	}
	switch d.message.Task() {
	case event.RecordFailure:
		return finding{status: store.Failed, text: failedError(d.message)}, nil
	case event.Retrieve:
		if wait := h.waitBeforeRequest(d, seen.own); wait > 0 {
			return finding{wait: wait}, nil
		}
		if nothing, err := h.noteEnrichment(ctx, d, &seen.own); nothing != "" || err != nil {
			return finding{nothing: nothing}, err
		}
		return h.document(ctx, d, seen.own)
	default:
		return finding{status: store.Unsupported, kinds: h.Kinds}, nil
	}
}

// waitBeforeRequest returns how long to wait after Veryfi did not find the document for
// another message. Copies that come together would use up all tries of a document that is
// only late.
func (h *Handler) waitBeforeRequest(d delivery, row store.State) time.Duration {
	if d.hasDocument() || row.Status != store.Retrying || row.Class != failure.NotFound || row.RequestID == d.message.RequestID {
		return 0
	}
	return row.UpdatedAt().Add(FirstWait << max(0, row.NotFound-1)).Sub(h.Now())
}

// errOtherKind ends a row that a swapped name began before the document was stored. It
// would wait forever.
var errOtherKind = failure.OtherKind.New("the document is stored under the key of another kind: the event's name does not fit its data")

// document returns the document, from the message if an earlier try put it there, else from
// Veryfi.
func (h *Handler) document(ctx context.Context, d delivery, row store.State) (f finding, err error) {
	m := d.message
	f.status = store.Processed
	if d.hasDocument() {
		if f.document, err = document.ReadGzip(m.Document, m.ID); err != nil {
			err = failure.Malformed.Of(fmt.Errorf("%w: %w", event.ErrMalformed, err))
		}
		f.retrievedAt = m.RetrievedAt
		return f, err
	}
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	kind, _ := h.Kinds.Of(m.Event) // a message of an unknown one does not come here
	json, answers, err := h.Veryfi.Get(working, veryfi.Resource(kind.Resource), m.ID)
	for _, answer := range answers {
		f.values = append(f.values, metrics.OfStatus(answer.Status).One(), metrics.VeryfiLatency.Took(answer.Took))
	}
	if err == nil {
		f.document, err = document.Read(json, m.ID)
	}
	f.retrievedAt = h.Now()
	switch {
	case err == nil:
		f.values = append(f.values, metrics.Retrieved.One())
	case failure.ClassOf(err) == failure.NotFound && isKept(row):
		return finding{nothing: "Veryfi no longer has the document, and it is kept", values: f.values}, nil
	}
	return f, err
}

func failedError(m event.Message) string {
	if m.Error != "" {
		return m.Error
	}
	return "Veryfi could not process it and gave no reason"
}

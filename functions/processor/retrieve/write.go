package retrieve

import (
	"context"
	"errors"
	"time"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// A write is the result of writing a row.
type write struct {
	row     store.Row   // that should be written
	now     store.State // what the table has
	written bool        // false when the row in the table must not be replaced
}

// write replaces the row that was seen. If another try has written it meanwhile, it reads the
// row again, and composes its own anew or leaves the other.
func (h *Handler) write(ctx context.Context, d delivery, seen store.State, compose func(over store.State) store.Row) (write, error) {
	ctx, cancel := h.brief(ctx)
	defer cancel()
	for w := (write{now: seen}); ; {
		before := w.row
		w.row = compose(w.now)
		if isOwnWrite(before, w.now) {
			return write{before, w.now, true}, nil // the answer to the first call was lost
		}
		if d.mustNotBeReplaced(w.now, w.row) {
			return w, nil
		}
		w.row.UpdatedAt = h.writeTime(w.now)
		if h.Retention > 0 && w.row.Status == store.Processed {
			w.row.ExpiresAt = w.row.UpdatedAt.Add(h.Retention)
		}
		err := h.Table.Put(ctx, w.row, w.now)
		if err == nil {
			w.now, w.written = w.row.State(), true
			return w, nil
		}
		if !errors.Is(err, store.ErrSuperseded) {
			return w, err
		}
		now, err := h.Table.Get(ctx, d.key)
		if err != nil {
			return w, err
		}
		w.now = now
	}
}

// writeTime returns the time of a write: now, but later than the time of the row that it
// replaces, which is its version. The clocks of two environments may differ.
func (h *Handler) writeTime(row store.State) time.Time {
	now, next := h.Now(), row.UpdatedAt().Add(time.Millisecond)
	if row.Version != "" && next.After(now) {
		return next
	}
	return now
}

// isOwnWrite reports whether the table has what this try wrote before.
func isOwnWrite(row store.Row, now store.State) bool {
	return row.ID != "" && row.Status == now.Status && row.RequestID == now.RequestID && row.Attempts == now.Attempts
}

// mustNotBeReplaced reports whether a row must not replace what the table has. Only a later
// document replaces a document, or one that was retrieved later if it was asked for again.
// Only a document replaces a row that leaves nothing to do.
func (d delivery) mustNotBeReplaced(now store.State, row store.Row) bool {
	switch {
	case row.Document != nil:
		isNews := d.message.IsLater(now.Created) || d.asksAgain(now) && isNewer(row.RetrievedAt, now)
		return now.Status == store.Processed && !isNews
	case now.Status == store.Processed:
		return true
	case now.Status == store.Retrying && now.Class == failure.Rescued:
		return !d.hasDocument() && row.Class() != failure.Rescued
	default:
		return d.nothingToDo(view{own: now}) != ""
	}
}

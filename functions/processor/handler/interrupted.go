package handler

import (
	"context"
	"errors"

	"veryfi-intake/shared/store"
)

// A function can die on a document: of its size, of a mistake of ours. It then
// answers nothing, and its whole batch comes again, together and again with that
// document. So a try that finds no trace of the one before it leaves one first,
// and a document that is marked so already is processed alone.

var (
	errPostponed   = errors.New("the record is processed after the others")
	errInterrupted = errors.New("the function has ended in the middle of each try")
)

// mark writes into the row that an earlier try has ended without a trace. The
// error is [errPostponed] for a record that must be alone and is not, and
// [errInterrupted] for the last try of one: the row must say how it ended, and
// after another death nobody would write it.
func (h *Handler) mark(ctx context.Context, t *try) error {
	marked := hasClass(t.seen.Error, classInterrupted)
	switch {
	case t.settledBy(t.seen):
		return nil
	case marked && t.receiveCount >= h.MaxReceiveCount:
		return errInterrupted
	case marked && !t.alone:
		return errPostponed
	case !marked && !t.isUntraced():
		return nil
	}
	row := t.row()
	row.Status, row.Error = store.Retrying, classInterrupted+": an earlier try has ended without a result"
	_, err := h.put(ctx, t, row)
	return err
}

// isUntraced reports whether the row knows nothing of the try before this one.
func (t *try) isUntraced() bool {
	return t.receiveCount > 1 && t.seen.Attempts < t.message.Attempts+t.receiveCount-1
}

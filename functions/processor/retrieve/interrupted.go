package retrieve

import (
	"context"
	"log/slog"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// mark writes into the row that an earlier try has ended without a trace: the
// function can die on a document, of its size or of a mistake of ours. It then
// answers nothing, and its whole batch comes again. It returns what the row is then.
//
// A document that is marked already is tried alone, and waits before it comes again
// as if it had failed: a death hands nothing back, and would come again in minutes.
// The mark is written anew each time, so that the row does not look forgotten. On the
// last try the error is [errInterrupted], and nothing is tried: the row must say how
// it ended, and after another death nobody would write it.
func (h *Handler) markInterrupted(ctx context.Context, d delivery, seen view) (store.State, error) {
	now := seen.own
	switch {
	case !d.retrieves(), d.nothingToDo(seen) != "":
		return now, nil
	case now.Class == failure.Interrupted && h.isLastTry(d):
		return now, errInterrupted
	case now.Class == failure.Interrupted:
		brief, cancel := h.brief(ctx)
		defer cancel()
		if err := h.Queue.Delay(brief, d.receipt, h.backoff(deathWait, d.receives)); err != nil {
			d.log.WarnContext(ctx, "a message that the function has died of could not be delayed", slog.String("error", err.Error()))
		}
	case !d.leftNoResult(now):
		return now, nil
	}
	w, err := h.write(ctx, d, now, func(now store.State) store.Row {
		row := d.row(now)
		row.Attempts-- // this one has no result yet
		row.Status, row.Error = store.Retrying, failure.Text(errNoResult)
		return row
	})
	return w.now, err
}

var (
	errNoResult    = failure.Interrupted.New("an earlier try has ended without a result")
	errInterrupted = failure.Interrupted.New("the function has ended in the middle of each try")
)

// leftNoResult reports whether the row knows nothing of the try before this one: it has
// fewer tries, or none since the message came first, which may be redriven.
func (d delivery) leftNoResult(row store.State) bool {
	return d.receives > 1 && (row.Attempts < d.message.Attempts+d.receives-1 || row.UpdatedAt().Before(d.firstReceived))
}

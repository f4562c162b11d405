package retrieve

import (
	"context"
	"log/slog"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// markInterrupted writes into the row that an earlier try left no result, and returns the
// row's new state. A document can kill the function, by its size or by a bug of ours: then
// nothing is answered, and the whole batch comes again.
//
// A document that is marked already is tried alone. Its next try is delayed beforehand, as
// after a failure: a killed function delays nothing, and the message would come again within
// minutes. The mark is renewed each time, so that the row does not look stale. On the last
// try the error is [errInterrupted], and nothing is tried: if the function died again, nobody
// would write how the row ended.
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
			d.log.WarnContext(ctx, "cannot delay a message on which the function died", slog.String("error", err.Error()))
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
	errNoResult    = failure.Interrupted.New("an earlier try ended without a result")
	errInterrupted = failure.Interrupted.New("the function died in each try")
)

// leftNoResult reports whether the row does not know the try before this one: it has fewer
// tries, or none since the message was first received, which may have been redriven.
func (d delivery) leftNoResult(row store.State) bool {
	return d.receives > 1 && (row.Attempts < d.message.Attempts+d.receives-1 || row.UpdatedAt().Before(d.firstReceived))
}

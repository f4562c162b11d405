package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/store"
)

// keepPause is the time between two rounds of tries to keep a document.
const keepPause = time.Second

// keep puts a retrieved document where it is safe: into the table, or, while the
// table refuses it, into the queue. Nobody else may have it any more, so both are
// tried until time is up.
func (h *Handler) keep(ctx context.Context, t *try, row store.Row) error {
	err := h.store(ctx, t, row)
	switch {
	case err == nil:
		return nil
	case len(t.message.Document) > 0 && !errors.Is(err, store.ErrTooLarge):
		return inQueue(err)
	}
	if !t.addDocument(row) || errors.Is(err, store.ErrTooLarge) {
		return err
	}
	for {
		refused := h.rescue(ctx, t, row, err)
		if refused == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			t.log.ErrorContext(ctx, "neither the table nor the queue has taken the document; if Veryfi deletes it after one request, it is lost",
				slog.String("queue", refused.Error()))
			return err
		case <-time.After(keepPause):
		}
		if err = h.store(ctx, t, row); err == nil {
			return nil
		}
	}
}

// addDocument puts the document into the message, if it fits: every document does
// that fits into the table.
func (t *try) addDocument(row store.Row) bool {
	m := t.message
	var err error
	if m.Document, err = row.Document.Gzip(); err != nil {
		return false
	}
	m.RetrievedAt, m.Attempts = row.RetrievedAt, row.Attempts
	body := m.Encode()
	if len(body) > queue.MaxBody {
		return false
	}
	t.body = body
	return true
}

// rescue sends the message again with the document in it: the next try stores it
// without a request to Veryfi. A message with a document is never sent again, only
// delayed: Lambda drops what goes from a queue through a function into the same
// queue for the 16th time (AWS Lambda, "recursive loop detection").
func (h *Handler) rescue(ctx context.Context, t *try, row store.Row, why error) error {
	brief, cancel := h.brief(ctx)
	defer cancel()
	if err := h.Queue.Send(brief, t.body); err != nil {
		return err
	}
	t.count(metrics.Rescued.One(), metrics.TableFailures.One())
	t.log.WarnContext(ctx, "rescued, the table has refused the document and the queue has it", slog.String("error", why.Error()), h.Metrics.Of(t.counted...))
	row.Status, row.Document, row.RetrievedAt = store.Retrying, nil, time.Time{}
	row.Error = fmt.Sprintf("%s: %s", classRescued, inQueue(why))
	if _, err := h.put(ctx, t, row); err != nil {
		t.log.WarnContext(ctx, "the row could not be written", slog.String("error", err.Error()))
	}
	return nil
}

var errInQueue = errors.New("the document was retrieved and is in the queue")

// inQueue is the error of a table that refuses a document which is in the queue.
func inQueue(err error) error { return fmt.Errorf("%w; %s: %w", errInQueue, classTable, err) }

// isKept reports whether the row says that the document is stored, or waits in
// the queue.
func (t *try) isKept() bool {
	return t.seen.Status == store.Processed || t.seen.Status == store.Retrying && hasClass(t.seen.Error, classRescued)
}

// store is put of a row that says how the document is in the end.
func (h *Handler) store(ctx context.Context, t *try, row store.Row) error {
	written, err := h.put(ctx, t, row)
	switch {
	case err != nil:
		return err
	case !written:
		h.nothingToDo(ctx, t)
		return nil
	case row.Status != store.Processed:
		t.count(metrics.Recorded.For(string(row.Status), 1))
	default:
		t.count(metrics.Stored.One())
		if !row.ReceivedAt.IsZero() {
			t.count(metrics.TimeToRow.Took(h.Now().Sub(row.ReceivedAt)))
		}
	}
	t.log.InfoContext(ctx, "stored", slog.String("status", string(row.Status)), slog.Int("attempts", row.Attempts), h.Metrics.Of(t.counted...))
	return nil
}

// put writes a row, or finds that the table holds a document which this row must
// not replace; t.seen then says which.
func (h *Handler) put(ctx context.Context, t *try, row store.Row) (written bool, err error) {
	ctx, cancel := h.brief(ctx)
	defer cancel()
	for {
		row.UpdatedAt = h.Now()
		if h.Retention > 0 && row.Status == store.Processed {
			row.ExpiresAt = row.UpdatedAt.Add(h.Retention)
		}
		err := h.Table.Put(ctx, row, t.seen)
		if !errors.Is(err, store.ErrSuperseded) {
			return err == nil, err
		}
		if t.seen, err = h.Table.Get(ctx, t.key()); err != nil {
			return false, err
		}
		if row.Document == nil || t.settledBy(t.seen) {
			return false, nil
		}
		// Over the older version, as it is now.
	}
}

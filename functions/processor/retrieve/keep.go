package retrieve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/store"
)

// keepPause is the time between two rounds of tries.
const keepPause = time.Second

// keep stores what was found in the table. While the table refuses a retrieved document, it
// goes into the queue. Veryfi may have deleted it by now, so both are tried until time is up.
func (h *Handler) keep(ctx context.Context, d delivery, seen store.State, found finding) (outcome, error) {
	switch {
	case found.nothing != "":
		h.logNothing(ctx, d, found.nothing, found.values)
		return outcome{done: true, row: seen}, nil
	case found.wait > 0:
		d.log.InfoContext(ctx, "not requested, another message about the document failed just now")
		h.delay(ctx, d, found.wait)
		return outcome{again: found.wait, row: seen, forAll: true}, nil
	}
	o, err := h.store(ctx, d, seen, found)
	isTooLarge := errors.Is(err, store.ErrTooLarge)
	switch {
	case err == nil || found.document == nil:
		return o, err
	case d.hasDocument() && !isTooLarge:
		return o, inQueue(err)
	}
	body, fits := h.withDocument(d, seen, found)
	switch {
	case !fits:
		return o, err
	case isTooLarge:
		return h.giveUpTooLarge(ctx, d, seen, found, body, err), nil
	}
	for {
		o, refused := h.rescue(ctx, d, seen, found, body, err)
		if refused == nil {
			return o, nil
		}
		select {
		case <-ctx.Done():
			d.log.ErrorContext(ctx, "neither the table nor the queue takes the document; if Veryfi deletes it after one request, it is lost",
				slog.String("queue", refused.Error()))
			return o, err
		case <-time.After(keepPause):
		}
		if o, err = h.store(ctx, d, seen, found); err == nil {
			return o, nil
		}
	}
}

// giveUpTooLarge gives up a document that does not fit into the table. Its dead letter
// carries it; until there is one, a message in the queue.
func (h *Handler) giveUpTooLarge(ctx context.Context, d delivery, seen store.State, found finding, body string, why error) outcome {
	hasDocument := d.hasDocument()
	d.body = body
	o := h.fail(ctx, d, seen, why, found.values)
	if o.done || hasDocument {
		return o
	}
	brief, cancel := h.brief(ctx)
	defer cancel()
	if err := h.Queue.Send(brief, body); err != nil {
		d.log.ErrorContext(ctx, "no queue takes the document; if Veryfi deletes it after one request, it is lost", slog.String("queue", err.Error()))
		return o
	}
	o.done = true
	return o
}

// withDocument returns the message with the document in it, and whether SQS takes it: every
// document that fits into the table fits.
func (h *Handler) withDocument(d delivery, seen store.State, found finding) (body string, fits bool) {
	m := d.message
	var err error
	if m.Document, err = found.document.Gzip(); err != nil {
		return "", false
	}
	m.RetrievedAt, m.Attempts = found.retrievedAt, d.row(seen).Attempts
	body = m.Encode()
	return body, len(body) <= queue.MaxBody
}

// rescue sends the message again with the document in it: the next try stores it without a
// request to Veryfi. That message is only ever delayed, not sent again: Lambda drops what
// goes from a queue through a function into the same queue for the 16th time (AWS Lambda,
// "recursive loop detection").
func (h *Handler) rescue(ctx context.Context, d delivery, seen store.State, found finding, body string, why error) (outcome, error) {
	brief, cancel := h.brief(ctx)
	defer cancel()
	if err := h.Queue.Send(brief, body); err != nil {
		return outcome{row: seen}, err
	}
	w, err := h.write(ctx, d, seen, func(now store.State) store.Row {
		row := d.row(now)
		row.Status, row.Error = store.Retrying, failure.Text(inQueue(why))
		return row
	})
	if err != nil {
		d.log.WarnContext(ctx, "cannot write the row", slog.String("error", err.Error()))
		w.now.Status, w.now.Class, w.now.Created = store.Retrying, failure.Rescued, d.message.Created // for copies in the batch
	}
	values := slices.Concat(found.values, []metrics.Value{metrics.Rescued.One(), metrics.TableFailures.One()})
	d.log.WarnContext(ctx, "rescued, the table refused the document and the queue has it", slog.String("error", why.Error()), h.Metrics.Of(values...))
	return outcome{done: true, row: w.now}, nil
}

// inQueue is the error of a table that refused a document, which is in the queue.
func inQueue(err error) error {
	return failure.Rescued.Of(fmt.Errorf("the document was retrieved and is in the queue; %s", failure.Text(err)))
}

// store writes a row that is final, and logs and counts it.
func (h *Handler) store(ctx context.Context, d delivery, seen store.State, found finding) (outcome, error) {
	w, err := h.write(ctx, d, seen, func(now store.State) store.Row { return found.row(d, now) })
	if err != nil {
		return outcome{row: w.now}, err
	}
	values := found.values
	switch row := w.row; {
	case !w.written:
		h.logNothing(ctx, d, "another message wrote the row", values)
		return outcome{done: true, row: w.now}, nil
	case row.Status != store.Processed:
		values = append(values, metrics.Recorded.For(string(row.Status), 1))
	default:
		values = append(values, metrics.Stored.One())
		if !row.ReceivedAt.IsZero() {
			values = append(values, metrics.TimeToRow.Took(h.Now().Sub(row.ReceivedAt)))
		}
	}
	d.log.InfoContext(ctx, "stored", slog.String("status", string(w.row.Status)), slog.Int("attempts", w.row.Attempts), h.Metrics.Of(values...))
	return outcome{done: true, row: w.now}, nil
}

func (h *Handler) logNothing(ctx context.Context, d delivery, why string, values []metrics.Value) {
	d.log.InfoContext(ctx, "nothing to do, "+why, h.Metrics.Of(values...))
}

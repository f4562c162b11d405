package reconcile

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
)

// Kept has the rows of unsupported events.
type Kept interface {
	// Pages yields the rows as the index has them: without data.
	Pages(ctx context.Context) iter.Seq2[[]store.Row, error]
	// Read returns the rows with these ids, with their data.
	Read(ctx context.Context, ids []string) ([]store.Row, error)
	// Mark gives a row another error, and Remove deletes it, unless it has changed.
	Mark(ctx context.Context, row store.Row, text string) error
	Remove(ctx context.Context, row store.Row) error
}

// keptAtOnce bounds the rows in memory: one has 256 KB of data at most.
const keptAtOnce = 25

// takeUp enqueues what was kept as unsupported and is known by now. The ids of a row go
// into the queue first; then the row is marked; a later run removes it when each id has a
// row of its own. Wherever that stops, the next run goes on.
func (r *run) takeUp(ctx context.Context) error {
	for page, err := range r.Kept.Pages(ctx) {
		if err != nil {
			return err
		}
		var ids []string
		for _, row := range page {
			if !r.Kinds.HasJudged(row.Error) || event.IsTakenUp(row.Error) {
				ids = append(ids, row.ID)
			}
		}
		for some := range slices.Chunk(ids, keptAtOnce) {
			rows, err := r.Kept.Read(ctx, some)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if err := r.takeUpRow(ctx, row); err != nil && !errors.Is(err, store.ErrSuperseded) {
					return err
				}
			}
		}
	}
	return nil
}

func (r *run) takeUpRow(ctx context.Context, row store.Row) error {
	if row.Status != store.Unsupported || len(row.Events) == 0 {
		return nil
	}
	messages, allKnown := r.reread(row)
	switch {
	case len(messages) == 0:
		return r.Kept.Mark(ctx, row, r.Kinds.Unsupported(row.Events, event.Text(row.Data)))
	case event.IsTakenUp(row.Error) && r.Kinds.HasJudged(row.Error):
		isAnswered, err := r.isAnswered(ctx, messages, allKnown)
		if err != nil || !isAnswered {
			return err
		}
		if err := r.Kept.Remove(ctx, row); err != nil {
			return err
		}
		r.result.Removed++
		return nil
	}
	bodies := make([]string, len(messages))
	for i, m := range messages {
		bodies[i] = m.Encode()
	}
	if err := r.Queue.Send(ctx, bodies...); err != nil {
		return err
	}
	r.result.TakenUp++
	r.log.InfoContext(ctx, "an unsupported event is known by now, its ids are enqueued", slog.String("document_id", row.ID), slog.Int("messages", len(messages)))
	return r.Kept.Mark(ctx, row, r.Kinds.TakenUp())
}

// reread returns the messages of all names that a row came under and that are known, and
// whether all are.
func (r *run) reread(row store.Row) (messages []event.Message, allKnown bool) {
	allKnown = true
	for _, name := range row.Events {
		_, isKnown := r.Kinds.Of(name)
		allKnown = allKnown && isKnown
		if e := r.Kinds.Reread(name, event.Text(row.Data)); len(e.IDs) > 0 {
			messages = append(messages, e.Messages(row.ReceivedAt, r.requestID)...)
		}
	}
	return messages, allKnown
}

// isAnswered reports whether a taken-up row may go: each message has a row, or its document
// is stored as another kind. While one of the names is not known, that could be the genuine
// one: then each id must be stored.
func (r *run) isAnswered(ctx context.Context, messages []event.Message, allKnown bool) (bool, error) {
	keys := map[string]bool{}
	for _, m := range messages {
		for _, key := range append(r.Kinds.OtherKeys(m), m.Key()) {
			keys[key] = true
		}
	}
	var ids []string
	for key := range keys {
		ids = append(ids, key)
	}
	states, err := r.Table.States(ctx, ids)
	if err != nil {
		return false, err
	}
	for _, m := range messages {
		isStored := func(key string) bool { return states[key].Status == store.Processed && m.IsOf(states[key].Created) }
		isAnywhere := isStored(m.Key()) || slices.ContainsFunc(r.Kinds.OtherKeys(m), isStored)
		if !isAnywhere && (!allKnown || states[m.Key()].Status == "") {
			return false, nil
		}
	}
	return true, nil
}

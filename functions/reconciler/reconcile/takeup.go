package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/reconciliation"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// maxKept is how many rows are read with their data in one call. Their webhooks had 256 KB
// at most, and DynamoDB answers with 16 MB.
const maxKept = 25

// takeUpSome is takeUp in half of the run's time: the lists have the other half. The next
// run goes on.
func (r *run) takeUpSome(ctx context.Context) error {
	half := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		half, cancel = context.WithDeadline(ctx, deadline.Add(-deadline.Sub(r.Now())/2))
		defer cancel()
	}
	err := r.takeUp(half)
	if errors.Is(err, veryfi.ErrNoTime) {
		r.log.WarnContext(ctx, "time was up before all unsupported events were looked at, the next run goes on")
		return nil
	}
	return err
}

// takeUpAll is takeUp for a person.
func (r *run) takeUpAll(ctx context.Context) error {
	err := r.takeUp(ctx)
	if errors.Is(err, veryfi.ErrNoTime) {
		r.result.Next = &reconciliation.Request{Unsupported: true}
		return nil
	}
	return err
}

// takeUp enqueues the documents of unsupported events that are known by now, and removes
// the rows of those that were enqueued before and have rows of their own. The error is
// [veryfi.ErrNoTime] when time is up.
//
// A row is marked once its messages are in the queue, and removed by a later run: wherever
// this stops, the row is still there, or its documents are. Rows that these kinds have not
// judged come first, and each of them once: so every run gets further than the one before.
// Any other row that is not marked costs its part of the index, and is not read.
func (r *run) takeUp(ctx context.Context) error {
	fresh, marked, err := r.unsupported(ctx)
	for some := range slices.Chunk(append(fresh, marked...), maxKept) {
		if err == nil {
			err = r.takeUpRows(ctx, some)
		}
	}
	if err != nil && ctx.Err() != nil {
		return veryfi.ErrNoTime
	}
	return err
}

// unsupported returns the ids of rows that these kinds have not judged, and of those that
// are marked as taken up.
func (r *run) unsupported(ctx context.Context) (fresh, marked []string, err error) {
	for rows, err := range r.Kept.Pages(ctx) {
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			switch isJudged := r.Kinds.HasJudged(row.Error); {
			case !isJudged:
				fresh = append(fresh, row.ID)
			case event.IsTakenUp(row.Error):
				marked = append(marked, row.ID)
			}
		}
	}
	return fresh, marked, nil
}

func (r *run) takeUpRows(ctx context.Context, ids []string) error {
	rows, err := r.Kept.Read(ctx, ids)
	if err != nil {
		return err
	}
	var fresh, marked []kept
	for _, row := range rows {
		k := r.reread(row)
		switch isJudged := r.Kinds.HasJudged(row.Error); {
		case row.Status != store.Unsupported: // written since the index was read
		case !isJudged:
			fresh = append(fresh, k)
		case event.IsTakenUp(row.Error):
			marked = append(marked, k)
		}
	}
	if err := r.enqueueKept(ctx, fresh); err != nil {
		return err
	}
	return r.removeKept(ctx, marked)
}

// A kept is the row of an unsupported event, its data read again.
type kept struct {
	store.Row
	names    []string        // that it came under
	messages []event.Message // of all names that have usable ids
	isKnown  bool            // all names are known
}

func (r *run) reread(row store.Row) kept {
	k := kept{Row: row, names: row.Events, isKnown: true}
	if len(k.names) == 0 {
		k.names = []string{row.Event}
	}
	for _, name := range k.names {
		if _, isKnown := r.Kinds.Of(name); !isKnown {
			k.isKnown = false
		} else if e := r.Kinds.Reread(name, event.Text(row.Data)); len(e.IDs) > 0 {
			k.messages = append(k.messages, e.Messages(row.ReceivedAt, r.requestID)...)
		}
	}
	return k
}

// enqueueKept enqueues the documents of rows, and marks the rows, so that no run with the
// same kinds does it again. A row that is written meanwhile is taken up once more.
func (r *run) enqueueKept(ctx context.Context, rows []kept) error {
	var bodies []string
	for _, k := range rows {
		for _, m := range k.messages {
			bodies = append(bodies, m.Encode())
		}
	}
	if err := r.Queue.Send(ctx, bodies...); err != nil {
		return err
	}
	for _, k := range rows {
		text := r.Kinds.Unsupported(k.names, event.Text(k.Data))
		if len(k.messages) > 0 {
			text = r.Kinds.TakenUp()
			r.result.TakenUp++
			r.log.InfoContext(ctx, "an unsupported event is known by now, its documents are enqueued", slog.String("document_id", k.ID), slog.Int("documents", len(k.messages)))
		}
		if err := r.Kept.Mark(ctx, k.Row, text); err != nil && !errors.Is(err, store.ErrSuperseded) {
			return err
		}
	}
	return nil
}

// removeKept removes the rows that nobody needs any more.
func (r *run) removeKept(ctx context.Context, rows []kept) error {
	var keys []string
	for _, k := range rows {
		for _, m := range k.messages {
			keys = append(append(keys, m.Key()), r.Kinds.OtherKeys(m)...)
		}
	}
	slices.Sort(keys)
	states, err := r.Table.States(ctx, slices.Compact(keys))
	if err != nil {
		return err
	}
	for _, k := range rows {
		if !r.isAnswered(k, states) {
			continue
		}
		switch err := r.Kept.Remove(ctx, k.Row); {
		case err == nil:
			r.result.Removed++
			r.log.InfoContext(ctx, "the row of an unsupported event is removed, its documents have rows", slog.String("document_id", k.ID))
		case !errors.Is(err, store.ErrSuperseded):
			return err
		}
	}
	return nil
}

// isAnswered reports whether nothing is lost with a row: each of its documents has a row
// under the key of each name. A name is not signed, so a document that is stored under
// another key, and was created at the same time, is the one that a name means. If a name is
// not known, all documents must be stored: otherwise they may be of that name's kind.
func (r *run) isAnswered(k kept, states map[string]store.State) bool {
	stored := map[int64]bool{}
	for _, m := range k.messages {
		isStored := func(key string) bool { return states[key].Status == store.Processed && m.IsOf(states[key].Created) }
		isElsewhere := slices.ContainsFunc(r.Kinds.OtherKeys(m), isStored)
		if states[m.Key()].Status == "" && !isElsewhere {
			return false
		}
		stored[m.ID] = stored[m.ID] || isElsewhere || isStored(m.Key())
	}
	isMissing := func(m event.Message) bool { return !stored[m.ID] }
	return len(k.messages) > 0 && (k.isKnown || !slices.ContainsFunc(k.messages, isMissing))
}

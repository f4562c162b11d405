package reconcile

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// stale enqueues rows that wait for a message that cannot exist any more.
func (r *run) stale(ctx context.Context) error {
	rows, err := r.Table.Stale(ctx, r.Now().Add(-StaleAfter), maxStale)
	if err != nil {
		return err
	}
	var bodies []string
	for _, row := range rows {
		// A rescued document is in the queue, or among the dead letters.
		if m, ok := messageOf(row); ok && row.Class() != failure.Rescued {
			bodies = append(bodies, m.Encode())
			r.log.WarnContext(ctx, "a row was retrying for too long, its document is enqueued", slog.String("document_id", row.ID))
		}
	}
	if err := r.Queue.Send(ctx, bodies...); err != nil {
		return err
	}
	r.result.Stale = len(bodies)
	return nil
}

// messageOf returns the message that a row came from. It is not ok if the row does not have
// all of it: the data of an unsupported event.
func messageOf(row store.Row) (m event.Message, ok bool) {
	id, err := strconv.ParseInt(row.ID[strings.LastIndexByte(row.ID, '#')+1:], 10, 64)
	m = event.Message{
		Version: event.VersionOf(row.Event), Event: row.Event, ID: id, ParentID: row.ParentID, Created: row.Created,
		ReceivedAt: row.ReceivedAt, RequestID: row.RequestID, Attempts: row.Attempts,
	}
	return m, err == nil && m.Task() != event.KeepData && m.Key() == row.ID
}

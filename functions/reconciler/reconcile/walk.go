package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/reconciliation"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// readLists reads one list after the other. A list that Veryfi does not give, as in an
// account without that product, keeps no other from being read. An error says so at the
// end; anything else that fails, and time that is up, end the run.
func (r *run) readLists(ctx context.Context, tasks []reconciliation.Request) error {
	var left []reconciliation.Request
	var errs []error
	for i, task := range tasks {
		rest, err := r.readList(ctx, task)
		if rest == nil {
			continue
		}
		rest.Kind = task.Kind
		left = append(left, *rest)
		if !errors.Is(err, veryfi.ErrNoTime) {
			errs = append(errs, fmt.Errorf("%s: %w", task.Kind, err))
		}
		if _, isAnswer := errors.AsType[*veryfi.Error](err); !isAnswer {
			left = append(left, tasks[i+1:]...)
			break
		}
	}
	return r.stop(left, errors.Join(errs...))
}

// stop says what is left to do. That time is up is no error.
func (r *run) stop(left []reconciliation.Request, err error) error {
	for _, request := range slices.Backward(left) {
		request.Then, r.result.Next = r.result.Next, &request
	}
	if err == nil {
		return nil
	}
	text, marshalErr := json.Marshal(r.result.Next)
	return errors.Join(fmt.Errorf("%w; to go on from here, send %s", err, text), marshalErr)
}

// readList returns what is left to do of a task, with an error or without.
func (r *run) readList(ctx context.Context, task reconciliation.Request) (rest *reconciliation.Request, err error) {
	kind, _ := r.Kinds.Named(task.Kind)
	if isInOrder(kind) && !r.isByHand {
		return r.window(ctx, kind, task.Since.Time, task.Until.Time)
	}
	return r.walk(ctx, kind, task.Since.Time, task.Until.Time, max(1, task.Page))
}

// isInOrder reports whether Veryfi lists the documents of a kind in the order of their
// creation.
func isInOrder(kind event.Kind) bool { return veryfi.Resource(kind.Resource) == veryfi.Documents }

// window walks over the time from start to end, the newest slice first.
func (r *run) window(ctx context.Context, kind event.Kind, start, end time.Time) (rest *reconciliation.Request, err error) {
	for until := end; until.After(start); until = until.Add(-slice) {
		since := until.Add(-slice)
		if since.Before(start) {
			since = start
		}
		if rest, err := r.walk(ctx, kind, since, until, 1); rest != nil {
			return &reconciliation.Request{Since: reconciliation.At(start), Until: reconciliation.At(until)}, err
		}
	}
	return nil, nil //nolint:nilnil // nothing is left to do
}

// walk lists documents created from since to before until, beginning at a page, and enqueues
// the missing ones on the way. It returns what is left to do, with an error or without.
//
// Page numbers move: a document that Veryfi deletes when it is retrieved leaves the list. So
// each request begins at the last document of the page before, and missing documents of the
// second with which the next request begins are not enqueued yet. A list in no order is
// read page by page, and nothing is enqueued before its last page, or before time is up: at
// least this run deletes nothing from the pages to come.
func (r *run) walk(ctx context.Context, kind event.Kind, since, until time.Time, page int) (rest *reconciliation.Request, err error) {
	var before []veryfi.Listed
	for {
		list, err := r.list(ctx, veryfi.Resource(kind.Resource), since, until, page)
		if err == nil {
			err = r.lookUp(ctx, kind, list, until)
		}
		// The same full page again: the list ignores the page's number, and would never end.
		// A short one may repeat an entry.
		repeats := len(before) == veryfi.PageSize && slices.Equal(list.Documents, before)
		isLast := list.IsLast || page > 1 && repeats
		before = list.Documents
		last, inOrder := lastCreated(list.Documents)
		advances := isInOrder(kind) && inOrder && last.After(since) && last.Before(until)
		switch {
		case err == nil && isLast:
			err = r.send(ctx, always)
		case err == nil && advances:
			err = r.send(ctx, last)
		}
		switch {
		case err != nil:
			if ctx.Err() != nil {
				err = veryfi.ErrNoTime
			}
			if unsent := r.sendRest(ctx); unsent != nil {
				page = 1 // what was found since then is not in the queue
				if errors.Is(err, veryfi.ErrNoTime) {
					err = unsent
				} else {
					err = errors.Join(err, unsent)
				}
			}
			return &reconciliation.Request{Since: reconciliation.At(since), Until: reconciliation.At(until), Page: page}, err
		case isLast:
			return nil, nil //nolint:nilnil // nothing is left to do
		case advances:
			since, page = last, 1
		default:
			page++ // all in one second, or not in order
		}
	}
}

// lastCreated returns when the last document was created. It is not ok if the documents are
// not in order.
func lastCreated(documents []veryfi.Listed) (last time.Time, ok bool) {
	for _, d := range documents {
		created, ok := event.CreatedTime(d.Created)
		if !ok || created.Before(last) {
			return last, false
		}
		last = created
	}
	return last, len(documents) > 0
}

// list requests a page until it has it. The error is [veryfi.ErrNoTime] when the run's time
// is up, or Veryfi's answer when that asks for a longer wait than the run has time for.
func (r *run) list(ctx context.Context, resource veryfi.Resource, since, until time.Time, page int) (veryfi.Page, error) {
	for try, wait := 1, firstWait; ; try, wait = try+1, 2*wait {
		list, answers, err := r.Veryfi.List(ctx, resource, since, until, page)
		for _, answer := range answers {
			r.answers[metrics.OfStatus(answer.Status)]++
		}
		var answer *veryfi.Error
		switch {
		case ctx.Err() != nil:
			return veryfi.Page{}, veryfi.ErrNoTime
		case !errors.As(err, &answer):
			return list, err
		case try >= listTries, answer.Class != failure.Unavailable && answer.Class != failure.Throttled && answer.Class != failure.Unexpected:
			return veryfi.Page{}, err
		}
		wait := max(wait, answer.RetryAfter)
		if deadline, ok := ctx.Deadline(); ok && deadline.Sub(r.Now()) < wait {
			return veryfi.Page{}, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return veryfi.Page{}, veryfi.ErrNoTime
		}
	}
}

// lookUp finds documents without a row. A later run sees those that Veryfi still processes,
// and those that were created later than it was asked for.
func (r *run) lookUp(ctx context.Context, kind event.Kind, list veryfi.Page, until time.Time) error {
	r.result.Listed += list.Unusable
	if list.Unusable > 0 {
		r.log.WarnContext(ctx, "Veryfi's list has documents without a usable id", slog.Int("documents", list.Unusable))
	}
	var found []event.Message
	for _, d := range list.Documents {
		created, hasTime := event.CreatedTime(d.Created)
		if r.seen[kind.Key(d.ID)] || hasTime && !created.Before(until) {
			continue // it was on a page before, or Veryfi does not know that filter
		}
		r.seen[kind.Key(d.ID)] = true
		r.result.Listed++
		if d.Status != "in_progress" {
			found = append(found, r.message(kind, d.ID, d.Created))
		}
	}
	return r.find(ctx, found, r.isMissing)
}

// isMissing reports whether a listed document has to be retrieved: it has no row, or one
// that says that Veryfi does not have it or that its call was a swapped one. The call may
// have been genuine, and the document late.
func (r *run) isMissing(row store.State) bool {
	switch {
	case row.Status == "":
		return true
	case row.Status != store.Error || row.Class != failure.NotFound && row.Class != failure.OtherKind:
		return false
	default:
		return r.isByHand || !event.IsReconciled(row.Event) || r.Now().Sub(row.UpdatedAt()) >= askAgainAfter
	}
}

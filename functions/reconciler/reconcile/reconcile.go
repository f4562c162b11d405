// Package reconcile finds the documents whose webhook never arrived: it lists what
// Veryfi has created, looks up which of that has no row, and enqueues it. It also takes up
// unsupported events that are known by now.
//
// Read [Handler.Handle] first, then [run.walk], the way of one listed time. A run keeps no
// state for the next one. The windows of scheduled runs overlap, and each run begins with
// the newest hour, which no run has seen: what a run leaves undone, the next ones do.
package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/reconciliation"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

const (
	// slice is the part of a scheduled run's window that is listed in one walk.
	slice = time.Hour
	// reserve is the part of the function's timeout that is kept free to enqueue what was
	// found and to answer; at most a quarter of what is left.
	reserve = 10 * time.Second
	// listTries is how often a page is requested, with waits that double from firstWait.
	listTries = 4
	firstWait = 5 * time.Second
	// StaleAfter is how long a row may be `retrying` without a change. The longest
	// visibility timeout of SQS is 12 hours, so no waiting message explains a longer time.
	StaleAfter = 13 * time.Hour
	// maxStale bounds how many of these rows a run enqueues.
	maxStale = 1000
	// askAgainAfter is how long a listed document is left alone after the reconciler asked
	// for it in vain.
	askAgainAfter = 24 * time.Hour
)

// Veryfi has the lists of documents.
type Veryfi interface {
	// List returns a page of the documents created from since until before until, those of
	// [veryfi.Documents] the oldest first. The answers are those to the requests that it
	// took.
	List(ctx context.Context, resource veryfi.Resource, since, until time.Time, page int) (veryfi.Page, []veryfi.Answer, error)
}

// Table has the rows.
type Table interface {
	// States returns the states of the rows that there are.
	States(ctx context.Context, ids []string) (map[string]store.State, error)
	// Stale returns rows that are retrying and have not changed since before.
	Stale(ctx context.Context, before time.Time, limit int) ([]store.Row, error)
}

// Kept has the rows of unsupported events.
type Kept interface {
	// Pages yields all rows, without their data. An error is the last that it yields.
	Pages(ctx context.Context) iter.Seq2[[]store.Row, error]
	// Read returns the rows with these ids that there are, with their data.
	Read(ctx context.Context, ids []string) ([]store.Row, error)
	// Mark gives a row another error, and Remove deletes it, unless the row has changed:
	// [store.ErrSuperseded].
	Mark(ctx context.Context, row store.Row, text string) error
	Remove(ctx context.Context, row store.Row) error
}

// Queue takes messages for the processor.
type Queue interface {
	// Send returns nil only after every message is in the queue.
	Send(ctx context.Context, bodies ...string) error
}

// A Handler looks for what is missing.
type Handler struct {
	Kinds event.Kinds
	// Lists are the kinds whose lists are read, in this order: see [ReadLists].
	Lists  []event.Kind
	Veryfi Veryfi
	Table  Table
	Kept   Kept
	Queue  Queue
	// Window is how far a scheduled run looks back, from Grace ago: a webhook and the way to
	// the row may take that long.
	Window, Grace time.Duration
	Metrics       metrics.Recorder
	Now           func() time.Time
	Log           *slog.Logger
}

// Handle does one run. The payload is EventBridge's event or a [reconciliation.Request].
// An error says how far the run came; what it found until then is enqueued.
func (h *Handler) Handle(ctx context.Context, payload json.RawMessage) (reconciliation.Result, error) {
	request, err := h.readRequest(payload)
	if err != nil {
		return reconciliation.Result{}, err
	}
	r := &run{Handler: h, scheduled: isScheduled(payload), reserve: reserve, seen: map[string]bool{}, answers: map[metrics.Metric]int{}}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		r.requestID = lc.AwsRequestID
	}
	r.log = h.Log.With(slog.String("request_id", r.requestID))
	if deadline, ok := ctx.Deadline(); ok {
		r.reserve = min(reserve, deadline.Sub(h.Now())/4)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-r.reserve))
		defer cancel()
	}
	switch end := h.Now().Add(-h.Grace).Truncate(time.Second); {
	case request == nil:
		before := errors.Join(r.stale(ctx), r.takeUpSome(ctx))
		window := reconciliation.Request{Since: reconciliation.At(end.Add(-h.Window)), Until: reconciliation.At(end)}
		err = errors.Join(r.readLists(ctx, h.tasks(&window)), before)
	case request.Unsupported:
		err = r.takeUpAll(ctx)
	case request.IDs != nil:
		err = r.named(ctx, *request)
	default:
		if request.Until == nil {
			request.Until = reconciliation.At(end)
		}
		if !request.Since.Before(request.Until.Time) {
			return reconciliation.Result{}, fmt.Errorf("since is not before %s, when the grace period begins, and there is no until; %s", end.Format(time.RFC3339), help)
		}
		r.isByHand = true
		err = r.readLists(ctx, h.tasks(request))
	}
	r.report(ctx, err)
	return r.result, err
}

// A run is one run, and what it did so far.
type run struct {
	*Handler
	scheduled bool
	requestID string
	isByHand  bool // a person named the time
	reserve   time.Duration
	log       *slog.Logger
	seen      map[string]bool // documents of the lists
	missing   []event.Message // to be enqueued
	answers   map[metrics.Metric]int
	result    reconciliation.Result
}

// report logs and counts how the run ended.
func (r *run) report(ctx context.Context, err error) {
	who := "by hand"
	if r.scheduled {
		who = "scheduled"
	}
	values := []metrics.Value{metrics.Reconciled.For(who, float64(r.result.Enqueued))}
	if r.result.Stale > 0 {
		values = append(values, metrics.Stale.Is(float64(r.result.Stale)))
	}
	for m, n := range r.answers {
		values = append(values, m.Is(float64(n)))
	}
	// An account that lacks the product of one kind is refused that list only.
	if failure.ClassOf(err) == failure.CredentialsRefused && r.answers[metrics.Veryfi2xx] == 0 {
		values = append(values, metrics.CredentialsRefused.One())
	}
	attrs := []any{
		slog.Int("listed", r.result.Listed), slog.Int("enqueued", r.result.Enqueued), slog.Int("stale", r.result.Stale),
		slog.Int("taken_up", r.result.TakenUp), slog.Int("removed", r.result.Removed), slog.Any("next", r.result.Next),
		r.Metrics.Of(values...),
	}
	switch {
	case err != nil:
		r.log.ErrorContext(ctx, "not reconciled", append(attrs, slog.String("error", err.Error()))...)
	case r.result.Next != nil:
		r.log.WarnContext(ctx, "reconciled in part, time was up", attrs...)
	default:
		r.log.InfoContext(ctx, "reconciled", attrs...)
	}
}

// named enqueues the documents with the request's ids that are not stored, or all of them.
func (r *run) named(ctx context.Context, request reconciliation.Request) error {
	var named []event.Message
	for _, id := range request.IDs {
		kind, number, _ := r.Kinds.OfKey(string(id))
		m := r.message(kind, number, "")
		if request.Again {
			m.Again, m.Version = true, max(2, m.Version) // version 1 has no Again
		}
		named = append(named, m)
	}
	wanted := func(row store.State) bool { return request.Again || row.Status != store.Processed }
	if err := r.find(ctx, named, wanted); err != nil {
		return err
	}
	return r.send(ctx, always)
}

// find looks up the rows of messages, and keeps the messages that are wanted, each once.
// Without a row the state has no status.
func (r *run) find(ctx context.Context, messages []event.Message, wanted func(store.State) bool) error {
	byKey := make(map[string]event.Message, len(messages))
	var keys []string
	for _, m := range messages {
		if _, known := byKey[m.Key()]; !known {
			byKey[m.Key()] = m
			keys = append(keys, m.Key())
		}
	}
	states, err := r.Table.States(ctx, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if wanted(states[key]) {
			r.missing = append(r.missing, byKey[key])
			r.log.InfoContext(ctx, "a document is enqueued", slog.String("document_id", key))
		}
	}
	return nil
}

// always is later than every document.
var always = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// send enqueues what was found and created before that time.
func (r *run) send(ctx context.Context, before time.Time) error {
	var bodies []string
	var later []event.Message
	for _, m := range r.missing {
		if created, ok := event.CreatedTime(m.Created); ok && !created.Before(before) {
			later = append(later, m)
		} else {
			bodies = append(bodies, m.Encode())
		}
	}
	if err := r.Queue.Send(ctx, bodies...); err != nil {
		return err
	}
	r.result.Enqueued += len(bodies)
	r.missing = later
	return nil
}

// sendRest enqueues all that was found when the run ends early, in the reserve.
func (r *run) sendRest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.reserve/2)
	defer cancel()
	return r.send(ctx, always)
}

func (r *run) message(kind event.Kind, id int64, created string) event.Message {
	name := kind.Reconciled()
	return event.Message{
		Version: event.VersionOf(name), Event: name, ID: id, Created: created,
		ReceivedAt: r.Now().UTC().Truncate(time.Millisecond), RequestID: r.requestID,
	}
}

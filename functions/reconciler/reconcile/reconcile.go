// Package reconcile finds the documents whose webhook never arrived: it lists what
// Veryfi has created, looks up which of that has no row, and enqueues it.
//
// Read [Handler.Handle] first, then [run.walk], the way of one listed time. A run keeps no
// state for the next one. The windows of scheduled runs overlap, and each run begins with
// the newest hour, which no run has seen: what a run leaves undone, the next ones do.
package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
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

// Veryfi has the list of documents.
type Veryfi interface {
	// List returns a page of the documents created from since until before until,
	// the oldest first. The answers are those to the requests that it took.
	List(ctx context.Context, resource veryfi.Resource, since, until time.Time, page int) (veryfi.Page, []veryfi.Answer, error)
}

// Table has the rows.
type Table interface {
	// States returns the states of the rows that there are.
	States(ctx context.Context, ids []string) (map[string]store.State, error)
	// Stale returns rows that are retrying and have not changed since before.
	Stale(ctx context.Context, before time.Time, limit int) ([]store.Row, error)
}

// Queue takes messages for the processor.
type Queue interface {
	// Send returns nil only after every message is in the queue.
	Send(ctx context.Context, bodies ...string) error
}

// A Handler looks for what is missing.
type Handler struct {
	Kinds  event.Kinds
	Veryfi Veryfi
	Table  Table
	Kept   Kept
	Queue  Queue
	// Lists are the kinds whose lists a run reads.
	Lists []event.Kind
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
	request, err := readRequest(payload)
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
		err = errors.Join(r.stale(ctx), r.takeUp(ctx), r.window(ctx, end))
	case request.IDs != nil:
		err = r.named(ctx, request.IDs, request.Again)
	case request.Unsupported:
		err = r.takeUp(ctx)
	default:
		if request.Until == nil {
			request.Until = reconciliation.At(end)
		}
		if !request.Since.Before(request.Until.Time) {
			return reconciliation.Result{}, fmt.Errorf("since is not before %s, when the grace period begins, and there is no until; %s", end.Format(time.RFC3339), help)
		}
		err = r.byHand(ctx, *request)
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
	seen      map[string]bool // keys of the lists' documents
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
	if failure.ClassOf(err) == failure.CredentialsRefused {
		values = append(values, metrics.CredentialsRefused.One())
	}
	attrs := []any{
		slog.Int("listed", r.result.Listed), slog.Int("enqueued", r.result.Enqueued), slog.Int("stale", r.result.Stale), slog.Int("taken_up", r.result.TakenUp), slog.Int("removed", r.result.Removed), slog.Any("next", r.result.Next),
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

// window walks over the window that ends at end, kind by kind. One list that Veryfi refuses
// keeps no other from being read.
func (r *run) window(ctx context.Context, end time.Time) (err error) {
	start := end.Add(-r.Window)
	for _, kind := range r.Lists {
		if r.result.Next != nil && err == nil {
			return nil // time is up
		}
		if kind.Resource == string(veryfi.Documents) {
			err = errors.Join(err, r.slices(ctx, start, end))
			continue
		}
		if rest, failed := r.walkPages(ctx, kind, start, end, 1); rest != nil {
			err = errors.Join(err, r.stop(*rest, failed))
		}
	}
	return err
}

// slices walks over the documents of a window, the newest slice first.
func (r *run) slices(ctx context.Context, start, end time.Time) error {
	for until := end; until.After(start); until = until.Add(-slice) {
		since := until.Add(-slice)
		if since.Before(start) {
			since = start
		}
		rest, err := r.walk(ctx, since, until, 1)
		if rest != nil {
			return r.stop(reconciliation.Request{Since: reconciliation.At(start), Until: reconciliation.At(until)}, err)
		}
	}
	return nil
}

func (r *run) byHand(ctx context.Context, request reconciliation.Request) (err error) {
	r.isByHand = true
	page := max(1, request.Page)
	for i, kind := range r.Lists {
		if request.Kind != "" && kind.Name != request.Kind {
			continue
		}
		walk := r.walk
		if kind.Resource != string(veryfi.Documents) {
			walk = func(ctx context.Context, since, until time.Time, page int) (*reconciliation.Request, error) {
				return r.walkPages(ctx, kind, since, until, page)
			}
		}
		rest, failed := walk(ctx, request.Since.Time, request.Until.Time, page)
		if rest != nil {
			rest.Kind = kind.Name
			return r.stop(*rest, failed)
		}
		if request.Kind != "" && i+1 < len(r.Lists) {
			next := request
			next.Kind, next.Page = r.Lists[i+1].Name, 0
			r.result.Next = &next
		}
		page = 1
	}
	return nil
}

// walkPages lists documents of another kind. Their order is not documented, and what is
// deleted when it is retrieved moves the pages to come: what is missing goes into the queue
// after the last page, or when time is up.
func (r *run) walkPages(ctx context.Context, kind event.Kind, since, until time.Time, page int) (rest *reconciliation.Request, err error) {
	for ; ; page++ {
		list, err := r.list(ctx, veryfi.Resource(kind.Resource), since, until, page)
		if err == nil {
			list.Documents = slices.DeleteFunc(list.Documents, func(d veryfi.Listed) bool {
				created, ok := event.CreatedTime(d.Created)
				return ok && !created.Before(until)
			})
			err = r.lookUp(ctx, kind, list)
		}
		if err != nil {
			if ctx.Err() != nil {
				err = veryfi.ErrNoTime
			}
			if unsent := r.sendRest(ctx); unsent != nil {
				page, err = 1, errors.Join(err, unsent)
			}
			return &reconciliation.Request{Since: reconciliation.At(since), Until: reconciliation.At(until), Page: page, Kind: kind.Name}, err
		}
		if list.IsLast {
			return nil, r.send(ctx, always)
		}
	}
}

// stop ends the run early, and says where to go on. That time is up is no error.
func (r *run) stop(next reconciliation.Request, err error) error {
	r.result.Next = &next
	if errors.Is(err, veryfi.ErrNoTime) {
		return nil
	}
	text, marshalErr := json.Marshal(next)
	return errors.Join(fmt.Errorf("%w; to go on from here, send %s", err, text), marshalErr)
}

// walk lists documents created from since to before until, beginning at a page, and enqueues
// the missing ones on the way. It returns what is left to do, with an error or without.
//
// Each request begins at the last document of the page before. Page numbers would move: a
// document that Veryfi deletes when it is retrieved leaves the list. So missing documents of
// the second with which the next request begins are not enqueued yet: at least this run
// deletes nothing from the pages to come.
func (r *run) walk(ctx context.Context, since, until time.Time, page int) (rest *reconciliation.Request, err error) {
	for {
		list, err := r.list(ctx, veryfi.Documents, since, until, page)
		if err == nil {
			err = r.lookUp(ctx, documents, list)
		}
		last, inOrder := lastCreated(list.Documents)
		advances := inOrder && last.After(since) && last.Before(until)
		switch {
		case err == nil && list.IsLast:
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
		case list.IsLast:
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

// lookUp finds documents without a row. A later run sees those that Veryfi still processes.
func (r *run) lookUp(ctx context.Context, kind event.Kind, list veryfi.Page) error {
	r.result.Listed += list.Unusable
	if list.Unusable > 0 {
		r.log.WarnContext(ctx, "Veryfi's list has documents without a usable id", slog.Int("documents", list.Unusable))
	}
	var found []event.Message
	for _, d := range list.Documents {
		if r.seen[kind.Key(d.ID)] {
			continue // at the end of the page before
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

// named enqueues the documents with these ids that are not stored, or all.
func (r *run) named(ctx context.Context, ids []reconciliation.ID, again bool) error {
	var named []event.Message
	for _, id := range ids {
		kind, number, ok := r.Kinds.OfKey(string(id))
		if !ok {
			return fmt.Errorf("%q is not the key of a document: a number, or a kind and a number such as check#5; %s", string(id), help)
		}
		m := r.message(kind, number, "")
		if again {
			m.Version, m.Again = max(m.Version, 2), true
		}
		named = append(named, m)
	}
	if err := r.find(ctx, named, func(row store.State) bool { return again || row.Status != store.Processed }); err != nil {
		return err
	}
	return r.send(ctx, always)
}

// find looks up the rows of messages, and keeps the messages whose rows are missing, each
// once. Without a row the state has no status.
func (r *run) find(ctx context.Context, messages []event.Message, missing func(store.State) bool) error {
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
		if missing(states[key]) {
			r.missing = append(r.missing, byKey[key])
			r.log.InfoContext(ctx, "a document is missing, it is enqueued", slog.String("document_id", key))
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

// documents are the kind whose list is in order.
var documents, _ = event.Kinds{}.Of(event.DocumentCreated)

func (r *run) message(kind event.Kind, id int64, created string) event.Message {
	name := kind.Reconciled()
	return event.Message{
		Version: event.VersionOf(name), Event: name, ID: id, Created: created,
		ReceivedAt: r.Now().UTC().Truncate(time.Millisecond), RequestID: r.requestID,
	}
}

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

const help = `send {} for what a scheduled run does, {"since": "2026-11-01", "until": "2026-11-02T12:00:00Z"} for documents created then (until may be left out), {"ids": [123456789, "check#5"]}, with "again": true also if they are stored, or {"unsupported": true}`

// isScheduled reports whether a payload is EventBridge's event.
func isScheduled(payload []byte) bool {
	var event struct {
		Source string `json:"source"`
	}
	return json.Unmarshal(payload, &event) == nil && event.Source == "aws.events"
}

// readRequest reads a payload. It returns nil for an empty one and for EventBridge's event:
// they ask for what a scheduled run does.
func readRequest(payload []byte) (*reconciliation.Request, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || bytes.Equal(payload, []byte("null")) || isScheduled(payload) {
		return nil, nil //nolint:nilnil // no request is one of the two good outcomes
	}
	var r reconciliation.Request
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("cannot read the payload: %w; %s", err, help)
	}
	switch {
	case r.IDs == nil && r.Since == nil && r.Until == nil && r.Page == 0 && !r.Unsupported:
		return nil, nil //nolint:nilnil // as above
	case r.IDs != nil && (r.Since != nil || r.Until != nil || r.Page != 0):
		return nil, fmt.Errorf("the payload has ids and a time; %s", help)
	case r.Unsupported && (r.IDs != nil || r.Since != nil || r.Until != nil || r.Again):
		return nil, fmt.Errorf("the payload has unsupported and more; %s", help)
	case r.Unsupported:
		return &r, nil
	case r.Again && r.IDs == nil:
		return nil, fmt.Errorf("the payload has again and no ids; %s", help)
	case r.IDs == nil && r.Since == nil:
		return nil, fmt.Errorf("the payload has no since; %s", help)
	case r.Since != nil && r.Until != nil && !r.Since.Before(r.Until.Time):
		return nil, fmt.Errorf("since is not before until; %s", help)
	case r.Page < 0:
		return nil, fmt.Errorf("page is less than 1; %s", help)
	}
	return &r, nil
}

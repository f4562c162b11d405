package retrieve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

const (
	// FirstWait keeps below ten equal failures a minute, which Veryfi answers with
	// 429, and is what a 404 needs at least.
	FirstWait = 10 * time.Second
	// credentialsWait is the first wait when a person has to do something.
	credentialsWait = time.Minute
	// deathWait is the first wait for a document on which the function died. It is longer
	// than the function's timeout, during which it may still be tried.
	deathWait = 6 * time.Minute
	// MaxWait is the longest wait: after an outage, the last document comes within an hour.
	// Sixty tries still take more than two days.
	MaxWait = time.Hour
	// ExactTries is how often a retry-after is kept to the second. Then the waits grow all
	// the same: a short one would use up all tries in an outage of an hour.
	ExactTries = 10
	// notFoundTries is how often Veryfi may answer 404 before the document counts as deleted.
	notFoundTries = 5
	// MaxAge is when a message is given up in any case: at ten days (the template's
	// MessageRetentionPeriod) SQS deletes it without a copy.
	MaxAge = 8 * 24 * time.Hour
)

// isLastTry reports whether a message that is not done now is given up.
func (h *Handler) isLastTry(d delivery) bool {
	return d.receives >= h.MaxTries && h.age(d) >= h.GiveUpAfter || h.isOverdue(d)
}

// isOverdue reports whether SQS will soon delete a message.
func (h *Handler) isOverdue(d delivery) bool { return h.age(d) >= MaxAge }

// age is how long a message has been in the queue.
func (h *Handler) age(d delivery) time.Duration {
	if d.queued.IsZero() {
		return 0
	}
	return h.Now().Sub(d.queued)
}

// A verdict says what an error means for the message.
type verdict struct {
	class     failure.Class
	permanent bool          // another try would fail, too
	wait      time.Duration // until the next try otherwise
}

// judge is the one place that decides what the class of an error means.
func (h *Handler) judge(d delivery, err error) verdict {
	v := verdict{class: failure.ClassOf(err), wait: h.backoff(FirstWait, d.receives)}
	var retryAfter time.Duration
	if answer, ok := errors.AsType[*veryfi.Error](err); ok {
		retryAfter = answer.RetryAfter
	}
	switch v.class {
	case failure.Malformed, failure.Refused, failure.TooLarge, failure.OtherKind:
		v.permanent = true
	case failure.NotFound: // permanent after some answers, which the row counts
		v.wait = max(v.wait, retryAfter)
	case failure.CredentialsRefused:
		v.wait = max(h.backoff(credentialsWait, d.receives), retryAfter)
	case failure.NoCredentials:
		if errors.Is(err, secret.ErrNotFilled) {
			v.wait = h.backoff(credentialsWait, d.receives)
		}
	case failure.Unavailable, failure.Throttled, failure.Unexpected:
		switch {
		case retryAfter > 0 && d.receives <= ExactTries:
			v.wait = retryAfter
		case retryAfter > 0:
			v.wait = max(retryAfter, h.backoff(FirstWait, d.receives-ExactTries))
		}
	case failure.Interrupted:
		v.wait = h.backoff(deathWait, d.receives)
	default: // in progress, out of time, the table, what nobody has given a class
	}
	return v
}

// backoff doubles the wait with each receive, up to an hour, and adds up to half of it at
// random, so that messages that failed together do not come back together.
func (h *Handler) backoff(first time.Duration, receives int) time.Duration {
	wait := first
	for range receives - 1 {
		if wait *= 2; wait >= MaxWait {
			wait = MaxWait
			break
		}
	}
	return wait + time.Duration(h.Random()*float64(wait)/2)
}

// fail keeps a message that could not be processed: its row says why, and it comes again or
// ends in the dead-letter queue. It logs and counts what was written. Whatever goes wrong
// here leaves the message to SQS.
func (h *Handler) fail(ctx context.Context, d delivery, seen store.State, err error, values []metrics.Value) outcome {
	v := h.judge(d, err)
	w, known := h.writeFailure(ctx, d, seen, v, err)
	isFinal := w.row.Status == store.Error
	if known && !w.written && (d.nothingToDo(view{own: w.now}) != "" || v.class == failure.NotFound && isKept(w.now)) {
		h.logNothing(ctx, d, "another message wrote the row", values)
		return outcome{done: true, row: w.now}
	}
	if known && d.isLimited(w.now) {
		v.wait = max(v.wait, h.backoff(enrichmentWait, 1))
	}
	isForAll := v.permanent && v.class != failure.OtherKind || w.row.NotFound >= notFoundTries
	o := outcome{row: w.now, forAll: !isFinal || isForAll}
	if isFinal && (known || h.isOverdue(d)) {
		o.done = h.giveUp(ctx, d)
	}
	if !o.done {
		o.again = v.wait
		h.delay(ctx, d, v.wait)
	}
	h.logFailure(ctx, d, v, o, w.row, values)
	return o
}

// writeFailure writes a row that says why a document is not stored. known is true when the
// row says so now, or need not: there is no key, or a better row.
func (h *Handler) writeFailure(ctx context.Context, d delivery, seen store.State, v verdict, err error) (w write, known bool) {
	lastTry := h.isLastTry(d)
	compose := func(now store.State) store.Row {
		row := d.row(now)
		if v.class == failure.NotFound {
			row.NotFound++
		}
		row.Status, row.Error = store.Retrying, failure.Text(err)
		switch {
		case v.permanent, v.class == failure.NotFound && row.NotFound >= notFoundTries:
			row.Status = store.Error
		case lastTry:
			row.Status, row.Error = store.Error, fmt.Sprintf("%s (given up after %d tries)", row.Error, d.receives)
		}
		return row
	}
	w = write{row: compose(seen), now: seen}
	if d.key == "" {
		return w, true
	}
	if v.class == failure.Table && !lastTry {
		return w, false // while the table is down the row can wait
	}
	w, writeErr := h.write(ctx, d, seen, compose)
	if writeErr != nil {
		d.log.ErrorContext(ctx, "cannot write the row", slog.String("error", writeErr.Error()))
	}
	return w, writeErr == nil
}

// giveUp copies the message to the dead-letter queue, and reports whether it is there.
func (h *Handler) giveUp(ctx context.Context, d delivery) bool {
	brief, cancel := h.brief(ctx)
	defer cancel()
	if err := h.DeadLetters.Send(brief, d.body); err != nil {
		d.log.ErrorContext(ctx, "cannot copy the message to the dead-letter queue, it will be tried again", slog.String("error", err.Error()))
		return false
	}
	return true
}

func (h *Handler) delay(ctx context.Context, d delivery, wait time.Duration) {
	if err := h.Queue.Delay(ctx, d.receipt, wait); err != nil {
		d.log.ErrorContext(ctx, "cannot delay the message, it comes again after the queue's visibility timeout", slog.String("error", err.Error()))
	}
}

// logFailure counts and logs a try that has failed.
func (h *Handler) logFailure(ctx context.Context, d delivery, v verdict, o outcome, row store.Row, values []metrics.Value) {
	level := slog.LevelWarn
	if o.done {
		level = slog.LevelError
		values = append(values, metrics.GivenUp.For(string(v.class), 1))
	} else {
		values = append(values, metrics.Retried.For(string(v.class), 1))
		if !d.queued.IsZero() {
			values = append(values, metrics.RetryAge.Took(h.age(d)))
		}
	}
	switch v.class {
	case failure.Table, failure.Rescued:
		values = append(values, metrics.TableFailures.One())
	case failure.CredentialsRefused:
		values = append(values, metrics.CredentialsRefused.One())
	default:
	}
	d.log.Log(ctx, level, "not stored", slog.String("status", string(row.Status)), slog.String("error", row.Error), h.Metrics.Of(values...))
}

package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/event"
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
	// MaxWait bounds how long after an outage the last document comes. Sixty tries
	// (the template's maxReceiveCount) then reach past two days.
	MaxWait = time.Hour
	// ExactTries is how often a retry-after is kept to the second. When it has not
	// helped so often, the waits grow all the same: a short one would use up all
	// tries within an hour of an outage.
	ExactTries = 10
	// notFoundTries is how often a document may be missing: then it is deleted.
	notFoundTries = 5
)

var errNoSecret = errors.New("the secret cannot be had")

// Classes of our own; see [veryfi.Class] for the others. A row's error begins with
// its class.
const (
	classTable       = "table"       // what DynamoDB answers, or does not
	classRescued     = "rescued"     // the document is in the queue
	classInterrupted = "interrupted" // the function has died
)

// hasClass reports whether a row's error is of that class.
func hasClass(text, class string) bool { return strings.HasPrefix(text, class+": ") }

// A verdict says what an error means for the message, the row and the log.
type verdict struct {
	class     string        // one or two words, the beginning of the row's error
	permanent bool          // it will not get better
	wait      time.Duration // until the next try otherwise
}

// judge is the one place that decides what an error means.
func (h *Handler) judge(t *try, err error) verdict {
	v := verdict{wait: h.backoff(FirstWait, t.receiveCount)}
	var answer *veryfi.Error
	switch {
	case errors.Is(err, event.ErrMalformed):
		v.class, v.permanent = "malformed", true
	case errors.As(err, &answer):
		v.class = string(answer.Class)
		switch answer.Class {
		case veryfi.Refused, veryfi.TooLarge:
			v.permanent = true
		case veryfi.NotFound:
			v.permanent = t.isMissing()
			v.wait = max(v.wait, answer.RetryAfter)
		case veryfi.CredentialsRefused:
			v.wait = max(h.backoff(credentialsWait, t.receiveCount), answer.RetryAfter)
		case veryfi.Unavailable, veryfi.Throttled, veryfi.Unexpected:
			switch {
			case answer.RetryAfter > 0 && t.receiveCount <= ExactTries:
				v.wait = answer.RetryAfter
			case answer.RetryAfter > 0:
				v.wait = max(answer.RetryAfter, h.backoff(FirstWait, t.receiveCount-ExactTries))
			}
		}
	case errors.Is(err, document.ErrInProgress):
		v.class = "in progress"
	case errors.Is(err, document.ErrNotDocument), errors.Is(err, document.ErrOtherDocument):
		v.class = string(veryfi.Unexpected)
	case errors.Is(err, secret.ErrNotFilled):
		v.class = "no credentials"
		v.wait = h.backoff(credentialsWait, t.receiveCount)
	case errors.Is(err, errNoSecret):
		v.class = "no credentials"
	case errors.Is(err, store.ErrTooLarge):
		v.class, v.permanent = string(veryfi.TooLarge), true
	case errors.Is(err, event.ErrNewerVersion):
		v.class = "newer version"
	case errors.Is(err, errPanic):
		v.class = "internal error"
	case errors.Is(err, errInQueue):
		v.class = classRescued
	case errors.Is(err, errInterrupted):
		v.class = classInterrupted
	case errors.Is(err, veryfi.ErrNoTime), errors.Is(err, context.DeadlineExceeded):
		v.class = "out of time"
	default:
		v.class = classTable
	}
	return v
}

// isMissing reports whether a 404 is the fifth. Tries that failed for another
// reason, as in an outage, do not make it so.
func (t *try) isMissing() bool {
	onlyMissing := t.seen.Status != store.Retrying || hasClass(t.seen.Error, string(veryfi.NotFound))
	return t.receiveCount >= notFoundTries && onlyMissing
}

// backoff doubles the wait with each receive, up to an hour, and adds up to half
// of it by chance, so that what failed together does not come back together.
func (h *Handler) backoff(first time.Duration, receiveCount int) time.Duration {
	wait := first
	for range receiveCount - 1 {
		if wait *= 2; wait >= MaxWait {
			wait = MaxWait
			break
		}
	}
	return wait + time.Duration(h.Random()*float64(wait)/2)
}

func (h *Handler) countFailure(t *try, v verdict, status store.Status) {
	if status == store.Error {
		t.count(metrics.GivenUp.For(v.class, 1))
	} else {
		t.count(metrics.Retried.For(v.class, 1))
		if !t.queued.IsZero() {
			t.count(metrics.RetryAge.Took(h.Now().Sub(t.queued)))
		}
	}
	switch v.class {
	case classTable, classRescued:
		t.count(metrics.TableFailures.One())
	case string(veryfi.CredentialsRefused):
		t.count(metrics.CredentialsRefused.One())
	}
}

// settle sees to it that a message which could not be processed is not lost: it
// comes again, or ends in the dead-letter queue. It reports whether the message
// is done. It must not fail: what goes wrong here leaves the message to SQS.
func (h *Handler) settle(ctx context.Context, t *try, err error) (done bool) {
	v := h.judge(t, err)
	lastTry := t.receiveCount >= h.MaxReceiveCount
	status, level := store.Retrying, slog.LevelWarn
	if v.permanent || lastTry {
		status, level = store.Error, slog.LevelError
	}
	text := fmt.Sprintf("%s: %s", v.class, err)
	if lastTry && !v.permanent {
		text = fmt.Sprintf("%s (given up after %d tries)", text, t.receiveCount)
	}
	h.countFailure(t, v, status)
	t.log.Log(ctx, level, "not stored", slog.String("status", string(status)), slog.String("error", text), h.Metrics.Of(t.counted...))

	written := true
	// While the table is down the row can wait, but not past the last try.
	if t.key() != "" && (v.class != classTable || lastTry) {
		row := t.row()
		row.Status, row.Error = status, text
		if _, err := h.put(ctx, t, row); err != nil {
			t.log.ErrorContext(ctx, "the row could not be written", slog.String("error", err.Error()))
			written = false
		} else if t.settledBy(t.seen) || v.class == string(veryfi.NotFound) && t.isKept() {
			return true // another try has stored it meanwhile
		}
	}
	if v.permanent && written {
		brief, cancel := h.brief(ctx)
		defer cancel()
		err := h.DeadLetters.Send(brief, t.body)
		if err == nil {
			return true
		}
		t.log.ErrorContext(ctx, "the message could not be copied to the dead-letter queue, it will be tried again", slog.String("error", err.Error()))
	}
	wait := v.wait
	if lastTry {
		wait = 0 // SQS moves it to the dead-letter queue when it is due again
	}
	if err := h.Queue.Delay(ctx, t.receipt, wait); err != nil {
		t.log.ErrorContext(ctx, "the message could not be delayed, it comes again after the queue's visibility time-out", slog.String("error", err.Error()))
	}
	return false
}

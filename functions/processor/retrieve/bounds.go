package retrieve

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"veryfi-intake/shared/failure"
)

// Parts of the function's timeout that are kept free; at most a quarter of what is left.
const (
	answerReserve = time.Second      // to hand back the batch
	storeReserve  = 12 * time.Second // to store the document, or why there is none
)

// callTimeout bounds one call to the table or a queue, with the SDK's retries. While one
// of them hangs, there is time left for the other.
const callTimeout = 5 * time.Second

// errPanic hides what a panic says: it may hold a part of the document.
var errPanic = failure.Internal.New("the function failed on this record")

// guarded runs f, and returns [errPanic] if it panics.
func guarded(ctx context.Context, log *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "panic", slog.String("type", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			err = errPanic
		}
	}()
	return f()
}

// reserve returns a context that ends before ctx, by d or by a quarter of what is
// left.
func (h *Handler) reserve(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(d, deadline.Sub(h.Now())/4)))
}

// brief returns a context for one call.
func (h *Handler) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithTimeout(ctx, min(callTimeout, deadline.Sub(h.Now())/2))
	}
	return context.WithTimeout(ctx, callTimeout)
}

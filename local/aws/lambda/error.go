package lambda

import "errors"

// Kind says in which way an invocation failed.
type Kind int

const (
	// Failed means that the function reported an error or a panic, with type and message.
	Failed Kind = iota + 1
	// TimedOut means that the function was ended at its time-out.
	TimedOut
	// Crashed means that the process ended, or did not come up.
	Crashed
)

// An Error is an invocation that failed. Whatever the kind, its environment is
// gone.
type Error struct {
	Kind Kind
	// Type and Message are the function's own for Failed, else what Lambda
	// itself reports, like Sandbox.Timedout.
	Type, Message string
}

func (e *Error) Error() string { return e.Type + ": " + e.Message }

// ErrTooLarge is the error of an event over [MaxPayload].
var ErrTooLarge = errors.New("the event is over Lambda's limit of 6 MB")

// errNotGiven is the error of an environment that ended before it took the
// event.
var errNotGiven = errors.New("the environment ended before it took the event")

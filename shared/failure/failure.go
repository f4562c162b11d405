// Package failure has the classes of the failures that keep a document from being stored. A
// class decides what happens to a message. The error of a row begins with it.
package failure

import (
	"errors"
	"strings"
)

// A Class says what kind of failure an error is.
type Class string

// Classes of Veryfi's answers. All but [Refused] and [TooLarge] may get better.
const (
	Unavailable        Class = "unavailable"         // no answer, or 5xx
	Throttled          Class = "throttled"           // 409 or 429: a limit was reached
	CredentialsRefused Class = "credentials refused" // 401 or 403
	NotFound           Class = "not found"           // 404: not there yet, or deleted
	InProgress         Class = "in progress"         // Veryfi still works on the document
	Unexpected         Class = "unexpected answer"   // an answer that is not the document
	Refused            Class = "refused"             // another 4xx: the request is wrong
	TooLarge           Class = "too large"           // for what is read, or for the table
)

// Classes of failures on our side.
const (
	NoCredentials Class = "no credentials" // the secret is not filled, or cannot be read
	Table         Class = "table"          // DynamoDB answers with an error, or not at all
	Rescued       Class = "rescued"        // the table has refused the document, the queue has it
	OutOfTime     Class = "out of time"    // the function's time was up
	Interrupted   Class = "interrupted"    // the function has died
	Malformed     Class = "malformed"      // the body is not a message of ours
	NewerVersion  Class = "newer version"  // newer code wrote the message
	OtherKind     Class = "other kind"     // the document is stored under another kind's key
	Internal      Class = "internal error" // an error without a class
)

// classes are all classes.
var classes = []Class{
	Unavailable, Throttled, CredentialsRefused, NotFound, InProgress, Unexpected, Refused, TooLarge,
	NoCredentials, Table, Rescued, OutOfTime, Interrupted, Malformed, NewerVersion, OtherKind, Internal,
}

// All returns all classes.
func All() []Class { return classes }

// classed is an error with a class.
type classed struct {
	error
	class Class
}

func (e *classed) Unwrap() error { return e.error }

func (e *classed) Failure() Class { return e.class }

// New returns an error of the class.
func (c Class) New(text string) error { return &classed{errors.New(text), c} }

// Of returns err with the class, whatever class it had before; nil stays nil.
func (c Class) Of(err error) error {
	if err == nil {
		return nil
	}
	return &classed{err, c}
}

// ClassOf returns the outermost class of an error, [Internal] if it has none, and "" for a
// nil error. Other types of errors have a class through a method Failure.
func ClassOf(err error) Class {
	var failed interface{ Failure() Class }
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failed):
		return failed.Failure()
	default:
		return Internal
	}
}

const separator = ": "

// Text returns the error as a row has it: its class and its text.
func Text(err error) string { return string(ClassOf(err)) + separator + err.Error() }

// Parse returns the class at the beginning of a text of [Text], "" if there is none.
func Parse(text string) Class {
	for _, c := range classes {
		if strings.HasPrefix(text, string(c)+separator) {
			return c
		}
	}
	return ""
}

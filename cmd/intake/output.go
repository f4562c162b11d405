package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// errUnwell means that what is wrong was printed.
var errUnwell = errors.New("not all is well")

// printJSON prints a result for machines.
func (a *app) printJSON(value any) error {
	return a.result.JSON(value, true)
}

// say prints a line for people.
func (a *app) say(format string, values ...any) { a.result.Line(format, values...) }

// note prints a line for people that is not the result.
func (a *app) note(format string, values ...any) { a.notes.Line(format, values...) }

// confirm asks before what cannot be undone.
func (a *app) confirm(question string, yes bool) error {
	if yes {
		return nil
	}
	if !a.answers {
		return fmt.Errorf("%s That cannot be undone, and nobody is there to ask: confirm it with --yes. Nothing was changed", question)
	}
	a.notes.Prompt("%s Type yes to go on: ", question)
	answer, err := a.ask(func() (string, error) { return bufio.NewReader(a.in).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// ask reads what somebody types on the terminal, until they are interrupted: then the
// terminal is as it was before.
func (a *app) ask(read func() (string, error)) (string, error) {
	before, stateErr := term.GetState(int(a.in.Fd()))
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := read()
		typed <- answer{strings.TrimSpace(text), err}
	}()
	select {
	case t := <-typed:
		return t.text, t.err
	case <-a.Done():
		if stateErr == nil {
			_ = term.Restore(int(a.in.Fd()), before)
		}
		return "", a.Err()
	}
}

// progress shows how far long work is, on a terminal. Total is -1 when it is not
// known.
func (a *app) progress(total int64, what string) *progressbar.ProgressBar {
	out := io.Discard
	if a.terminal != nil && !a.JSON {
		out = a.terminal
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(out),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0), // the bar's own goroutine races with Set
	)
}

// pause waits, and reports whether it was not interrupted.
func (a *app) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-a.Done():
		return false
	}
}

// documents says how many there are.
func documents(n int) string {
	if n == 1 {
		return "1 document"
	}
	return strconv.Itoa(n) + " documents"
}

// forPeople says how long something takes.
func forPeople(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f seconds", max(0, d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f hours", d.Hours())
	default:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
}

// ago says how long ago something was.
func ago(d time.Duration) string { return forPeople(d) + " ago" }

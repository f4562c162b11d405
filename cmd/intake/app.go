package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/console"
)

// An app is one run of the command: how it talks with people and machines.
type app struct {
	context.Context //nolint:containedctx // it ends with the run
	globals

	in      *os.File
	answers bool // whether somebody types it, on a terminal
	// The result goes to the one, all else to the other. Nothing else prints.
	result, notes *console.Console
	// terminal is where progress is shown, nil for nowhere.
	terminal io.Writer
	pace     float64 // requests a second to Veryfi
}

// errUnwell means that what is wrong was printed.
var errUnwell = errors.New("not all is well")

// printJSON prints a result for machines.
func (a *app) printJSON(value any) error { return a.result.JSON(value, true) }

// tell prints a result: the value for machines, the lines for people.
func (a *app) tell(value any, lines ...string) error {
	if a.JSON {
		return a.printJSON(value)
	}
	for _, line := range lines {
		a.say("%s", line)
	}
	return nil
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

// progress shows how far long work is, on a terminal, until it is ended.
func (a *app) progress(what string) (show deployment.Progress, end func()) {
	if a.terminal == nil || a.JSON {
		return func(int, int) {}, func() {}
	}
	var bar *progressbar.ProgressBar
	show = func(done, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total,
				progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(a.terminal),
				progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionSetSpinnerChangeInterval(0), // the bar's own goroutine races with Set
			)
		}
		_ = bar.Set(done)
	}
	return show, func() {
		if bar != nil {
			_ = bar.Exit()
		}
	}
}

// ago says how long ago something was.
func ago(t time.Time) string { return deployment.ForPeople(time.Since(t)) + " ago" }

// shorten cuts a text to a number of characters.
func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// Package bench measures the functions and what they are compared with: a bare
// HMAC, an empty Go function, the floor (a function that only sends the same
// requests), and a plain receiver in Python. Each figure is a ratio of two things
// that were measured in turns, in one run: machines and days differ, ratios less.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"

	"veryfi-intake/shared/secret"
)

// Options say what is measured.
type Options struct {
	Root        string // of the clone
	Credentials secret.Credentials
	// Rounds are how often each figure is taken.
	Rounds int
	// Parts are the names of those to run: micro, functions, pipeline, sizes. None is all.
	Parts []string
	// Progress gets in a few words what takes long, Table each result.
	Progress func(string)
	Table    func(Table)
}

type bench struct {
	Options

	share *share // nil when memory sizes cannot be imitated
}

// Run measures.
func Run(ctx context.Context, options Options) error {
	b := &bench{Options: options}
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"micro", b.micro}, {"functions", b.functions}, {"pipeline", b.pipeline}, {"sizes", b.sizes}} {
		if len(b.Parts) > 0 && !slices.Contains(b.Parts, part.name) {
			continue
		}
		if err := part.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// show hands out a table that is complete.
func (b *bench) show(t *Table) {
	for _, name := range t.unmeasured() {
		t.Notes = append(t.Notes, "Not measured, though it has a target: "+name)
	}
	b.Table(*t)
}

// functions measures whole functions, as processes.
func (b *bench) functions(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		b.Progress("whole functions are skipped: they are measured on Linux, where Lambda is")
		return nil
	}
	s, err := b.newSubjects(ctx)
	if errors.Is(err, errNoBundle) {
		b.Progress("whole functions are skipped: " + err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer s.close()
	if b.share, err = newShare(); err != nil {
		b.Progress("memory sizes are skipped: " + err.Error())
	} else {
		defer b.share.remove()
	}
	for _, part := range []func(context.Context, *subjects) error{b.cold, b.running, b.tenAgainstOne, b.largest, b.memorySizes, b.levers} {
		if err := part(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// run runs a program in the clone, with these variables on top, and returns what it writes.
func run(ctx context.Context, root string, variables []string, name string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir, command.Env = root, append(os.Environ(), variables...)
	out, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, arguments[0], err, out)
	}
	return out, nil
}

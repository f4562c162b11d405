// Package bench measures the functions beside what they are compared with: a bare
// HMAC, an empty Go function, the floor (an empty function that makes the same
// requests with nothing around them), and a plain receiver in Python. Each figure
// is a ratio of two things that were measured in turns, in one run: machines and
// days differ, ratios less.
package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"veryfi-intake/shared/secret"
)

// Options say what is measured.
type Options struct {
	Root        string // of the clone
	Credentials secret.Credentials
	// Rounds are how often each figure is taken.
	Rounds int
	// Parts are the names of those to run, see [Parts]; all of them when empty.
	Parts []string
	// Progress gets in a few words what takes long, Table each result.
	Progress func(string)
	Table    func(Table)
}

// Parts are the names of all parts, in their order.
var Parts = []string{"micro", "functions", "pipeline", "sizes"}

type bench struct {
	Options

	share *share // nil when memory sizes cannot be imitated
}

// Run measures.
func Run(ctx context.Context, options Options) error {
	b := &bench{Options: options}
	parts := map[string]func(context.Context) ([]Table, error){
		"micro": b.micro, "pipeline": b.pipeline, "sizes": b.sizes,
		"functions": func(ctx context.Context) ([]Table, error) { return nil, b.functions(ctx) },
	}
	wanted := options.Parts
	if len(wanted) == 0 {
		wanted = Parts
	}
	for _, name := range wanted {
		part, ok := parts[name]
		if !ok {
			return fmt.Errorf("there is no part %s: the parts are %v", name, Parts)
		}
		if err := b.show(part(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) show(tables []Table, err error) error {
	if err != nil {
		return err
	}
	for _, table := range tables {
		b.Table(table)
	}
	return nil
}

// functions measures whole functions, as processes.
func (b *bench) functions(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		b.Progress("whole functions are skipped: they are measured on Linux, where Lambda is")
		return nil
	}
	s, err := newSubjects(ctx, b.Root, b.Credentials)
	if errors.Is(err, errNoBundle) {
		b.Progress("whole functions are skipped: " + err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer s.close()
	if !s.hasPython() {
		b.Progress("the Python receiver is skipped: `make bench` sets up its environment where Python is")
	}
	if b.share, err = newShare(); err != nil {
		b.Progress("memory sizes are skipped: " + err.Error())
	} else {
		defer b.share.remove()
	}
	for _, part := range []func(context.Context, *subjects) ([]Table, error){b.cold, b.warm, b.batches, b.memorySizes, b.levers} {
		if err := b.show(part(ctx, s)); err != nil {
			return err
		}
	}
	return nil
}

// Package mutants breaks the code on purpose, in one way after another, and sees
// that a test notices each time. Each way is a patch in the folder twins, whose
// first line says what is wrong with it.
//
// It fails when a twin survives, when a patch no longer applies, when a twin does
// not compile (that proves nothing), or when the tests fail without a twin.
package mutants

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stages are the tests in the order in which they are tried: what is quick and
// what notices most comes first.
var stages = []stage{
	{"unit tests", []string{"-short", "-timeout", "90s", "./functions/...", "./shared/..."}},
	{"simulation", []string{"-run", "^TestSchedules$", "./proof/simulation", "-schedules=4000"}},
	{"real binaries", []string{"./proof/pipeline"}},
}

// Run breaks the code in every way, or in those that are named, and prints what
// notices.
func Run(ctx context.Context, root string, names []string, out io.Writer) error {
	return run(ctx, root, filepath.Join(root, "proof", "mutants", "twins"), stages, names, out)
}

func run(ctx context.Context, root, folder string, stages []stage, names []string, out io.Writer) error {
	twins, err := readTwins(folder)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		twins = slices.DeleteFunc(twins, func(t twin) bool { return !slices.Contains(names, t.name) })
		if len(twins) != len(names) {
			return fmt.Errorf("not all of %s are twins: see %s", strings.Join(names, ", "), folder)
		}
	}
	fmt.Fprintln(out, "testing the code as it is")
	for _, s := range stages[:min(2, len(stages))] {
		if caught, err := s.run(ctx, root, ""); err != nil {
			return err
		} else if len(caught) > 0 {
			return fmt.Errorf("the tests fail without a twin: %s", strings.Join(caught, ", "))
		}
	}
	var wrong []string
	for i, t := range twins {
		start := time.Now()
		verdict, ok := t.judge(ctx, root, stages)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		mark := "✓"
		if !ok {
			mark = "✗"
			wrong = append(wrong, t.name)
		}
		fmt.Fprintf(out, "%s %2d/%d %-34s %s\n          %s (%.0f s)\n", mark, i+1, len(twins), t.name, t.what, verdict, time.Since(start).Seconds())
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of %d twins: %s", len(wrong), len(twins), strings.Join(wrong, ", "))
	}
	fmt.Fprintf(out, "all %d twins were noticed\n", len(twins))
	return nil
}

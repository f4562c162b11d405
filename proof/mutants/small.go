package mutants

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Small makes every small change in packages of the module at root, some at a time, and
// prints those that the tests of the same package do not notice: an operator for another,
// a number one too large, a condition turned round, a statement or a literal's member left
// out, an error dropped. With a base, a commit, it changes only lines that are not as
// there.
func Small(ctx context.Context, root, base string, packages []string, out io.Writer) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	c := code{root: root}
	tested, err := c.list(ctx, packages)
	if err != nil {
		return err
	}
	isWanted, err := c.changedSince(ctx, base)
	if err != nil {
		return err
	}
	var total score
	for _, p := range tested {
		var todo []mutant
		for _, file := range p.files {
			all, err := mutants(root, file)
			if err != nil {
				return err
			}
			for _, m := range all {
				if isWanted(m) {
					todo = append(todo, m)
				}
			}
		}
		if len(todo) == 0 {
			continue
		}
		s, err := c.trySmall(ctx, p.path, todo, out)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, p.path+":", s)
		total.noticed += s.noticed
		total.all += s.all
	}
	fmt.Fprintln(out, "in all:", total)
	return nil
}

// A score counts mutants.
type score struct{ noticed, all int }

func (s score) String() string {
	if s.all == 0 {
		return "nothing to break"
	}
	return fmt.Sprintf("%d of %d noticed (%d %%)", s.noticed, s.all, s.noticed*100/s.all)
}

// A tested is a package that has tests.
type tested struct {
	path  string   // as it is imported
	files []string // its code, by paths in the clone
}

func (c code) list(ctx context.Context, packages []string) (all []tested, err error) {
	const format = "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{range .GoFiles}}\t{{$.Dir}}/{{.}}{{end}}{{end}}"
	out, err := c.run(ctx, "go", append([]string{"list", "-f", format}, packages...)...)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		p := tested{path: fields[0]}
		for _, path := range fields[1:] {
			file, err := filepath.Rel(c.root, path)
			if err != nil {
				return nil, err
			}
			p.files = append(p.files, file)
		}
		all = append(all, p)
	}
	return all, nil
}

// changedSince says whether a mutant's line is not as in the commit; without a commit all are.
func (c code) changedSince(ctx context.Context, base string) (func(mutant) bool, error) {
	if base == "" {
		return func(mutant) bool { return true }, nil
	}
	out, err := c.run(ctx, "git", "diff", "--relative", "-U0", base, "--", "*.go")
	if err != nil {
		return nil, err
	}
	changed := map[token.Position]bool{} // without columns
	file := ""
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			file = filepath.FromSlash(strings.TrimSpace(name))
		}
		_, hunk, ok := strings.Cut(line, " +")
		if !ok || !strings.HasPrefix(line, "@@ ") {
			continue
		}
		first, count := 0, 1
		if n, _ := fmt.Sscanf(hunk, "%d,%d", &first, &count); n == 0 {
			return nil, fmt.Errorf("git diff wrote %q", line)
		}
		for n := first; n < first+count; n++ {
			changed[token.Position{Filename: file, Line: n}] = true
		}
	}
	return func(m mutant) bool { return changed[token.Position{Filename: m.Filename, Line: m.Line}] }, nil
}

// trySmall tests mutants of a package and prints those that survive. It does not count
// those that do not compile.
func (c code) trySmall(ctx context.Context, importPath string, todo []mutant, out io.Writer) (s score, err error) {
	start := time.Now()
	failed, err := c.test(ctx, "-count=1", "-timeout", "1h", importPath)
	if err != nil {
		return s, err
	}
	if len(failed) > 0 {
		return s, fmt.Errorf("the tests fail without a change: %s", strings.Join(failed, ", "))
	}
	// Beyond it a mutant runs forever.
	limit := 10*time.Second + 5*time.Since(start)
	results := make([]error, len(todo))
	running := make(chan struct{}, runtime.NumCPU())
	var group sync.WaitGroup
	for i, m := range todo {
		running <- struct{}{}
		group.Go(func() {
			results[i] = m.judge(ctx, c, limit, importPath)
			<-running
		})
	}
	group.Wait()
	for i, result := range results {
		switch {
		case ctx.Err() != nil:
			return s, ctx.Err()
		case errors.Is(result, errNotCompiled):
		case errors.Is(result, errSurvives):
			s.all++
			fmt.Fprintln(out, todo[i])
		case result != nil:
			return s, result
		default:
			s.all++
			s.noticed++
		}
	}
	return s, nil
}

var errSurvives = errors.New("no test notices it")

// judge returns nil when a test notices the mutant.
func (m mutant) judge(ctx context.Context, original code, limit time.Duration, importPath string) error {
	folder, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	changed, err := original.with(folder, map[string][]byte{m.Filename: m.text()})
	if err != nil {
		return err
	}
	failed, err := changed.test(ctx, "-count=1", "-failfast", "-timeout", limit.String(), importPath)
	if err == nil && len(failed) == 0 {
		return errSurvives
	}
	return err
}

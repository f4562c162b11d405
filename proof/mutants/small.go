package mutants

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Small breaks packages of the module at root in every small way that their syntax offers,
// some at a time, and prints what the tests of the same package do not notice: an operator
// taken for another, a number one too large, a condition turned round, a statement or a
// literal's member left out, an error dropped. With a base, a commit, it breaks only lines
// that have changed since.
//
// What survives is a question: a test may be missing, or the change makes no difference.
func Small(ctx context.Context, root, base string, workers int, packages []string, out io.Writer) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	sources, err := list(ctx, root, packages)
	if err != nil {
		return err
	}
	hasChanged := func(mutant) bool { return true }
	if base != "" {
		if hasChanged, err = changedSince(ctx, root, base); err != nil {
			return err
		}
	}
	var total score
	for _, p := range sources {
		s, err := p.test(ctx, root, hasChanged, workers, out)
		if err != nil {
			return err
		}
		total.noticed += s.noticed
		total.survived += s.survived
	}
	fmt.Fprintln(out, "in all:", total)
	return nil
}

// A score counts mutants.
type score struct{ noticed, survived int }

func (s score) String() string {
	all := s.noticed + s.survived
	if all == 0 {
		return "nothing to break"
	}
	return fmt.Sprintf("%d of %d noticed (%d %%)", s.noticed, all, s.noticed*100/all)
}

// A source is a package's code without its tests.
type source struct {
	Dir, ImportPath string
	GoFiles         []string
	TestGoFiles     []string
	XTestGoFiles    []string
}

func list(ctx context.Context, root string, packages []string) ([]source, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"list", "-json=Dir,ImportPath,GoFiles,TestGoFiles,XTestGoFiles"}, packages...)...)
	command.Dir, command.Stderr = root, os.Stderr
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var sources []source
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p source
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return sources, nil
		case err != nil:
			return nil, err
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			sources = append(sources, p)
		}
	}
}

// changedSince says whether a mutant's line is not as in the commit.
func changedSince(ctx context.Context, root, base string) (func(mutant) bool, error) {
	command := exec.CommandContext(ctx, "git", "diff", "--relative", "-U0", base, "--", "*.go")
	command.Dir, command.Stderr = root, os.Stderr
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("git diff: %w", err)
	}
	changed := map[string]bool{} // file:line
	file := ""
	scan := bufio.NewScanner(bytes.NewReader(text))
	scan.Buffer(nil, len(text)+1)
	for scan.Scan() {
		if name, ok := strings.CutPrefix(scan.Text(), "+++ b/"); ok {
			file = filepath.Join(root, name)
		}
		_, hunk, ok := strings.Cut(scan.Text(), " +")
		if !ok || !strings.HasPrefix(scan.Text(), "@@ ") {
			continue
		}
		first, count := 0, 1
		if n, _ := fmt.Sscanf(hunk, "%d,%d", &first, &count); n == 0 {
			return nil, fmt.Errorf("git diff wrote %q", scan.Text())
		}
		for line := first; line < first+count; line++ {
			changed[fmt.Sprint(file, ":", line)] = true
		}
	}
	return func(m mutant) bool { return changed[fmt.Sprint(m.file, ":", m.line)] }, scan.Err()
}

// test tests a package's mutants and prints those that survive.
func (p source) test(ctx context.Context, root string, hasChanged func(mutant) bool, workers int, out io.Writer) (score, error) {
	var todo []mutant
	for _, name := range p.GoFiles {
		all, err := mutantsOf(filepath.Join(p.Dir, name))
		if err != nil {
			return score{}, err
		}
		for _, m := range all {
			if hasChanged(m) {
				todo = append(todo, m)
			}
		}
	}
	if len(todo) == 0 {
		return score{}, nil
	}
	start := time.Now()
	if text, err := goTest(ctx, root, "", time.Hour, p.ImportPath); err != nil {
		return score{}, fmt.Errorf("the tests of %s fail as it is: %w\n%s", p.ImportPath, err, text)
	}
	// Beyond it a mutant runs forever.
	limit := 10*time.Second + 5*time.Since(start)
	outcomes := make([]outcome, len(todo))
	next := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range next {
				outcomes[i] = todo[i].judge(ctx, root, limit, p.ImportPath)
			}
		})
	}
	for i := range todo {
		next <- i
	}
	close(next)
	group.Wait()
	if ctx.Err() != nil {
		return score{}, ctx.Err()
	}
	var s score
	for i, o := range outcomes {
		switch {
		case o.err != nil:
			return score{}, o.err
		case o.survives:
			s.survived++
			name, err := filepath.Rel(root, todo[i].file)
			if err != nil {
				return score{}, err
			}
			todo[i].file = name
			fmt.Fprintln(out, todo[i])
		case o.compiles:
			s.noticed++
		}
	}
	fmt.Fprintln(out, p.ImportPath+":", s)
	return s, nil
}

// An outcome is what the tests make of a mutant.
type outcome struct {
	compiles, survives bool
	err                error
}

func (m mutant) judge(ctx context.Context, root string, limit time.Duration, importPath string) outcome {
	folder, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return outcome{err: err}
	}
	defer os.RemoveAll(folder)
	overlay, err := m.overlay(folder)
	if err != nil {
		return outcome{err: err}
	}
	text, err := goTest(ctx, root, overlay, limit, importPath)
	return outcome{compiles: !bytes.Contains(text, []byte("[build failed]")), survives: err == nil}
}

func (m mutant) overlay(folder string) (string, error) {
	original, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	mine := filepath.Join(folder, "mutant.go")
	if err := os.WriteFile(mine, m.text(original), 0o600); err != nil {
		return "", err
	}
	return overlay(folder, map[string]string{m.file: mine})
}

// goTest runs a package's tests.
func goTest(ctx context.Context, root, overlay string, limit time.Duration, importPath string) ([]byte, error) {
	return goTool(ctx, root, overlay, "test", "-count=1", "-vet=off", "-failfast", "-timeout", limit.String(), importPath)
}

// Package mutants breaks the code on purpose, and sees whether a test notices.
//
// [Twins] have one flaw each that somebody thought of: a patch in the folder twins, whose
// first line says what is wrong. Tests must notice all of them. [Small] makes every small
// change that a package's syntax offers. What survives it is a question: a test may be
// missing, or the change makes no difference.
package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// code is the clone at root as the go tool sees it: with the texts that an overlay has
// for some of its files, unless that is "".
type code struct{ root, overlay string }

// with returns the code with other texts for some files, by their paths in the clone. It
// keeps them in folder, under these paths.
func (c code) with(folder string, texts map[string][]byte) (code, error) {
	replace := map[string]string{}
	for file, text := range texts {
		mine := filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(mine), 0o700); err != nil {
			return code{}, err
		}
		if err := os.WriteFile(mine, text, 0o600); err != nil {
			return code{}, err
		}
		replace[filepath.Join(c.root, file)] = mine
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return code{}, err
	}
	c.overlay = filepath.Join(folder, "overlay.json")
	return c, os.WriteFile(c.overlay, text, 0o600)
}

var errNotCompiled = errors.New("it does not compile")

// test runs go test, and returns the tests that fail; a package stands for its tests when
// it crashes or takes too long. The error of code that does not compile is
// [errNotCompiled]; another one says that the tests could not run.
func (c code) test(ctx context.Context, arguments ...string) (failed []string, err error) {
	command := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-vet=off"}, arguments...)...)
	command.Dir, command.Env = c.root, os.Environ()
	if c.overlay != "" {
		// In the environment, so that what a test itself builds has it too.
		command.Env = append(command.Env, "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+c.overlay)
	}
	out, err := command.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var packages []string
	var compiler strings.Builder
	for line := range bytes.Lines(out) {
		var event struct{ Action, Package, Test, Output, FailedBuild string }
		if json.Unmarshal(line, &event) != nil {
			continue
		}
		name := strings.TrimPrefix(event.Package, "veryfi-intake/")
		switch {
		case event.Action == "build-output":
			compiler.WriteString(event.Output)
		case event.Action != "fail":
		case event.FailedBuild != "":
			return nil, fmt.Errorf("%w: %s", errNotCompiled, compiler.String())
		case event.Test == "":
			packages = append(packages, name)
		case !strings.Contains(event.Test, "/"):
			failed = append(failed, name+" "+event.Test)
		}
	}
	if len(failed) == 0 {
		failed = packages
	}
	if len(failed) == 0 {
		return nil, fmt.Errorf("the tests could not run: %w: %.2000s", err, out)
	}
	return failed, nil
}

// run runs a tool in the clone and returns what it writes.
func (c code) run(ctx context.Context, tool string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, tool, arguments...)
	command.Dir, command.Stderr = c.root, os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", tool, arguments[0], err)
	}
	return string(out), nil
}

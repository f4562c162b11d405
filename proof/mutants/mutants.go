// Package mutants breaks the code on purpose and sees whether a test notices: in ways that
// somebody thought of, the twins, and in every small way that the syntax offers.
package mutants

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
)

// overlay writes into folder what tells the go tool to take other files in the place of
// some, and returns its path.
func overlay(folder string, replace map[string]string) (string, error) {
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// goTool runs the go tool in root. The overlay, if there is one, goes by the environment, so
// that what a test itself builds has it too.
func goTool(ctx context.Context, root, overlay string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = root
	if overlay != "" {
		command.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	}
	return command.CombinedOutput()
}

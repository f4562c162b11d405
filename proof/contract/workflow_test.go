package contract_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestWorkflowsRunWhatEverybodyRuns also keeps them to few rights and to actions that
// nobody can change.
func TestWorkflowsRunWhatEverybodyRuns(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no workflows: %v", err)
	}
	tests := false
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var workflow struct {
			Permissions map[string]string `yaml:"permissions"`
			Jobs        map[string]struct {
				Permissions map[string]string `yaml:"permissions"`
				Timeout     int               `yaml:"timeout-minutes"`
				Steps       []struct {
					Uses string `yaml:"uses"`
					Run  string `yaml:"run"`
				} `yaml:"steps"`
			} `yaml:"jobs"`
		}
		if err := yaml.Unmarshal(text, &workflow); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(workflow.Permissions) != 1 || workflow.Permissions["contents"] != "read" {
			t.Errorf("%s has the permissions %v", path, workflow.Permissions)
		}
		for name, job := range workflow.Jobs {
			if job.Permissions != nil || job.Timeout == 0 {
				t.Errorf("%s: %s has the permissions %v and %d minutes", path, name, job.Permissions, job.Timeout)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s: %s is not pinned to a commit", path, step.Uses)
				}
				tests = tests || strings.HasPrefix(step.Run, "make ") && strings.HasSuffix(step.Run, " test")
			}
		}
	}
	if !tests {
		t.Error("no workflow runs `make test`")
	}
}

package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSampleCredentialsComeFromEnvJSON(t *testing.T) {
	t.Parallel()
	if _, err := SampleCredentials("../.."); err != nil {
		t.Error(err)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "local"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "local", "env.json"), []byte(`{"ProcessorFunction": {"VERYFI_CLIENT_ID": "i"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := SampleCredentials(root); err == nil || !strings.Contains(err.Error(), "VERYFI_CLIENT_SECRET") {
		t.Errorf("got %v", err)
	}
}

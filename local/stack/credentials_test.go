package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"veryfi-intake/shared/secret"
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

func TestCredentialsAreAllOrNone(t *testing.T) {
	t.Parallel()
	all := map[string]string{"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_USERNAME": "u", "VERYFI_API_KEY": "k"}
	from := func(variables map[string]string) func(string) string {
		return func(name string) string { return variables[name] }
	}
	if got, ok, err := CredentialsFrom(from(all)); !ok || err != nil || got != (secret.Credentials{ClientID: "i", ClientSecret: "s", Username: "u", APIKey: "k"}) {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := CredentialsFrom(from(nil)); ok || err != nil {
		t.Errorf("none: got %v, %v", ok, err)
	}
	bearer := map[string]string{"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_API_KEY": "vrfk_k"}
	if _, ok, err := CredentialsFrom(from(bearer)); !ok || err != nil {
		t.Errorf("a newer key: got %v, %v", ok, err)
	}
	_, _, err := CredentialsFrom(from(map[string]string{"VERYFI_CLIENT_ID": "i", "VERYFI_API_KEY": "k"}))
	if err == nil || !strings.Contains(err.Error(), "VERYFI_CLIENT_SECRET and VERYFI_USERNAME") {
		t.Errorf("some: got %v", err)
	}
}

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"veryfi-intake/local/console"
	"veryfi-intake/local/stack"
	"veryfi-intake/shared/secret"
)

func TestWrongArgumentsGetTheUsage(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"other"}, {"run", "x"}, {"dev", "x"}, {"dev", "-x"}, {"-webhook-port", "x"}} {
		var out bytes.Buffer
		err := execute(t.Context(), arguments, os.Getenv, console.New(&out, false))
		if err == nil || err.Error() != usage {
			t.Errorf("%q: got %v", arguments, err)
		}
	}
}

func TestPortsAreTheDocumentedOnesUnlessChosen(t *testing.T) {
	t.Parallel()
	got, err := parsePorts([]string{"-aws-port", "9000"})
	if want := (ports{8080, 9000, 8082}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPortInUseComesWithTheMend(t *testing.T) {
	t.Parallel()
	err := explain(&stack.PortInUseError{Port: 8081, Purpose: "AWS endpoint"})
	for _, want := range []string{"port 8081 (AWS endpoint) is in use", "lsof -i :8081", "-aws-port"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if other := errors.New("other"); !errors.Is(explain(other), other) {
		t.Error("another error changed")
	}
}

func TestRealCredentialsAreAllOrNone(t *testing.T) {
	t.Parallel()
	all := map[string]string{"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_USERNAME": "u", "VERYFI_API_KEY": "k"}
	from := func(variables map[string]string) func(string) string {
		return func(name string) string { return variables[name] }
	}
	if got, ok, err := realCredentials(from(all)); !ok || err != nil || got != (secret.Credentials{ClientID: "i", ClientSecret: "s", Username: "u", APIKey: "k"}) {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if _, ok, err := realCredentials(from(nil)); ok || err != nil {
		t.Errorf("none: got %v, %v", ok, err)
	}
	bearer := map[string]string{"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_API_KEY": "vrfk_k"}
	if _, ok, err := realCredentials(from(bearer)); !ok || err != nil {
		t.Errorf("a newer key: got %v, %v", ok, err)
	}
	_, _, err := realCredentials(from(map[string]string{"VERYFI_CLIENT_ID": "i", "VERYFI_API_KEY": "k"}))
	if err == nil || !strings.Contains(err.Error(), "VERYFI_CLIENT_SECRET and VERYFI_USERNAME") {
		t.Errorf("some: got %v", err)
	}
}

func TestSampleCredentialsComeFromEnvJSON(t *testing.T) {
	t.Parallel()
	if _, err := sampleCredentials(".."); err != nil {
		t.Error(err)
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "local"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "local", "env.json"), []byte(`{"ProcessorFunction": {"VERYFI_CLIENT_ID": "i"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sampleCredentials(root); err == nil || !strings.Contains(err.Error(), "VERYFI_CLIENT_SECRET") {
		t.Errorf("got %v", err)
	}
}

func TestMaskShowsTheEndOfALongSecretOnly(t *testing.T) {
	t.Parallel()
	if got := mask("0123456789"); got != "****6789" {
		t.Errorf("got %s", got)
	}
	if got := mask("01234567"); got != "****" {
		t.Errorf("got %s", got)
	}
}

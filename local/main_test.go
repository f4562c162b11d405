package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"veryfi-intake/local/stack"
	"veryfi-intake/shared/secret"
)

func TestPortsAreTheDocumentedOnesUnlessChosen(t *testing.T) {
	t.Parallel()
	var c commands
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"dev", "--aws-port", "9000"}); err != nil {
		t.Fatal(err)
	}
	if want := (devCommand{8080, 9000, 8082}); c.Dev != want {
		t.Errorf("got %+v", c.Dev)
	}
}

func TestPortInUseSaysWhatToDo(t *testing.T) {
	t.Parallel()
	err := explain(&stack.PortInUseError{Port: 8081, Purpose: "AWS endpoint"})
	for _, want := range []string{"port 8081 (AWS endpoint) is in use", "lsof -i :8081", "--aws-port"} {
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

func TestABridgeIsKnownByItsAddress(t *testing.T) {
	t.Parallel()
	loopback, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Skip(err)
	}
	if got, ok := addressOf(loopback.Name); !ok || !got.IsLoopback() {
		t.Errorf("%s has %v, %v", loopback.Name, got, ok)
	}
	if got, ok := addressOf("no such device"); ok {
		t.Errorf("no device has %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	serveContainers(ctx, nil, "no such device") // ends with its context
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

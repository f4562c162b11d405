package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"veryfi-intake/local/stack"
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
	if want := (devCommand{8080, 9000, 8082, "", "document"}); c.Dev != want {
		t.Errorf("got %+v", c.Dev)
	}
}

func TestKindsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("MORE_KINDS", "parse=parse")
	t.Setenv("RECONCILE_KINDS", "document,check")
	var c commands
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"dev"}); err != nil || c.Dev.MoreKinds != "parse=parse" || c.Dev.ReconcileKinds != "document,check" {
		t.Errorf("got %+v, %v", c.Dev, err)
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

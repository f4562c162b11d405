package main

import (
	"log/slog"
	"strings"
	"testing"
)

const clientSecret = "the client secret"

func TestMissingSettingIsNamed(t *testing.T) {
	complete := map[string]string{
		"QUEUE_URL": "http://127.0.0.1:1/q", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
		"VERYFI_CLIENT_SECRET": clientSecret,
	}
	for missing := range complete {
		getenv := func(name string) string {
			if name == missing {
				return ""
			}
			return complete[name]
		}
		_, err := newHandler(getenv, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), missing) && missing != "VERYFI_CLIENT_SECRET" {
			t.Errorf("without %s: %v", missing, err)
		}
		if err != nil && strings.Contains(err.Error(), clientSecret) {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
	if _, err := newHandler(func(name string) string { return complete[name] }, slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("complete: %v", err)
	}
}

package main

import (
	"log/slog"
	"strings"
	"testing"
)

func TestMissingSettingIsNamed(t *testing.T) {
	complete := map[string]string{
		"QUEUE_URL": "http://127.0.0.1:1/q", "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:1/d", "TABLE_NAME": "t",
		"MAX_RECEIVE_COUNT": "60", "VERYFI_REQUESTS_PER_SECOND": "7.5", "VERYFI_SECRET_ID": "",
		"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_USERNAME": "u", "VERYFI_API_KEY": "k",
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
	}
	start := func(change, value string) error {
		_, err := newHandler(func(name string) string {
			if name == change {
				return value
			}
			return complete[name]
		}, slog.New(slog.DiscardHandler))
		return err
	}
	if err := start("", ""); err != nil {
		t.Fatal(err)
	}
	for variable, values := range map[string][]string{
		"QUEUE_URL": {""}, "DEAD_LETTER_QUEUE_URL": {""}, "TABLE_NAME": {""}, "AWS_REGION": {""},
		"MAX_RECEIVE_COUNT":          {"", "0", "many"},
		"VERYFI_REQUESTS_PER_SECOND": {"", "0", "-1", "NaN", "100001", "many"},
		"DOCUMENT_RETENTION_DAYS":    {"-1", "many", "1.5", "36501"},
		"VERYFI_BASE_URL":            {"api.veryfi.com", "ftp://x", "://"},
	} {
		for _, value := range values {
			if err := start(variable, value); err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%s=%q: %v", variable, value, err)
			}
		}
	}
}

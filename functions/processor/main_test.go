package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/veryfi"
)

func TestMissingSettingIsNamed(t *testing.T) {
	complete := map[string]string{
		"QUEUE_URL": "http://127.0.0.1:1/q", "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:1/d", "TABLE_NAME": "t",
		"VERYFI_REQUESTS_PER_SECOND": "7.5", "VERYFI_SECRET_ID": "",
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
		"MAX_TRIES":                  {"0", "1001", "many", "1.5"},
		"GIVE_UP_AFTER_HOURS":        {"-1", "193", "many", "0.5"},
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

// TestSettingsReachTheHandler reads each setting at a value that is not its default.
func TestSettingsReachTheHandler(t *testing.T) {
	settings := map[string]string{
		"QUEUE_URL": "http://127.0.0.1:1/q", "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:1/d", "TABLE_NAME": "t",
		"MAX_TRIES": "7", "GIVE_UP_AFTER_HOURS": "5", "DOCUMENT_RETENTION_DAYS": "3", "VERYFI_REQUESTS_PER_SECOND": "7.5",
		"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_USERNAME": "u", "VERYFI_API_KEY": "k",
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
	}
	getenv := func(name string) string { return settings[name] }
	h, err := newHandler(getenv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if h.MaxTries != 7 || h.GiveUpAfter != 5*time.Hour || h.Retention != 3*24*time.Hour {
		t.Errorf("%d tries, given up after %v, kept for %v", h.MaxTries, h.GiveUpAfter, h.Retention)
	}
	for _, variable := range []string{"MAX_TRIES", "GIVE_UP_AFTER_HOURS", "DOCUMENT_RETENTION_DAYS"} {
		delete(settings, variable)
	}
	if h, err = newHandler(getenv, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if h.MaxTries != 60 || h.GiveUpAfter != 48*time.Hour || h.Retention != 0 {
		t.Errorf("by default %d tries, given up after %v, kept for %v", h.MaxTries, h.GiveUpAfter, h.Retention)
	}
}

// TestWhatTheTemplateTakesStartsTheFunction tries values of each parameter that the
// function reads: what a deployment lets through must not stop it.
func TestWhatTheTemplateTakesStartsTheFunction(t *testing.T) {
	for _, parameter := range []string{"DocumentRetentionDays", "VeryfiRequestsPerSecond", "VeryfiBaseUrl"} {
		taken, err := template.Taken("../../template.yaml", parameter, "ProcessorFunction")
		if err != nil || len(taken) < 3 {
			t.Fatalf("%s takes %d values only: %v", parameter, len(taken), err)
		}
		for value, environment := range taken {
			cfg, err := readConfig(func(name string) string { return environment[name] })
			if err == nil {
				_, err = veryfi.NewClient(veryfi.Config{BaseURL: cfg.baseURL, RequestsPerSecond: cfg.requestsPerSecond, Now: time.Now})
			}
			if err != nil {
				t.Errorf("%s=%q is taken by the template: %v", parameter, value, err)
			}
		}
	}
}

package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/shared/startup"
)

// complete is an environment in which the function starts.
var complete = map[string]string{
	"QUEUE_URL": "http://127.0.0.1:1/q", "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:1/d", "TABLE_NAME": "t", "VERYFI_REQUESTS_PER_SECOND": "7.5",
	"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_USERNAME": "u", "VERYFI_API_KEY": "k",
	"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
}

// begin makes the handler in that environment with changes.
func begin(changes map[string]string) (*retrieve.Handler, error) {
	f := startup.New(func(name string) string {
		if value, changed := changes[name]; changed {
			return value
		}
		return complete[name]
	}, time.Now, slog.New(slog.DiscardHandler))
	h, _ := newHandler(f)
	return h, f.Err()
}

func TestWrongSettingIsNamed(t *testing.T) {
	for variable, values := range map[string][]string{
		"QUEUE_URL": {""}, "DEAD_LETTER_QUEUE_URL": {""}, "TABLE_NAME": {""}, "AWS_REGION": {""},
		"MAX_TRIES":                  {"0", "1001", "many", "1.5"},
		"GIVE_UP_AFTER_HOURS":        {"-1", "193", "many", "0.5"},
		"VERYFI_REQUESTS_PER_SECOND": {"", "0", "-1", "NaN", "100001", "many"},
		"DOCUMENT_RETENTION_DAYS":    {"-1", "many", "1.5", "36501"},
		"VERYFI_BASE_URL":            {"api.veryfi.com", "ftp://x", "://"},
	} {
		for _, value := range values {
			if _, err := begin(map[string]string{variable: value}); err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%s=%q: %v", variable, value, err)
			}
		}
	}
}

// TestSettingsReachTheHandler reads each setting at a value that is not its default.
func TestSettingsReachTheHandler(t *testing.T) {
	h, err := begin(map[string]string{"MAX_TRIES": "7", "GIVE_UP_AFTER_HOURS": "5", "DOCUMENT_RETENTION_DAYS": "3"})
	if err != nil || h.MaxTries != 7 || h.GiveUpAfter != 5*time.Hour || h.Retention != 3*24*time.Hour {
		t.Errorf("%d tries, given up after %v, kept for %v, %v", h.MaxTries, h.GiveUpAfter, h.Retention, err)
	}
	h, err = begin(nil)
	if err != nil || h.MaxTries != 60 || h.GiveUpAfter != 48*time.Hour || h.Retention != 0 {
		t.Errorf("by default %d tries, given up after %v, kept for %v, %v", h.MaxTries, h.GiveUpAfter, h.Retention, err)
	}
}

// TestWhatTheTemplateTakesStartsTheFunction tries values of each parameter that the
// function reads: what a deployment lets through must not stop it.
func TestWhatTheTemplateTakesStartsTheFunction(t *testing.T) {
	for _, parameter := range []string{"DocumentRetentionDays", "VeryfiRequestsPerSecond", "VeryfiBaseUrl", "MoreKinds"} {
		taken, err := template.Taken("../../template.yaml", parameter, "ProcessorFunction")
		if err != nil || len(taken) < 3 {
			t.Fatalf("%s takes %d values only: %v", parameter, len(taken), err)
		}
		for value, environment := range taken {
			if _, err := begin(environment); err != nil {
				t.Errorf("%s=%q is taken by the template: %v", parameter, value, err)
			}
		}
	}
}

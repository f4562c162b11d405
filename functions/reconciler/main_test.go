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
		"QUEUE_URL": "http://127.0.0.1:1/q", "TABLE_NAME": "t", "VERYFI_REQUESTS_PER_SECOND": "2",
		"RECONCILE_WINDOW_HOURS": "12", "RECONCILE_GRACE_MINUTES": "0",
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
		"QUEUE_URL": {""}, "TABLE_NAME": {""}, "AWS_REGION": {""},
		"VERYFI_REQUESTS_PER_SECOND": {"", "0", "-1", "NaN", "5.1", "many"},
		"VERYFI_BASE_URL":            {"api.veryfi.com"},
		"RECONCILE_WINDOW_HOURS":     {"", "0", "-1", "1.5", "many"},
		"RECONCILE_GRACE_MINUTES":    {"", "-1", "many"},
	} {
		for _, value := range values {
			if err := start(variable, value); err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%s=%q: %v", variable, value, err)
			}
		}
	}
}

// TestSettingsReachTheHandler reads settings at values that are not their defaults.
func TestSettingsReachTheHandler(t *testing.T) {
	settings := map[string]string{
		"QUEUE_URL": "http://127.0.0.1:1/q", "TABLE_NAME": "t", "VERYFI_REQUESTS_PER_SECOND": "1.5",
		"RECONCILE_WINDOW_HOURS": "7", "RECONCILE_GRACE_MINUTES": "11", "VERYFI_CLIENT_ID": "i", "VERYFI_API_KEY": "k",
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
	}
	h, err := newHandler(func(name string) string { return settings[name] }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if h.Window != 7*time.Hour || h.Grace != 11*time.Minute {
		t.Errorf("window %v, grace %v", h.Window, h.Grace)
	}
}

// TestWhatTheTemplateTakesStartsTheFunction tries values of each parameter that the
// function reads: what a deployment lets through must not stop it.
func TestWhatTheTemplateTakesStartsTheFunction(t *testing.T) {
	for _, parameter := range []string{"ReconcileWindowHours", "ReconcileGraceMinutes", "VeryfiBaseUrl"} {
		taken, err := template.Taken("../../template.yaml", parameter, "ReconcilerFunction")
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

package main

import (
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"veryfi-intake/local/template"
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
	values := []string{"", "-1", "+5", " 5", "5\n", "007", "0.05", "0.1", "0.5", "5.0", "5.25", "5.125", "1e1", "1e9", "0x10", "0x1p3", "5f", "5d", "Inf", "NaN", "1_0", "٥",
		"http://x", "https://x", "https://x/", "https://x/api", "https://x:443", "https://x:x", "https://%", "https://x y", "https://x?a=b", "https://[::1]", "https://["}
	for _, n := range []int{0, 1, 2, 10, 28, 29, 30, 719, 720, 721, 999, 1000, 1439, 1440, 1441, 9999, 10_000, 36_499, 36_500, 36_501, 99_999, 100_000, 100_001} {
		values = append(values, strconv.Itoa(n))
	}
	for _, parameter := range []string{"ReconcileWindowHours", "ReconcileGraceMinutes", "VeryfiBaseUrl"} {
		taken := 0
		for _, value := range values {
			deployed, err := template.Read("../../template.yaml", map[string]string{parameter: value})
			if err != nil {
				t.Fatal(err)
			}
			if deployed.Check() != nil {
				continue
			}
			taken++
			references := deployed.Names()
			references["AWS::StackName"] = "test"
			function, err := deployed.Function("ReconcilerFunction", references)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := readConfig(func(name string) string { return function.Environment[name] })
			if err == nil {
				_, err = veryfi.NewClient(cfg.baseURL, cfg.requestsPerSecond, time.Now, veryfi.NewTransport())
			}
			if err != nil {
				t.Errorf("%s=%q is taken by the template: %v", parameter, value, err)
			}
		}
		if taken < 3 {
			t.Errorf("%s takes %d values only", parameter, taken)
		}
	}
}

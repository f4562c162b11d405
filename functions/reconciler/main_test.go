package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/functions/reconciler/reconcile"
	"veryfi-intake/shared/startup"
)

// complete is an environment in which the function starts.
var complete = map[string]string{
	"QUEUE_URL": "http://127.0.0.1:1/q", "TABLE_NAME": "t", "VERYFI_REQUESTS_PER_SECOND": "1.5",
	"RECONCILE_WINDOW_HOURS": "7", "RECONCILE_GRACE_MINUTES": "11", "RECONCILE_KINDS": "w2,document",
	"VERYFI_CLIENT_ID": "i", "VERYFI_CLIENT_SECRET": "s", "VERYFI_USERNAME": "u", "VERYFI_API_KEY": "k",
	"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
}

// begin makes the handler in that environment with changes.
func begin(changes map[string]string) (*reconcile.Handler, error) {
	f := startup.New(func(name string) string {
		if value, changed := changes[name]; changed {
			return value
		}
		return complete[name]
	}, time.Now, slog.New(slog.DiscardHandler))
	h := newHandler(f)
	return h, f.Err()
}

func TestWrongSettingIsNamed(t *testing.T) {
	for variable, values := range map[string][]string{
		"QUEUE_URL": {""}, "TABLE_NAME": {""}, "AWS_REGION": {""},
		"VERYFI_REQUESTS_PER_SECOND": {"", "0", "-1", "NaN", "5.1", "many"},
		"VERYFI_BASE_URL":            {"api.veryfi.com"},
		"RECONCILE_WINDOW_HOURS":     {"", "0", "-1", "1.5", "many"},
		"RECONCILE_GRACE_MINUTES":    {"", "-1", "many"},
		"MORE_KINDS":                 {"parse", "document=checks"},
		"RECONCILE_KINDS":            {"", ",", "document,", "document,document", "parse", "bank_statement_set", "bank-statement", "document, check"},
	} {
		for _, value := range values {
			if _, err := begin(map[string]string{variable: value}); err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%s=%q: %v", variable, value, err)
			}
		}
	}
}

func TestSettingsReachTheHandler(t *testing.T) {
	h, err := begin(map[string]string{"MORE_KINDS": "parse=parse", "RECONCILE_KINDS": "w2,parse,document"})
	if err != nil || h.Window != 7*time.Hour || h.Grace != 11*time.Minute {
		t.Errorf("window %v, grace %v, %v", h.Window, h.Grace, err)
	}
	var lists []string
	for _, kind := range h.Lists {
		lists = append(lists, kind.Resource)
	}
	if !slices.Equal(lists, []string{"w2s", "parse", "documents"}) {
		t.Errorf("lists of %v", lists)
	}
}

func TestUnknownListIsRefusedWithThoseThereAre(t *testing.T) {
	_, err := begin(map[string]string{"MORE_KINDS": "parse=parse", "RECONCILE_KINDS": "receipt"})
	if err == nil || !strings.Contains(err.Error(), `document, bank_statement, w2, check, anydocument, parse, each once, with commas between; "receipt" is not one`) {
		t.Error(err)
	}
}

// TestWhatTheTemplateTakesStartsTheFunction tries values of each parameter that the
// function reads: what a deployment lets through must not stop it.
func TestWhatTheTemplateTakesStartsTheFunction(t *testing.T) {
	for _, parameter := range []string{"ReconcileWindowHours", "ReconcileGraceMinutes", "VeryfiBaseUrl", "MoreKinds", "ReconcileKinds"} {
		taken, err := template.Taken("../../template.yaml", parameter, "ReconcilerFunction")
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

package startup

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestOnlyNumbersInTheirBoundsAreTaken(t *testing.T) {
	read := func(text string, read func(*Settings)) error {
		s := &Settings{getenv: func(string) string { return text }}
		read(s)
		return s.Err()
	}
	for text, want := range map[string]bool{
		"1": true, "10": true, "0": false, "11": false, "-1": false, "+5": false, "05": false, " 5": false, "5 ": false, "5.0": false, "1e1": false, "0x5": false, "٥": false, "": false,
	} {
		err := read(text, func(s *Settings) { s.Whole("SETTING", 1, 10) })
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "SETTING must be a whole number from 1 to 10") {
			t.Errorf("%q: %v", text, err)
		}
		err = read(text, func(s *Settings) {
			if or := s.WholeOr(7, "SETTING", 1, 10); text == "" && or != 7 {
				t.Errorf("nothing or 7: %d", or)
			}
		})
		if text != "" && (err == nil) != want || text == "" && err != nil {
			t.Errorf("%q or 7: %v", text, err)
		}
	}
	for text, want := range map[string]bool{
		"0.5": true, "1": true, "7.5": true, "60": true, "0.4": false, "0": false, "-1": false, "60.1": false, "Inf": false, "NaN": false, "many": false, "": false,
	} {
		err := read(text, func(s *Settings) { s.Number("SETTING", 0.5, 60) })
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "SETTING must be a number from 0.5 to 60") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	environment := map[string]string{"NUMBER": "many", "AWS_CA_BUNDLE": "/no/such/file", "AWS_ACCESS_KEY_ID": "the-access-key"}
	var logs bytes.Buffer
	f := New(func(name string) string { return environment[name] }, time.Now, slog.New(slog.NewJSONHandler(&logs, nil)))
	f.Whole("NUMBER", 1, 10)
	f.Text("TEXT")
	if f.IsReady(func(context.Context) { t.Error("a function that cannot start is warmed up") }) {
		t.Error("it is ready")
	}
	for _, wrong := range []string{
		"the function cannot start", "NUMBER must be a whole number", "TEXT is not set", "AWS_REGION is not set", "AWS_SECRET_ACCESS_KEY is not set",
		"AWS_CA_BUNDLE cannot be read", "VERYFI_SECRET_ID is not set", "template.yaml",
	} {
		if !strings.Contains(logs.String(), wrong) {
			t.Errorf("the log does not say %q: %s", wrong, &logs)
		}
	}
	if strings.Contains(logs.String(), "the-access-key") || strings.Count(logs.String(), "\n") != 1 {
		t.Errorf("log: %s", &logs)
	}
}

func TestReadyFunctionIsWarmedUp(t *testing.T) {
	f := &Function{Log: slog.New(slog.DiscardHandler)}
	var ran atomic.Int32
	step := func(context.Context) { ran.Add(1) }
	if !f.IsReady(step, step) || ran.Load() != 2 {
		t.Errorf("%d of 2 steps ran", ran.Load())
	}
}

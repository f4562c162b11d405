package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/veryfi"
)

func TestReconcilerIsAskedForWhatIsMeant(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		command reconcileCommand
		want    string
	}{
		{reconcileCommand{}, `{}`},
		{reconcileCommand{ID: []string{"7", "8"}}, `{"ids":[7,8]}`},
		{reconcileCommand{Since: "2026-01-01"}, `{"since":"2026-01-01T00:00:00Z","until":"2026-01-02T12:00:00Z"}`},
		{reconcileCommand{Since: "2026-01-01", Until: "2026-01-01 06:30:00"}, `{"since":"2026-01-01T00:00:00Z","until":"2026-01-01T06:30:00Z"}`},
		{reconcileCommand{Since: "yesterday"}, ``},
		{reconcileCommand{Since: "2h", Until: "3h"}, ``},
		{reconcileCommand{Since: "-2h"}, ``},
		{reconcileCommand{Since: "36h", Until: "2h"}, `{"since":"2026-01-01T00:00:00Z","until":"2026-01-02T10:00:00Z"}`},
		{reconcileCommand{ID: []string{"7"}, Since: "2h"}, ``},
		{reconcileCommand{ID: []string{"0"}}, ``},
		{reconcileCommand{ID: []string{"07", "check#5", "a_kind#007"}, Again: true}, `{"ids":[7,"check#5","a_kind#7"],"again":true}`},
		{reconcileCommand{ID: []string{"check#"}}, ``},
		{reconcileCommand{ID: []string{"#5"}}, ``},
		{reconcileCommand{ID: []string{"check#five"}}, ``},
		{reconcileCommand{Again: true}, ``},
		{reconcileCommand{Again: true, Since: "2h"}, ``},
		{reconcileCommand{Unsupported: true}, `{"unsupported":true}`},
		{reconcileCommand{Unsupported: true, ID: []string{"7"}}, ``},
		{reconcileCommand{Unsupported: true, Since: "2h"}, ``},
		{reconcileCommand{Unsupported: true, Again: true}, ``},
		{reconcileCommand{Until: "2h"}, ``},
	} {
		request, err := test.command.request(now)
		got, _ := json.Marshal(request)
		if (err == nil) != (test.want != "") || err == nil && string(got) != test.want {
			t.Errorf("%+v: %s, %v", test.command, got, err)
		}
	}
}

func TestSubmissionIsNotTakenForLostWhileItMayBeThere(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		says string
	}{
		{&veryfi.Error{Class: failure.Refused, Status: 400}, "was refused"},
		{&veryfi.Error{Class: failure.Unavailable, Status: 502}, "may have been submitted"},
		{&veryfi.Error{Class: failure.Unavailable}, "may have been submitted"},
		{errors.New("Veryfi took the document and did not say its id"), "may have been submitted"},
		{context.Canceled, "may have been submitted"},
	} {
		err := unsubmitted("a.jpg", test.err)
		if !strings.Contains(err.Error(), "a.jpg "+test.says) || errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", test.err, err)
		}
	}
}

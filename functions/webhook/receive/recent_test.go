package receive

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/local/aws/cloudwatch"
)

// calling returns a call of so many ids.
func calling(t *testing.T, name string, first, ids int) events.APIGatewayV2HTTPRequest {
	t.Helper()
	list := make([]string, ids)
	for i := range list {
		list[i] = fmt.Sprint(first + i)
	}
	return signed(t, name, `{"id": [`+strings.Join(list, ",")+`], "created": "c"}`)
}

func TestRepeatedCallOfManyIDsIsEnqueuedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		ids, times, messages int
	}{
		"a thousand ids, ten times": {1000, 10, 1000},
		"eleven ids":                {11, 2, 11},
		"ten ids":                   {10, 2, 20},
		"one id":                    {1, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			for range test.times {
				if status := f.post(t, calling(t, "document.created", 1, test.ids)); status != 200 {
					t.Errorf("status %d", status)
				}
			}
			if len(f.queue.bodies) != test.messages {
				t.Errorf("%d messages, want %d", len(f.queue.bodies), test.messages)
			}
			if got := cloudwatch.Counted(f.logs.String()); got["Received"] != float64(test.times) || got["Accepted"] != float64(test.times) {
				t.Errorf("counted %v", got)
			}
			before := strings.Count(f.logs.String(), `"msg":"accepted before"`)
			if want := test.times - test.messages/test.ids; before != want {
				t.Errorf("%d were accepted before, want %d", before, want)
			}
		})
	}
}

// TestOnlyWhatWasAcknowledgedIsTakenForRepeated changes one thing of the second call.
func TestOnlyWhatWasAcknowledgedIsTakenForRepeated(t *testing.T) {
	for name, test := range map[string]struct {
		change   func(*testing.T, *fixture, *events.APIGatewayV2HTTPRequest)
		messages int
	}{
		"nothing":          {func(*testing.T, *fixture, *events.APIGatewayV2HTTPRequest) {}, 20},
		"59 seconds later": {func(_ *testing.T, f *fixture, _ *events.APIGatewayV2HTTPRequest) { f.later(59 * time.Second) }, 20},
		"a minute later":   {func(_ *testing.T, f *fixture, _ *events.APIGatewayV2HTTPRequest) { f.later(time.Minute) }, 40},
		"the clock set back": {
			func(_ *testing.T, f *fixture, _ *events.APIGatewayV2HTTPRequest) { f.later(-time.Hour) }, 40,
		},
		"another event": {func(t *testing.T, _ *fixture, r *events.APIGatewayV2HTTPRequest) {
			*r = calling(t, "document.failed", 1, 20)
		}, 40},
		"other ids": {func(t *testing.T, _ *fixture, r *events.APIGatewayV2HTTPRequest) {
			*r = calling(t, "document.created", 2, 20)
		}, 40},
		"another environment": {func(_ *testing.T, f *fixture, _ *events.APIGatewayV2HTTPRequest) {
			f.Handler = &Handler{Secrets: f.Secrets, Queue: f.Queue, Metrics: f.Metrics, Now: f.Now, Log: f.Log}
		}, 40},
		"64 others before": {func(t *testing.T, f *fixture, _ *events.APIGatewayV2HTTPRequest) {
			for i := range maxRemembered {
				f.post(t, calling(t, "document.created", 1000*(i+1), 11))
			}
		}, 40 + 11*maxRemembered},
		"63 others before": {func(t *testing.T, f *fixture, _ *events.APIGatewayV2HTTPRequest) {
			for i := range maxRemembered - 1 {
				f.post(t, calling(t, "document.created", 1000*(i+1), 11))
			}
		}, 20 + 11*(maxRemembered-1)},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			f.post(t, calling(t, "document.created", 1, 20))
			again := calling(t, "document.created", 1, 20)
			test.change(t, f, &again)
			if status := f.post(t, again); status != 200 || len(f.queue.bodies) != test.messages {
				t.Errorf("status %d, %d messages, want %d", status, len(f.queue.bodies), test.messages)
			}
		})
	}
}

func (f *fixture) later(d time.Duration) {
	now := f.Now()
	f.Now = func() time.Time { return now.Add(d) }
}

func TestCallThatTheQueueRefusedIsNotRemembered(t *testing.T) {
	f := newFixture()
	f.queue.send = func(context.Context) error { return errors.New("down") }
	if status := f.post(t, calling(t, "document.created", 1, 20)); status != 503 {
		t.Errorf("status %d", status)
	}
	f.queue.send = nil
	if status := f.post(t, calling(t, "document.created", 1, 20)); status != 200 || len(f.queue.bodies) != 20 {
		t.Errorf("status %d, %d messages", status, len(f.queue.bodies))
	}
}

package receive

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/secret"
)

// TestEveryRequestIsCountedOnce also says what is not: probes are no webhooks.
func TestEveryRequestIsCountedOnce(t *testing.T) {
	t.Parallel()
	genuine := signed(t, "document.created", created)
	forged := requestWith(genuine.Body, strings.Repeat("A", 43)+"=")
	method := func(name string) events.APIGatewayV2HTTPRequest {
		req := genuine
		req.RequestContext.HTTP.Method = name
		return req
	}
	down := func(f *fixture) { f.queue.send = func(context.Context) error { return errors.New("down") } }
	unfilled := func(f *fixture) { f.secrets.known, f.secrets.reloaded = secret.Credentials{}, secret.Credentials{} }
	unreadable := func(f *fixture) { f.secrets.err = errors.New("down") }
	for name, test := range map[string]struct {
		request events.APIGatewayV2HTTPRequest
		change  func(*fixture)
		want    map[string]float64
	}{
		"accepted":            {genuine, nil, map[string]float64{"Received": 1, "Accepted": 1}},
		"three ids":           {signed(t, "document.created", `{"id": [1, 2, 3]}`), nil, map[string]float64{"Received": 1, "Accepted": 1}},
		"unsupported":         {signed(t, "unheard.of", created), nil, map[string]float64{"Received": 1, "Accepted": 1}},
		"verification code":   {requestWith(`{"event": "subscription", "data": {"secret": "c"}}`, ""), nil, map[string]float64{"Received": 1}},
		"forged":              {forged, nil, map[string]float64{"Received": 1, "Rejected signature": 1}},
		"a probe":             {requestWith(strings.Replace(genuine.Body, "document.created", event.Probe, 1), strings.Repeat("A", 43)+"="), nil, map[string]float64{"Received": 1, "Rejected probe": 1}},
		"a signed probe":      {signed(t, event.Probe, created), nil, map[string]float64{"Received": 1, "Accepted": 1}},
		"signature malformed": {requestWith(genuine.Body, "x"), nil, map[string]float64{"Received": 1, "Rejected signature": 1}},
		"signature missing":   {requestWith(genuine.Body, ""), nil, map[string]float64{"Received": 1, "Rejected unsigned": 1}},
		"data missing":        {requestWith(`{"id": 41331192}`, strings.Repeat("A", 43)+"="), nil, map[string]float64{"Received": 1, "Rejected unsigned": 1}},
		"no JSON":             {requestWith("id=1", ""), nil, map[string]float64{"Received": 1, "Rejected body": 1}},
		"too large":           {requestWith(strings.Repeat(" ", maxBody+1), ""), nil, map[string]float64{"Received": 1, "Rejected size": 1}},
		"queue down":          {genuine, down, map[string]float64{"Received": 1, "EnqueueFailures": 1}},
		"secret not filled":   {genuine, unfilled, map[string]float64{"Received": 1, "SecretFailures": 1}},
		"secret not readable": {genuine, unreadable, map[string]float64{"Received": 1, "SecretFailures": 1}},
		"probe":               {method(http.MethodGet), nil, map[string]float64{}},
		"another method":      {method(http.MethodPut), nil, map[string]float64{}},
		"empty":               {requestWith("", ""), nil, map[string]float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture()
			if test.change != nil {
				test.change(f)
			}
			f.post(t, test.request)
			if diff := cmp.Diff(test.want, cloudwatch.Counted(f.logs.String())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

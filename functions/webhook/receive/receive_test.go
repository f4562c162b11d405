package receive

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/signature"
)

const (
	clientSecret = "the client secret"
	created      = `{"id": 123456789, "created": "2021-10-20 15:27:26"}`
)

// memoryQueue is a queue in memory.
type memoryQueue struct {
	bodies []string
	send   func(context.Context) error // nil when all is well
}

func (q *memoryQueue) Send(ctx context.Context, bodies ...string) error {
	if q.send != nil {
		if err := q.send(ctx); err != nil {
			return err
		}
	}
	q.bodies = append(q.bodies, bodies...)
	return nil
}

// messages returns what is in the queue.
func (q *memoryQueue) messages(t *testing.T) []event.Message {
	t.Helper()
	var messages []event.Message
	for _, body := range q.bodies {
		m, err := event.DecodeMessage(body)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// rotatingSecrets hands out one secret, and another one once it is asked to look
// again.
type rotatingSecrets struct {
	known, reloaded secret.Credentials
	err             error
	reloads         int
}

func (s *rotatingSecrets) Get(ctx context.Context) (*secret.Secret, error) {
	if s.err != nil {
		return nil, s.err
	}
	return secret.Fixed(s.known).Get(ctx)
}

func (s *rotatingSecrets) Reload(ctx context.Context) (*secret.Secret, error) {
	s.reloads++
	s.known = s.reloaded
	return s.Get(ctx)
}

// fixture is a handler with all it needs in memory.
type fixture struct {
	*Handler
	secrets *rotatingSecrets
	queue   *memoryQueue
	logs    *bytes.Buffer
}

func newFixture() *fixture {
	credentials := secret.Credentials{ClientSecret: clientSecret}
	f := &fixture{
		secrets: &rotatingSecrets{known: credentials, reloaded: credentials},
		queue:   &memoryQueue{},
		logs:    &bytes.Buffer{},
	}
	f.Handler = &Handler{
		Secrets: f.secrets,
		Queue:   f.queue,
		Metrics: metrics.New("test", time.Now),
		Now:     func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		Log:     slog.New(slog.NewJSONHandler(f.logs, nil)),
	}
	return f
}

func (f *fixture) post(t *testing.T, req events.APIGatewayV2HTTPRequest) int {
	t.Helper()
	resp, err := f.Handle(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(resp.Body)) || resp.Headers["content-type"] != "application/json" {
		t.Errorf("the answer is %+v", resp)
	}
	return resp.StatusCode
}

// signed returns the request that Veryfi would send.
func signed(t testing.TB, name, data string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	s, err := signature.Sign([]byte(data), clientSecret)
	if err != nil {
		t.Fatal(err)
	}
	return requestWith(fmt.Sprintf(`{"event": %q, "data": %s}`, name, data), s)
}

func requestWith(body, signature string) events.APIGatewayV2HTTPRequest {
	req := events.APIGatewayV2HTTPRequest{
		Body:    body,
		Headers: map[string]string{"content-type": "application/json", "x-veryfi-signature": signature},
	}
	req.RequestContext.HTTP.Method = http.MethodPost
	req.RequestContext.RequestID = "the request"
	return req
}

func TestGenuineEventIsEnqueued(t *testing.T) {
	for data, want := range map[string][]event.Message{
		created:                                  {{ID: 123456789, Created: "2021-10-20 15:27:26"}},
		`{"id": [3, "4", 3, 5], "created": "c"}`: {{ID: 3, Created: "c"}, {ID: 4, Created: "c"}, {ID: 5, Created: "c"}},
		`{"id": [3, null]}`:                      {{Data: `{"id": [3, null]}`}}, // unusable, as a whole
	} {
		f := newFixture()
		if status := f.post(t, signed(t, "document.created", data)); status != 200 {
			t.Fatalf("%s: status %d", data, status)
		}
		for i := range want {
			want[i].Version, want[i].Event, want[i].RequestID = 1, "document.created", "the request"
			want[i].ReceivedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		}
		if diff := cmp.Diff(want, f.queue.messages(t)); diff != "" {
			t.Errorf("%s: %s", data, diff)
		}
	}
}

// TestAnswers changes one thing of a genuine request at a time.
func TestAnswers(t *testing.T) {
	type change func(*events.APIGatewayV2HTTPRequest)
	header := func(key, value string) change {
		return func(r *events.APIGatewayV2HTTPRequest) { r.Headers = map[string]string{key: value} }
	}
	body := func(body string) change {
		return func(r *events.APIGatewayV2HTTPRequest) { r.Body = body }
	}
	method := func(method string) change {
		return func(r *events.APIGatewayV2HTTPRequest) { r.RequestContext.HTTP.Method = method }
	}
	encoded := func(body string) change {
		return func(r *events.APIGatewayV2HTTPRequest) { r.Body, r.IsBase64Encoded = body, true }
	}
	genuine := signed(t, "document.created", created)
	valid := genuine.Headers[signatureHeader]
	padding := func(n int) string { return genuine.Body + strings.Repeat(" ", n-len(genuine.Body)) }

	tests := []struct {
		name     string
		change   change
		status   int
		messages int
	}{
		{"nothing", func(*events.APIGatewayV2HTTPRequest) {}, 200, 1},
		{"header in title case", header("X-Veryfi-Signature", valid), 200, 1},
		{"spaces around the signature", header(signatureHeader, "  "+valid+" "), 200, 1},
		{"another content type", func(r *events.APIGatewayV2HTTPRequest) { r.Headers["content-type"] = "text/plain" }, 200, 1},
		{"no content type", header(signatureHeader, valid), 200, 1},
		{"base64", encoded(base64.StdEncoding.EncodeToString([]byte(genuine.Body))), 200, 1},
		{"base64 that is none", encoded("%%%"), 400, 0},
		{"base64 of white space", encoded("IA0K"), 200, 0},
		{"base64 of nothing", encoded(""), 200, 0},
		{"GET", method("GET"), 200, 0},
		{"HEAD", method("HEAD"), 200, 0},
		{"PUT", method("PUT"), 405, 0},
		{"DELETE", method("DELETE"), 405, 0},
		{"OPTIONS", method("OPTIONS"), 405, 0},
		{"lower-case post", method("post"), 405, 0},
		{"no method", method(""), 405, 0},
		{"empty body", body(""), 200, 0},
		{"white space for a body", body(" \r\n\t"), 200, 0},
		{"largest body", body(padding(maxBody)), 200, 1},
		{"body too large", body(padding(maxBody + 1)), 413, 0},
		{"base64 of the largest body", encoded(base64.StdEncoding.EncodeToString([]byte(padding(maxBody)))), 200, 1},
		{"base64 of a body too large", encoded(base64.StdEncoding.EncodeToString([]byte(padding(maxBody + 1)))), 413, 0},
		{"too large, and then no base64", encoded(base64.StdEncoding.EncodeToString([]byte(padding(maxBody+3))) + "%"), 413, 0},
		{"too large, and white space", body(strings.Repeat(" ", maxBody+1)), 413, 0},
		{"too large, and the method is wrong", func(r *events.APIGatewayV2HTTPRequest) {
			body(padding(maxBody + 1))(r)
			method("PATCH")(r)
		}, 405, 0},
		{"not JSON", body("document.created"), 400, 0},
		{"JSON array", body("[]"), 400, 0},
		{"byte order mark", body("\ufeff" + genuine.Body), 400, 0},
		{"no signature", header("content-type", "application/json"), 401, 0},
		{"empty signature", header(signatureHeader, ""), 401, 0},
		{"malformed signature", header(signatureHeader, "x"), 401, 0},
		{"another signature", header(signatureHeader, strings.Repeat("A", 43)+"="), 401, 0},
		{"other data", body(strings.Replace(genuine.Body, "123456789", "123456780", 1)), 401, 0},
		{"no data", body(`{"event": "document.created"}`), 401, 0},
		{"the old flat form", body(`{"id": 41331192, "created": "2021-10-20 15:27:26"}`), 401, 0},
		{"nested too deep", body(`{"data": ` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`), 401, 0},
		{"subscription, not signed", body(`{"event": "subscription", "data": {"secret": "code"}}`), 200, 0},
		{"subscription without data", body(`{"event": "subscription"}`), 200, 0},
		{"event of another name", body(strings.Replace(genuine.Body, "document.created", "check.created", 1)), 200, 1},
		{"event that is no string", body(strings.Replace(genuine.Body, `"document.created"`, `null`, 1)), 200, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture()
			req := signed(t, "document.created", created)
			test.change(&req)
			if status := f.post(t, req); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			if len(f.queue.bodies) != test.messages {
				t.Errorf("%d messages, want %d", len(f.queue.bodies), test.messages)
			}
		})
	}
}

func TestLambdasRequestIDStandsInForAPIGateways(t *testing.T) {
	f := newFixture()
	req := signed(t, "document.created", created)
	req.RequestContext.RequestID = ""
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "of Lambda"})
	if _, err := f.Handle(ctx, req); err != nil {
		t.Fatal(err)
	}
	if got := f.queue.messages(t)[0].RequestID; got != "of Lambda" {
		t.Errorf("the request id is %q", got)
	}
}

func TestNothingIsAcknowledgedBeforeTheQueueHasIt(t *testing.T) {
	f := newFixture()
	f.queue.send = func(context.Context) error { return errors.New("the queue is down") }
	if status := f.post(t, signed(t, "document.created", created)); status != 503 {
		t.Errorf("status %d", status)
	}
	if f.queue.send = nil; f.post(t, signed(t, "document.created", created)) != 200 {
		t.Error("the queue is up again, and the request is not accepted")
	}
}

func TestAnswerComesBeforeVeryfiStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.queue.send = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		start := time.Now()
		status := f.post(t, signed(t, "document.created", created))
		if took := time.Since(start); status != 503 || took >= 10*time.Second {
			t.Errorf("status %d after %v", status, took)
		}
	})
}

func TestSecretThatCannotBeReadIsAnsweredWith503(t *testing.T) {
	for name, change := range map[string]func(*rotatingSecrets){
		"Secrets Manager is down": func(s *rotatingSecrets) { s.err = errors.New("down") },
		"not filled":              func(s *rotatingSecrets) { s.known = secret.Credentials{ClientSecret: "unset"} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			change(f.secrets)
			if status := f.post(t, signed(t, "document.created", created)); status != 503 {
				t.Errorf("status %d", status)
			}
			if len(f.queue.bodies) != 0 {
				t.Error("something was enqueued")
			}
			if !strings.Contains(f.logs.String(), "secret") {
				t.Errorf("the log does not say why: %s", f.logs)
			}
		})
	}
}

func TestRotationLosesNoWebhook(t *testing.T) {
	f := newFixture()
	f.secrets.known.ClientSecret = "the secret before"
	if status := f.post(t, signed(t, "document.created", created)); status != 200 {
		t.Errorf("status %d", status)
	}
	if f.secrets.reloads != 1 {
		t.Errorf("read again %d times", f.secrets.reloads)
	}
}

func TestOnlyAMismatchReadsTheSecretAgain(t *testing.T) {
	f := newFixture()
	f.post(t, signed(t, "document.created", created))
	f.post(t, requestWith(`{"event": "document.created", "data": `+created+`}`, ""))
	f.post(t, requestWith(`{"event": "document.created", "data": `+created+`}`, "malformed"))
	f.post(t, requestWith(`{"event": "document.created"}`, strings.Repeat("A", 43)+"="))
	if f.secrets.reloads != 0 {
		t.Errorf("read again %d times", f.secrets.reloads)
	}
}

// TestVerificationCodeIsPrintableASCII sends what is a code and what is none.
func TestVerificationCodeIsPrintableASCII(t *testing.T) {
	longest := strings.Repeat("x", 256)
	for code, want := range map[string]string{
		`"awdca8ef"`: "awdca8ef", `"!~"`: "!~", `"a\/b"`: "a/b", `"\u0041\"\\"`: `A"\`, `"null"`: "null", `"` + longest + `"`: longest,
		`null`: "", `123`: "", `true`: "", `["a"]`: "", `{"a":"b"}`: "", `""`: "", `"a b"`: "", `" a"`: "", `"a\n"`: "", `"a\u001b]52"`: "", "\"a\u007f\"": "",
		`"a\u0080"`: "", "\"a\u0080\"": "", "\"a\u009b\"": "", `"é"`: "", `"a\u202e"`: "", `"\ud800"`: "", `"` + longest + `x"`: "",
	} {
		f := newFixture()
		if status := f.post(t, requestWith(`{"event": "subscription", "data": {"secret": `+code+`}}`, "")); status != 200 {
			t.Errorf("%.40q: status %d", code, status)
		}
		var line struct {
			Level string
			Code  string `json:"verification_code"`
		}
		if err := json.Unmarshal(f.logs.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Code != want || (line.Level == "WARN") != (want == "") {
			t.Errorf("%.40q: the log has %q at %s, want %q", code, line.Code, line.Level, want)
		}
	}
}

func TestLogSaysWhetherASubscriptionIsSigned(t *testing.T) {
	genuine := signed(t, event.Subscription, `{"secret": "code"}`)
	for name, test := range map[string]struct {
		change func(*fixture, *events.APIGatewayV2HTTPRequest)
		want   bool
	}{
		"signed":       {func(*fixture, *events.APIGatewayV2HTTPRequest) {}, true},
		"no signature": {func(_ *fixture, r *events.APIGatewayV2HTTPRequest) { r.Headers = nil }, false},
		"other data": {func(_ *fixture, r *events.APIGatewayV2HTTPRequest) {
			r.Body = strings.Replace(r.Body, "code", "cod", 1)
		}, false},
		"no secret":    {func(f *fixture, _ *events.APIGatewayV2HTTPRequest) { f.secrets.err = errors.New("down") }, false},
		"not filled":   {func(f *fixture, _ *events.APIGatewayV2HTTPRequest) { f.secrets.known = secret.Credentials{} }, false},
		"newer secret": {func(f *fixture, _ *events.APIGatewayV2HTTPRequest) { f.secrets.known.ClientSecret = "before" }, false},
		"without a code": {func(_ *fixture, r *events.APIGatewayV2HTTPRequest) {
			*r = signed(t, event.Subscription, `{"secret": null}`)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			req := genuine
			test.change(f, &req)
			if status := f.post(t, req); status != 200 || f.secrets.reloads != 0 || len(f.queue.bodies) != 0 {
				t.Errorf("status %d, %d reloads, %d messages", status, f.secrets.reloads, len(f.queue.bodies))
			}
			if !strings.Contains(f.logs.String(), fmt.Sprintf(`"signed":%v`, test.want)) {
				t.Errorf("log: %s", f.logs)
			}
		})
	}
}

// TestSubscriptionWaitsForNoSecret has a Secrets Manager that hangs.
func TestSubscriptionWaitsForNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.Secrets = secret.New(hanging{}, "the secret", time.Now)
		start := time.Now()
		status := f.post(t, signed(t, event.Subscription, `{"secret": "code"}`))
		if took := time.Since(start); status != 200 || took != 0 || !strings.Contains(f.logs.String(), `"signed":false`) {
			t.Errorf("status %d after %v: %s", status, took, f.logs)
		}
		time.Sleep(time.Minute) // until the reading has ended
	})
}

type hanging struct{}

func (hanging) GetSecretValue(ctx context.Context, _ *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestLogHoldsNoSecretSignatureOrBody(t *testing.T) {
	f := newFixture()
	failed := signed(t, "document.failed", `{"id": 7, "error": "confidential"}`)
	f.post(t, failed)
	f.queue.send = func(context.Context) error { return errors.New("down") }
	f.post(t, failed)
	failed.Body = strings.Replace(failed.Body, "7", "8", 1)
	f.post(t, failed)
	failed.Body += "confidential"
	f.post(t, failed)
	for _, private := range []string{clientSecret, failed.Headers[signatureHeader], "confidential"} {
		if strings.Contains(f.logs.String(), private) {
			t.Errorf("%q is in the log: %s", private, f.logs)
		}
	}
	if !strings.Contains(f.logs.String(), `"request_id":"the request"`) {
		t.Errorf("no request id in the log: %s", f.logs)
	}
}

// TestPromisedNumbers are those of the contract, and not whatever the code says.
func TestPromisedNumbers(t *testing.T) {
	if maxBody != 262_144 {
		t.Errorf("a body has %d bytes at most", maxBody)
	}
	f := newFixture()
	f.queue.send = func(ctx context.Context) error {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > 9*time.Second || time.Until(end) < 5*time.Second {
			t.Errorf("the queue has %v; Veryfi waits for 10 s", time.Until(end))
		}
		return nil
	}
	if status := f.post(t, signed(t, event.DocumentCreated, `{"id": 7}`)); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(f.logs.String(), `"document_id":"7"`) {
		t.Errorf("the log of one document does not name it: %s", f.logs)
	}
}

// Package receive answers the requests to the webhook's URL: it verifies what
// comes, puts it into the queue, and only then acknowledges it.
//
// Read [Handler.answer] first, the way of one request.
package receive

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/jsonscan"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/signature"
)

const (
	// maxBody is the largest body that is read, in bytes. A thousand ids take 12 KB.
	maxBody = 262_144
	// answerWithin bounds the time to an answer. Veryfi waits 10 s (its API docs) or 20 s
	// (its FAQ).
	answerWithin = 9 * time.Second

	signatureHeader = "x-veryfi-signature"
)

// Queue takes messages for the processor.
type Queue interface {
	// Send returns nil only after every message is in the queue.
	Send(ctx context.Context, bodies ...string) error
}

// A Handler answers requests to the webhook's URL.
type Handler struct {
	Kinds   event.Kinds
	Secrets secret.Provider
	Queue   Queue
	Metrics metrics.Recorder
	Now     func() time.Time
	Log     *slog.Logger

	recent recentCalls
}

// Handle answers one request. For Veryfi any status below 400 means received; otherwise it
// repeats the request, twice at most.
func (h *Handler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	id := requestID(ctx, req)
	r := request{APIGatewayV2HTTPRequest: req, id: id, metrics: h.Metrics, log: h.Log.With(slog.String("request_id", id))}
	return h.answer(ctx, r).response(), nil
}

// A request is one request, and where to write about it.
type request struct {
	events.APIGatewayV2HTTPRequest
	id      string
	metrics metrics.Recorder
	log     *slog.Logger
}

// answer is the way of a request: decode it, verify it, read the event, enqueue
// it, acknowledge it.
func (h *Handler) answer(ctx context.Context, r request) answer {
	switch r.RequestContext.HTTP.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead:
		return alive // the portal checks whether the URL answers
	default:
		return methodNotAllowed
	}
	body, err := decodeBody(r)
	switch {
	case errors.Is(err, errTooLarge):
		return r.refuse(ctx, tooLarge, err)
	case err != nil:
		return r.refuse(ctx, badRequest, err)
	case len(body) == 0:
		return alive
	}
	var payload signature.Payload
	if err := payload.Parse(body); errors.Is(err, signature.ErrNotObject) {
		return r.refuse(ctx, badRequest, err)
	} else if err != nil {
		return r.refuse(ctx, unauthorized, err)
	}
	name := event.Name(&payload)
	if name == event.Subscription {
		return r.showCode(ctx, payload.Unverified(), h.hasSigned(ctx, &payload, r.header(signatureHeader)))
	}
	data, err := h.verify(ctx, &payload, r.header(signatureHeader))
	switch {
	case errors.Is(err, errNoSecret):
		return r.fail(ctx, err)
	case err != nil && name == event.Probe:
		return r.refuse(ctx, unauthorized, errProbe)
	case err != nil:
		return r.refuse(ctx, unauthorized, err)
	}
	return h.enqueue(ctx, r, h.Kinds.Event(name, data), data.Text)
}

// An answer is a status and a short JSON object.
type answer struct {
	status int
	body   string
}

var (
	alive            = answer{http.StatusOK, `{"status":"ok"}`}
	accepted         = answer{http.StatusOK, `{"status":"accepted"}`}
	badRequest       = answer{http.StatusBadRequest, `{"error":"the body is not a JSON object"}`}
	unauthorized     = answer{http.StatusUnauthorized, `{"error":"the signature is missing or wrong"}`}
	methodNotAllowed = answer{http.StatusMethodNotAllowed, `{"error":"use POST"}`}
	tooLarge         = answer{http.StatusRequestEntityTooLarge, `{"error":"the body is too large"}`}
	unavailable      = answer{http.StatusServiceUnavailable, `{"error":"try again later"}`}
)

func (a answer) response() events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{
		StatusCode: a.status,
		Headers:    map[string]string{"content-type": "application/json"},
		Body:       a.body,
	}
}

var (
	errTooLarge  = errors.New("the body is too large")
	errNotBase64 = errors.New("the body is not base64, though the event says so")
	errNoSecret  = errors.New("cannot read the client secret")
	errProbe     = errors.New("a probe of intake doctor, refused as it should be")
)

// decodeBody returns the body as it was sent, without surrounding white space.
func decodeBody(r request) ([]byte, error) {
	body := []byte(r.Body)
	if r.IsBase64Encoded {
		decoded := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
		n, err := base64.StdEncoding.Decode(decoded, body)
		if n > maxBody {
			return nil, errTooLarge
		}
		if err != nil {
			return nil, errNotBase64
		}
		body = decoded[:n]
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	return bytes.TrimSpace(body), nil
}

// verify returns the payload's data if Veryfi signed it. If the signature does not match,
// the secret may have changed.
func (h *Handler) verify(ctx context.Context, payload *signature.Payload, header string) (signature.Data, error) {
	known, err := filled(h.Secrets.Get(ctx))
	if err != nil {
		return signature.Data{}, err
	}
	data, mismatch := payload.Verify(header, known.Keys...)
	if !errors.Is(mismatch, signature.ErrMismatch) {
		return data, mismatch
	}
	reloaded, err := filled(h.Secrets.Reload(ctx))
	switch {
	case err != nil:
		return signature.Data{}, err
	case reloaded.HasKeysOf(known):
		return signature.Data{}, mismatch
	}
	return payload.Verify(header, reloaded.Keys...)
}

// filled returns a secret that verifies, or errNoSecret.
func filled(s *secret.Secret, err error) (*secret.Secret, error) {
	if err == nil {
		err = s.Verifies()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoSecret, err)
	}
	return s, nil
}

// hasSigned reports whether the payload is signed with the known secret. It never waits for
// one.
func (h *Handler) hasSigned(ctx context.Context, payload *signature.Payload, header string) bool {
	ended, end := context.WithCancel(ctx)
	end()
	known, err := h.Secrets.Get(ended)
	if err == nil {
		_, err = payload.Verify(header, known.Keys...)
	}
	return err == nil
}

// enqueue acknowledges an event once the queue has it. text is what was signed.
func (h *Handler) enqueue(ctx context.Context, r request, e event.Event, text []byte) answer {
	messages := e.Messages(h.Now(), r.id)
	var this call
	isMany := len(messages) >= manyMessages
	if isMany {
		this = newCall(e.Name, text, h.Now())
	}
	if isMany && h.recent.has(this) {
		r.log.InfoContext(ctx, "accepted before", slog.String("event", e.Name), slog.Int("messages", len(messages)),
			h.Metrics.Of(metrics.Received.One(), metrics.Accepted.One()))
		return accepted
	}
	bodies := make([]string, len(messages))
	for i, m := range messages {
		bodies[i] = m.Encode()
	}
	if err := h.Queue.Send(ctx, bodies...); err != nil {
		return r.fail(ctx, err)
	}
	if isMany {
		h.recent.add(this)
	}
	attrs := []any{slog.String("event", e.Name), slog.Int("messages", len(messages)), h.Metrics.Of(metrics.Received.One(), metrics.Accepted.One())}
	if len(messages) == 1 {
		attrs = append(attrs, slog.String("document_id", messages[0].Key()))
	}
	r.log.InfoContext(ctx, "accepted", attrs...)
	return accepted
}

// showCode logs the code that confirms the webhook's URL, and whether the call was signed.
// It is not known whether Veryfi signs it. A wrong code confirms nothing.
func (r request) showCode(ctx context.Context, data signature.Data, signed bool) answer {
	code, ok := verificationCode(data.Field("secret"))
	if !ok {
		r.log.WarnContext(ctx, "a subscription came without a verification code", slog.Bool("signed", signed), r.metrics.Of(metrics.Received.One()))
		return alive
	}
	r.log.InfoContext(ctx, "type this code into Veryfi's portal to confirm the webhook URL",
		slog.String("verification_code", code), slog.Bool("signed", signed), r.metrics.Of(metrics.Received.One()))
	return alive
}

// verificationCode reads a code: a JSON string of 1 to 256 printable ASCII characters
// without spaces. Anybody can send one, and a terminal will show it.
func verificationCode(json []byte) (code string, ok bool) {
	if len(json) == 0 || json[0] != '"' {
		return "", false
	}
	const maxCode = 256
	b := jsonscan.Bytes(json[1 : len(json)-1])
	if len(b) == 0 || len(b) > maxCode || bytes.ContainsFunc(b, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", false
	}
	return string(b), true
}

func (r request) refuse(ctx context.Context, a answer, why error) answer {
	r.log.WarnContext(ctx, "refused", slog.Int("status", a.status), slog.String("error", why.Error()),
		r.metrics.Of(metrics.Received.One(), metrics.Rejected.For(reason(why), 1)))
	return a
}

// reason is what a refused request is counted as. A wrong signature counts apart from what
// anybody sends to any URL: our client secret may be wrong, and an alarm fires. The
// operator's probe must not make it fire; a forged request under the probe's name is refused
// all the same.
func reason(why error) string {
	switch {
	case errors.Is(why, errProbe):
		return "probe"
	case errors.Is(why, errTooLarge):
		return "size"
	case errors.Is(why, errNotBase64), errors.Is(why, signature.ErrNotObject):
		return "body"
	case errors.Is(why, signature.ErrNoSignature), errors.Is(why, signature.ErrNoData):
		return "unsigned"
	default:
		return "signature"
	}
}

func (r request) fail(ctx context.Context, why error) answer {
	failure := metrics.EnqueueFailures
	if errors.Is(why, errNoSecret) {
		failure = metrics.SecretFailures
	}
	r.log.ErrorContext(ctx, "not accepted, Veryfi will try again", slog.Int("status", unavailable.status), slog.String("error", why.Error()),
		r.metrics.Of(metrics.Received.One(), failure.One()))
	return unavailable
}

// header returns a header's value. API Gateway writes names in lower case, `sam local
// start-api` in title case.
func (r request) header(name string) string {
	for key, value := range r.Headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// requestID returns the id that joins the logs of this function, API Gateway and the
// processor, and the row.
func requestID(ctx context.Context, req events.APIGatewayV2HTTPRequest) string {
	if req.RequestContext.RequestID != "" {
		return req.RequestContext.RequestID
	}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

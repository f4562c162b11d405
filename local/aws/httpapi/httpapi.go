// Package httpapi stands in for an API Gateway HTTP API with one route: it
// turns each request into an event of payload format 2.0 and the function's
// response into the answer.
//
// Source of what it imitates: API Gateway developer guide, "Create AWS Lambda
// proxy integrations for HTTP APIs" and "Quotas for HTTP API".
package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/local/aws/lambda"
)

const (
	// maxBody is API Gateway's limit for a request's body, in bytes.
	maxBody = 10 << 20
	// integrationTimeout is the longest that API Gateway waits for a function.
	integrationTimeout = 30 * time.Second
)

// A Front answers HTTP requests on one route with a function.
type Front struct {
	// Method is an HTTP method or ANY; Path is matched exactly.
	Method, Path string
	// Invoke calls the function with an event and returns its response.
	Invoke func(ctx context.Context, event []byte) ([]byte, error)
	// Answered gets the status of each answer. Nil is not called.
	Answered func(status int)
}

// ServeHTTP answers 404 beside the route, 413 for a body over 10 MB, 500 when
// the function fails and 503 when it takes more than 30 s; else what the
// function says.
func (f Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	requestID := rand.Text()[:16]
	answer := f.answer(w, r, requestID)
	w.Header().Set("Apigw-Requestid", requestID)
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8") // if the function names none
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range answer.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(answer.StatusCode)
	io.WriteString(w, answer.Body)
	if f.Answered != nil {
		f.Answered(answer.StatusCode)
	}
}

func (f Front) answer(w http.ResponseWriter, r *http.Request, requestID string) events.APIGatewayV2HTTPResponse {
	if r.URL.Path != f.Path || (f.Method != "ANY" && f.Method != r.Method) {
		return refusal(http.StatusNotFound)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil { // or the client is gone
		return refusal(http.StatusRequestEntityTooLarge)
	}
	// The client's leaving does not end an invocation.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), integrationTimeout)
	defer cancel()
	response, err := f.Invoke(ctx, newEvent(r, body, f.Method+" "+f.Path, requestID, time.Now()))
	switch {
	case errors.Is(err, lambda.ErrTooLarge):
		return refusal(http.StatusRequestEntityTooLarge)
	case errors.Is(err, context.DeadlineExceeded):
		return refusal(http.StatusServiceUnavailable)
	case err != nil:
		return refusal(http.StatusInternalServerError)
	}
	return answerOf(bytes.TrimSpace(response))
}

// answerOf reads the function's response. One without a statusCode is a body with
// status 200; one that makes no sense is a 500.
func answerOf(response []byte) events.APIGatewayV2HTTPResponse {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(response, &members)
	if _, ok := members["statusCode"]; !ok {
		var text string
		if json.Unmarshal(response, &text) != nil {
			text = string(response)
		}
		return jsonAnswer(http.StatusOK, text)
	}
	var answer events.APIGatewayV2HTTPResponse
	if json.Unmarshal(response, &answer) != nil || answer.StatusCode < 100 || answer.StatusCode > 599 {
		return refusal(http.StatusInternalServerError)
	}
	if answer.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(answer.Body)
		if err != nil {
			return refusal(http.StatusInternalServerError)
		}
		answer.Body = string(decoded)
	}
	return answer
}

// refusal is an answer of API Gateway's own.
func refusal(status int) events.APIGatewayV2HTTPResponse {
	return jsonAnswer(status, `{"message":"`+http.StatusText(status)+`"}`)
}

func jsonAnswer(status int, body string) events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{StatusCode: status, Headers: map[string]string{"Content-Type": "application/json"}, Body: body}
}

// newEvent returns the event of payload format 2.0 as JSON.
func newEvent(r *http.Request, body []byte, routeKey, requestID string, now time.Time) []byte {
	sourceIP, _, _ := net.SplitHostPort(r.RemoteAddr)
	domain, _, _ := strings.Cut(r.Host, ":")
	request := events.APIGatewayV2HTTPRequest{
		Version:               "2.0",
		RouteKey:              routeKey,
		RawPath:               r.URL.EscapedPath(),
		RawQueryString:        r.URL.RawQuery,
		Cookies:               cookies(r.Header),
		Headers:               headers(r, sourceIP),
		QueryStringParameters: parameters(r.URL.Query()),
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey:     routeKey,
			AccountID:    "000000000000",
			Stage:        "$default",
			RequestID:    requestID,
			APIID:        "local",
			DomainName:   domain,
			DomainPrefix: "local",
			Time:         now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
			TimeEpoch:    now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method:    r.Method,
				Path:      r.URL.Path,
				Protocol:  r.Proto,
				SourceIP:  sourceIP,
				UserAgent: r.UserAgent(),
			},
		},
	}
	switch {
	case len(body) == 0:
	case isText(r.Header.Get("Content-Type")) && utf8.Valid(body):
		request.Body = string(body)
	default:
		request.Body = base64.StdEncoding.EncodeToString(body)
		request.IsBase64Encoded = true
	}
	event, err := json.Marshal(request)
	if err != nil {
		panic(err) // strings, numbers and maps of strings only
	}
	return event
}

// headers has lower-case names. Cookies have a place of their own.
func headers(r *http.Request, sourceIP string) map[string]string {
	headers := map[string]string{
		"host":              r.Host,
		"x-forwarded-for":   sourceIP,
		"x-forwarded-proto": "http",
	}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	return headers
}

func cookies(header http.Header) (cookies []string) {
	for _, line := range header.Values("Cookie") {
		for cookie := range strings.SplitSeq(line, ";") {
			cookies = append(cookies, strings.TrimSpace(cookie))
		}
	}
	return cookies
}

func parameters(query url.Values) map[string]string {
	parameters := map[string]string{}
	for name, values := range query {
		parameters[name] = strings.Join(values, ",")
	}
	return parameters
}

// isText reports whether API Gateway passes a body of this content type on as
// text. Without a content type it is binary to it.
func isText(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	known := []string{"application/json", "application/javascript", "application/xml"}
	return err == nil && (slices.Contains(known, mediaType) || strings.HasPrefix(mediaType, "text/"))
}

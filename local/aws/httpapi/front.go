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
	"net/http"
	"time"

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

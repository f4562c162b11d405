// Package httpapi stands in for an API Gateway HTTP API with one route: it
// turns each request into an event of payload format 2.0 and the function's
// response into the answer.
//
// Source of what it imitates: API Gateway developer guide, "Create AWS Lambda
// proxy integrations for HTTP APIs" and "Quotas for HTTP API".
package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"veryfi-intake/local/aws/lambda"
)

const (
	// maxBody is API Gateway's limit for a request's body, in bytes.
	maxBody = 10 << 20
	// integrationTimeout is the longest that API Gateway waits for a function.
	integrationTimeout = 30 * time.Second
)

// Invoke calls the function with an event and returns its response.
type Invoke func(ctx context.Context, event []byte) ([]byte, error)

// A Front answers HTTP requests on one route with a function.
type Front struct {
	// Method is an HTTP method or ANY; Path is matched exactly.
	Method, Path string
	Invoke       Invoke
}

// ServeHTTP answers 404 beside the route, 413 for a body over 10 MB, 500 when
// the function fails and 503 when it takes more than 30 s; else what the
// function says.
func (f Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != f.Path || (f.Method != "ANY" && f.Method != r.Method) {
		refuse(w, http.StatusNotFound, "Not Found")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	case err != nil: // the client is gone
		return
	}
	event, requestID := newEvent(r, body, f.routeKey(), time.Now())
	w.Header().Set("Apigw-Requestid", requestID)

	// The client's leaving does not end an invocation.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), integrationTimeout)
	defer cancel()
	response, err := f.Invoke(ctx, event)
	switch {
	case errors.Is(err, lambda.ErrTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	case errors.Is(err, context.DeadlineExceeded):
		refuse(w, http.StatusServiceUnavailable, "Service Unavailable")
	case err != nil:
		refuse(w, http.StatusInternalServerError, "Internal Server Error")
	default:
		writeResponse(w, response)
	}
}

func (f Front) routeKey() string { return f.Method + " " + f.Path }

// refuse answers as API Gateway itself does.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, `{"message":"`+message+`"}`)
}

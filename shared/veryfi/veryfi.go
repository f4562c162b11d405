// Package veryfi retrieves documents from Veryfi's API, version 8.
package veryfi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"time"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/secret"
)

// DefaultBaseURL is where Veryfi's API is, unless an account has a host of its own.
const DefaultBaseURL = "https://api.veryfi.com"

const (
	// requestTimeout bounds one request. Veryfi usually answers within a second.
	requestTimeout = 20 * time.Second
	// submitTimeout bounds the upload of one file, of 20 MB at most.
	submitTimeout = 2 * time.Minute
	// maxRetryAfter bounds Retry-After. No message can wait longer anyway.
	maxRetryAfter = 24 * time.Hour

	root = "api/v8/partner" // of all paths
)

// A Resource is a kind of document, as it stands in the API's paths.
type Resource string

// The resources that requests differ for.
const (
	Documents    Resource = "documents" // receipts and invoices
	AnyDocuments Resource = "any-documents"
)

// An Error is an unsuccessful request. Its text holds nothing that Veryfi sent: that may
// quote the request or the document.
type Error struct {
	Class      failure.Class
	Status     int           // 0 when there was no answer
	RetryAfter time.Duration // 0 when Veryfi asks for nothing
	detail     string
}

// Failure returns the class.
func (e *Error) Failure() failure.Class { return e.Class }

func (e *Error) Error() string {
	text := "Veryfi gave no answer"
	if e.Status != 0 {
		text = fmt.Sprintf("Veryfi answered %d", e.Status)
	}
	if hint := hints[e.Class]; hint != "" {
		text += ", " + hint
	}
	if e.detail != "" {
		text += " (" + e.detail + ")"
	}
	return text
}

// hints say what an answer means to a person.
var hints = map[failure.Class]string{
	failure.CredentialsRefused: "it refuses the credentials: check the values in the secret",
	failure.NotFound:           "it has no such document: not yet, or it was deleted",
	failure.Throttled:          "a limit was reached",
	failure.Unexpected:         "which is not the document",
	failure.Refused:            "it will not serve this request",
}

// A Client sends requests to Veryfi. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	secrets secret.Provider
	// No http.Client: it follows redirects, and would take the credentials elsewhere.
	transport http.RoundTripper
	pacer     *pacer
	now       func() time.Time
}

// A Config says how a client reaches Veryfi.
type Config struct {
	BaseURL string // such as [DefaultBaseURL]
	// RequestsPerSecond is this client's share of what Veryfi allows the account, not
	// less than [LeastRequestsPerSecond].
	RequestsPerSecond float64
	Secrets           secret.Provider
	Transport         http.RoundTripper // as [NewTransport] returns it
	Now               func() time.Time
}

// NewClient returns a client that spaces its requests evenly, with no burst. The first one
// goes an interval from now: a process that replaces another must not add to what that has
// just sent.
//
// A 429 stops all requests of the client for as long as it says. Failures in a
// row slow it down to one request in 5 seconds, until one succeeds. The error is about
// the base URL.
func NewClient(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("VERYFI_BASE_URL must be a URL such as %s", DefaultBaseURL)
	}
	return &Client{
		base:      base,
		secrets:   cfg.Secrets,
		pacer:     newPacer(time.Duration(float64(time.Second)/cfg.RequestsPerSecond), cfg.Now),
		now:       cfg.Now,
		transport: cfg.Transport,
	}, nil
}

// NewTransport returns a transport for HTTP/1.1: HTTP/2 would make each function 0.4 MB
// larger.
func NewTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 16, // a batch of ten keeps its connections
		IdleConnTimeout:     90 * time.Second,
	}
}

// An Answer is how a request ended.
type Answer struct {
	Status int           // 0 when there was no answer
	Took   time.Duration // with its body, without the wait for its turn
}

// Get retrieves a document, as Veryfi sends it, with one request; with a second one only
// if Veryfi refuses the credentials and the secret has others by then. Veryfi may delete a
// document once it has sent it.
//
// The answers are those to each request, also with an error. The error is an [*Error],
// [ErrNoTime], one of the class [failure.NoCredentials], or the context's.
func (c *Client) Get(ctx context.Context, resource Resource, id int64) ([]byte, []Answer, error) {
	var body bytes.Buffer
	answers, err := c.ask(ctx, c.base.JoinPath(root, string(resource), strconv.FormatInt(id, 10), "/"), document.MaxJSON, func(answer io.Reader, length int64) error {
		if 0 < length && length <= document.MaxJSON {
			body.Grow(int(length) + bytes.MinRead) // so much ReadFrom wants to see free
		}
		_, err := body.ReadFrom(answer)
		return err
	})
	if err != nil {
		return nil, answers, err // and not a part of a document
	}
	return body.Bytes(), answers, nil
}

// ask sends a request, and has the answer read if it is a 200, up to limit bytes of it;
// its length is -1 when it is not known. Credentials that Veryfi refuses may have been
// replaced: the secret is read again, and new ones are tried immediately, once.
func (c *Client) ask(ctx context.Context, url *url.URL, limit int64, read func(answer io.Reader, length int64) error) (answers []Answer, err error) {
	try := func(credentials secret.Credentials) error {
		if err := c.pacer.wait(ctx); err != nil {
			return err
		}
		start := c.now()
		err := c.send(ctx, credentials, url, limit, read)
		c.pacer.note(err)
		answers = append(answers, Answer{statusOf(err), c.now().Sub(start)})
		return err
	}
	known, err := credentials(c.secrets.Get(ctx))
	if err != nil {
		return nil, err
	}
	err = try(known)
	if failure.ClassOf(err) == failure.CredentialsRefused {
		if fresh, reloadErr := credentials(c.secrets.Reload(ctx)); reloadErr == nil && fresh != known {
			err = try(fresh)
		}
	}
	return answers, err
}

// credentials returns those of a secret, or an error if Veryfi cannot be asked with them.
func credentials(known *secret.Secret, err error) (secret.Credentials, error) {
	if err != nil {
		return secret.Credentials{}, failure.NoCredentials.Of(fmt.Errorf("cannot read the secret: %w", err))
	}
	if err := known.Retrieves(); err != nil {
		return secret.Credentials{}, failure.NoCredentials.Of(err)
	}
	return known.Credentials, nil
}

// authorize adds the credentials to a request.
func authorize(req *http.Request, c secret.Credentials) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Client-Id", c.ClientID)
	if c.IsBearer() {
		req.Header.Set("Authorization", "Bearer "+c.APIKey)
	} else {
		req.Header.Set("Authorization", "apikey "+c.Username+":"+c.APIKey)
	}
}

func statusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.Status
	}
	return 0
}

func (c *Client) send(ctx context.Context, credentials secret.Credentials, url *url.URL, limit int64, read func(answer io.Reader, length int64) error) error {
	within, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	within = c.paceRepetition(within, cancel)
	req, err := http.NewRequestWithContext(within, http.MethodGet, url.String(), http.NoBody)
	if err != nil {
		return err
	}
	authorize(req, credentials)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return broken(ctx, requestTimeout, 0, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// A short answer read to its end keeps the connection.
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		return c.refused(resp)
	}
	answer := &io.LimitedReader{R: resp.Body, N: limit + 1}
	err = read(answer, resp.ContentLength)
	switch {
	case answer.N == 0:
		return &Error{Class: failure.TooLarge, Status: resp.StatusCode, detail: fmt.Sprintf("more than %d bytes", limit)}
	case err != nil:
		return broken(ctx, requestTimeout, resp.StatusCode, err)
	}
	return nil
}

// refused returns the error of an answer without a document.
func (c *Client) refused(resp *http.Response) *Error {
	return &Error{
		Class:      classOf(resp.StatusCode),
		Status:     resp.StatusCode,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), c.now()),
	}
}

// paceRepetition makes a request wait for its turn when net/http sends it a second time by
// itself: a GET on a kept connection that the other side has closed.
func (c *Client) paceRepetition(ctx context.Context, cancel context.CancelFunc) context.Context {
	repeated := false
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			if repeated && c.pacer.wait(ctx) != nil {
				cancel()
			}
			repeated = true
		},
	})
}

// broken returns the error of a request that got no answer in time, or half of one.
func broken(ctx context.Context, within time.Duration, status int, err error) error {
	if ctx.Err() != nil {
		return failure.OutOfTime.Of(context.Cause(ctx))
	}
	return &Error{Class: failure.Unavailable, Status: status, detail: describe(err, within)}
}

// describe says what went wrong in words that hold nothing of the answer. net/http quotes
// what it cannot read.
func describe(err error, within time.Duration) string {
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error()
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate.Error()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "the connection was closed, and no time was left to repeat the request"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("not within %v", within)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed too early"
	default:
		return "the answer is not HTTP"
	}
}

func classOf(status int) failure.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return failure.CredentialsRefused
	case http.StatusNotFound:
		return failure.NotFound
	case http.StatusConflict, http.StatusTooManyRequests:
		return failure.Throttled
	case http.StatusPaymentRequired, http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly,
		499: // the client has gone: a proxy's way to say that it waited too long
		return failure.Unavailable
	}
	switch {
	case status >= 500:
		return failure.Unavailable
	case status >= 400:
		return failure.Refused
	default:
		return failure.Unexpected
	}
}

// retryAfter reads the header Retry-After: seconds, or a date. It returns 0 for a date that
// has passed, and for what it cannot read.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if !(seconds > 0) { // also what is not a number
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(now)), maxRetryAfter)
	}
	return 0
}

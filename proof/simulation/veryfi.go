package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing/iotest"
	"time"

	"veryfi-intake/local/standin"
)

// limit is how many requests Veryfi allows in any second.
const limit = 60

// A stored is a document that Veryfi has, and who has retrieved it.
type stored struct {
	id         int64
	kind       standin.Kind
	body       []byte // nil when it has none
	created    time.Time
	autoDelete bool
	refused    bool // answered 400
	poison     bool // kills the function that retrieves it
	inProgress int  // so many requests find it unfinished
	// gone is true when it was deleted by a request, delivered when the whole answer
	// arrived, and to says where.
	gone, delivered bool
	to              *environment
}

func (d *stored) path() string { return fmt.Sprintf("/api/v8/partner/%s/%d/", d.kind, d.id) }

// putDocument makes Veryfi know a document, with a new body unless that is nil. What was
// deleted already stays so.
func (w *World) putDocument(d *stored, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if body != nil {
		d.body = body
	}
	w.documents[d.path()] = d
	if d.gone {
		return
	}
	known := standin.Document{Body: d.body, Created: d.created, AutoDelete: d.autoDelete}
	if d.refused {
		known.Behaviour = standin.Status(http.StatusBadRequest)
	}
	w.veryfi.Add(d.kind, d.id, known)
}

// isWithinLimit notes a request to Veryfi.
func (w *World) isWithinLimit() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.requests = slices.DeleteFunc(w.requests, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	w.requests = append(w.requests, now)
	return len(w.requests) <= limit
}

// veryfiClient is Veryfi as an environment sees it.
type veryfiClient struct{ *environment }

// RoundTrip answers a request.
func (c veryfiClient) RoundTrip(req *http.Request) (*http.Response, error) {
	path := req.URL.Path
	if !c.isDead() && !c.w.isWithinLimit() {
		c.w.violate("more than %d requests in a second", limit)
	}
	effect, err := c.call(req.Context(), atVeryfi, "GET "+path)
	d := c.w.draw("answer " + path)
	switch {
	case !effect && errors.Is(err, errRefused):
		return unwell(d, c.w.plan().outage(atVeryfi))
	case !effect:
		return nil, err
	}
	resp, broken := c.w.veryfi.RoundTrip(withSmallPages(req))
	if broken != nil {
		return nil, broken
	}
	c.w.story("%s GET %s?%s: %d", c.name, path, req.URL.RawQuery, resp.StatusCode)
	if resp.StatusCode == http.StatusOK {
		c.retrieves(path, err == nil)
	}
	if err != nil { // the answer is lost, or spoiled on its way
		if errors.Is(err, errDead) || d.part(whichOne) < 0.5 {
			return nil, err
		}
		resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 10), iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return resp, nil
}

// retrieves notes who has a document, and whether all of it.
func (e *environment) retrieves(path string, whole bool) {
	e.w.mu.Lock()
	d := e.w.documents[path]
	isPoison := d != nil && d.poison
	if d != nil { // it is not the list
		d.gone, d.delivered, d.to = d.autoDelete, whole, e
	}
	e.w.mu.Unlock()
	if isPoison {
		e.w.story("%s dies of document %d", e.name, d.id)
		e.die()
	}
}

// withSmallPages makes the list have several pages.
func withSmallPages(req *http.Request) *http.Request {
	query := req.URL.Query()
	if len(query) == 0 { // it is not the list
		return req
	}
	query.Set("page_size", "3")
	small := req.Clone(req.Context())
	small.URL.RawQuery = query.Encode()
	return small
}

// unwell is an answer of a Veryfi that is not well.
func unwell(d draw, o *outage) (*http.Response, error) {
	switch {
	case o != nil && o.hangs:
		return nil, errRefused
	case o != nil && o.status != 0:
		resp := response(o.status, nil)
		if o.retryAfter > 0 {
			resp.Header.Set("Retry-After", strconv.Itoa(o.retryAfter))
		}
		return resp, nil
	}
	resp := response([]int{500, 503, 503, 429, 429, 409, 502, 200, 200, 302}[d.below(whichOne, 10)], []byte("<html>"))
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		resp.Header.Set("Retry-After", strconv.Itoa(1+d.below(howLong, 90)))
	case http.StatusServiceUnavailable:
		if d.part(whichWay) < 0.3 {
			resp.Header.Set("Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
		}
	case http.StatusFound:
		resp.Header.Set("Location", "https://elsewhere.example/")
	}
	return resp, nil
}

func response(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}

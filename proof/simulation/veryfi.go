package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"veryfi-intake/shared/secret"
)

// limit is how many requests Veryfi allows in any second.
const limit = 60

// A stored is a document that Veryfi has.
type stored struct {
	id         int64
	statement  bool   // a bank statement, which the list of documents does not have
	body       []byte // nil when it has none, or none any more
	created    time.Time
	autoDelete bool
	refused    bool // answered 400
	poison     bool // kills the function that retrieves it
	inProgress int  // so many requests find it unfinished
	// gone is true when it was deleted by a request, and delivered when the whole
	// answer went out.
	gone, delivered bool
	to              *environment // who had it
	requests        int
}

func (d *stored) path() string {
	if d.statement {
		return fmt.Sprintf("/api/v8/partner/bank-statements/%d/", d.id)
	}
	return fmt.Sprintf("/api/v8/partner/documents/%d/", d.id)
}

// A veryfiModel is Veryfi's API.
type veryfiModel struct {
	w           *World
	mu          sync.Mutex
	credentials secret.Credentials
	documents   map[string]*stored // by path
	times       []time.Time        // of requests, the last second's
}

// put makes a document known, unless it was deleted already.
func (m *veryfiModel) put(d *stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !d.gone {
		m.documents[d.path()] = d
	}
}

// count notes a request and reports whether it is within the limit.
func (m *veryfiModel) count() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.times = slices.DeleteFunc(m.times, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	m.times = append(m.times, now)
	return len(m.times) <= limit
}

// A veryfiClient is Veryfi as an environment sees it.
type veryfiClient struct {
	w *World
	e *environment
}

// RoundTrip answers a request.
func (c veryfiClient) RoundTrip(req *http.Request) (*http.Response, error) {
	m, path := c.w.veryfi, req.URL.Path
	if !c.e.isDead() && !m.count() {
		c.w.violate("more than %d requests in a second", limit)
	}
	effect, err := c.w.call(req.Context(), c.e, veryfiAPI, "GET "+path)
	d := c.w.draw("answer " + path)
	switch {
	case !effect && errors.Is(err, errRefused):
		return unwell(d, c.w.plan().outage(veryfiAPI))
	case !effect:
		return nil, err
	}
	resp := m.answer(c.e, req)
	c.w.story("%s GET %s?%s: %d", c.e.name, path, req.URL.RawQuery, resp.StatusCode)
	if err != nil { // the answer is lost, or spoiled on its way
		m.spoiled(path)
		if errors.Is(err, errDead) || d.part(whichOne) < 0.5 {
			return nil, err
		}
		resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 10), broken{}))
	}
	return resp, nil
}

// broken is the rest of an answer that is cut short.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

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

func (m *veryfiModel) answer(e *environment, req *http.Request) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	if req.Header.Get("Authorization") != "apikey "+m.credentials.Username+":"+m.credentials.APIKey || req.Header.Get("Client-Id") != m.credentials.ClientID {
		return response(http.StatusUnauthorized, nil)
	}
	if req.URL.Path == "/api/v8/partner/documents" {
		return m.list(req)
	}
	d := m.documents[req.URL.Path]
	if d == nil {
		return response(http.StatusNotFound, nil)
	}
	d.requests++
	switch {
	case d.poison:
		m.w.story("%s dies of document %d", e.name, d.id)
		e.die()
		return response(http.StatusOK, d.body)
	case d.refused:
		return response(http.StatusBadRequest, nil)
	case d.body == nil:
		return response(http.StatusNotFound, nil)
	case d.inProgress > 0:
		d.inProgress--
		return response(http.StatusOK, fmt.Appendf(nil, `{"id": %d, "status": "in_progress"}`, d.id))
	}
	resp := response(http.StatusOK, d.body)
	d.delivered, d.to = true, e
	if d.autoDelete {
		d.body, d.gone = nil, true
	}
	return resp
}

// spoiled takes note that an answer did not arrive whole.
func (m *veryfiModel) spoiled(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.documents[path]; d != nil && d.gone {
		d.delivered = false
	}
}

// list answers with a small page, so that there are several.
func (m *veryfiModel) list(req *http.Request) *http.Response {
	query := req.URL.Query()
	var listed []*stored
	for _, d := range m.documents {
		created := d.created.Format(time.DateTime)
		if d.body != nil && !d.statement && created >= query.Get("created__gte") && created < query.Get("created__lt") {
			listed = append(listed, d)
		}
	}
	slices.SortFunc(listed, func(a, b *stored) int {
		if c := a.created.Compare(b.created); c != 0 {
			return c
		}
		return int(a.id - b.id)
	})
	const size = 3
	page, _ := strconv.Atoi(query.Get("page"))
	pages := slices.Collect(slices.Chunk(listed, size))
	var documents []string
	if page <= len(pages) && page > 0 {
		for _, d := range pages[page-1] {
			documents = append(documents, fmt.Sprintf(`{"id": %d, "created": %q, "status": "processed"}`, d.id, d.created.Format(time.DateTime)))
		}
	}
	return response(http.StatusOK, fmt.Appendf(nil, `{"documents": [%s], "meta": {"total_pages": %d}}`, strings.Join(documents, ","), len(pages)))
}

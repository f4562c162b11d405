package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/standin"
)

// squeeze is by how much the waits are cut that the functions ask SQS for: an hour
// becomes 36 s. SQS may deliver a message too early, so they must stand it.
const squeeze = 100

// Kinds of faults.
const (
	slow      = "slow"
	hanging   = "hangs"
	reset     = "reset"
	serverErr = "5xx"
	throttled = "throttled"
	truncated = "cut short"
	wrongJSON = "wrong JSON"
	lost      = "answer lost"
	refused   = "refused"
	killed    = "killed"
)

// ofRequests are the kinds of faults of a request.
var ofRequests = []string{slow, hanging, reset, serverErr, throttled, truncated, wrongJSON, lost}

// injector makes requests fail while it is on, and counts how.
type injector struct {
	mu     sync.Mutex
	random *rand.Rand
	rate   float64 // of requests
	counts map[string]map[string]int
}

func newInjector(random *rand.Rand, rate float64) *injector {
	return &injector{random: random, rate: rate, counts: map[string]map[string]int{}}
}

func (i *injector) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rate = 0
}

// count notes a fault that was injected somewhere.
func (i *injector) count(place, kind string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.counts[place] == nil {
		i.counts[place] = map[string]int{}
	}
	i.counts[place][kind]++
}

// draw returns the fault for a request, or nothing.
func (i *injector) draw(place string, kinds ...string) string {
	i.mu.Lock()
	hit := i.random.Float64() < i.rate
	kind := kinds[i.random.IntN(len(kinds))]
	i.mu.Unlock()
	if !hit {
		return ""
	}
	i.count(place, kind)
	return kind
}

// below returns a number from 0 to below n.
func (i *injector) below(n int) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.random.IntN(n)
}

var placeOf = map[endpoint.Service]string{endpoint.SQS: "SQS", endpoint.DynamoDB: "DynamoDB", endpoint.SecretsManager: "Secrets Manager"}

// aws is the [endpoint.Intercept] for all AWS services.
func (i *injector) aws(service endpoint.Service, next http.Handler, w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ChangeMessageVisibility") {
		squeezeWait(r)
	}
	// A clock of AWS's that is not ours.
	w.Header().Set("Date", time.Now().Add(time.Duration(i.below(20)-10)*time.Minute).UTC().Format(http.TimeFormat))
	fault := i.draw(placeOf[service], ofRequests...)
	switch fault {
	case throttled:
		endpoint.Throttle(service, w)
	case serverErr:
		w.WriteHeader(http.StatusInternalServerError)
	case wrongJSON:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		fmt.Fprint(w, `{"oops": [`)
	default:
		i.spoil(fault, next, w, r)
	}
}

// spoil does what is the same for all places.
func (i *injector) spoil(fault string, next http.Handler, w http.ResponseWriter, r *http.Request) {
	switch fault {
	case slow:
		time.Sleep(time.Duration(200+i.below(1500)) * time.Millisecond)
		next.ServeHTTP(w, r)
	case hanging:
		select {
		case <-r.Context().Done():
		case <-time.After(time.Duration(1+i.below(6)) * time.Second):
		}
		hangUp(w)
	case reset:
		hangUp(w)
	case lost:
		next.ServeHTTP(httptest.NewRecorder(), r)
		hangUp(w)
	case truncated:
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		body := whole.Body.Bytes()
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
		w.WriteHeader(whole.Code)
		w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		next.ServeHTTP(w, r)
	}
}

// hangUp ends the connection with a reset.
func hangUp(w http.ResponseWriter) { standin.Reset()(w, nil, nil) }

// squeezeWait cuts the wait that a request asks for, to a second at least unless
// it asks for none.
func squeezeWait(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var members map[string]any
	if json.Unmarshal(body, &members) == nil {
		if seconds, ok := members["VisibilityTimeout"].(float64); ok && seconds > 0 {
			members["VisibilityTimeout"] = max(1, int(seconds/squeeze))
			if cut, err := json.Marshal(members); err == nil {
				body = cut
			}
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// A front stands before the stand-in for Veryfi.
type front struct {
	injector *injector
	veryfi   *standin.Server

	mu       sync.Mutex
	times    []time.Time
	consumed map[string]bool // paths whose documents were deleted by an answer that did not arrive
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.times = append(f.times, time.Now())
	f.mu.Unlock()
	fault := f.injector.draw("Veryfi", ofRequests...)
	switch fault {
	case throttled:
		f.throttle(w)
	case serverErr:
		standin.Status([]int{500, 502, 503, 504, 499}[f.injector.below(5)])(w, r, nil)
	case wrongJSON:
		[]standin.Behaviour{standin.NotJSON(), standin.OtherID(), standin.InProgress(), standin.Redirect("http://127.0.0.1:1/")}[f.injector.below(4)](w, r, nil)
	case truncated, lost:
		f.mu.Lock()
		f.consumed[r.URL.Path] = true
		f.mu.Unlock()
		f.injector.spoil(fault, f.veryfi, w, r)
	default:
		f.injector.spoil(fault, f.veryfi, w, r)
	}
}

// throttle answers 429 with a wait in seconds or as a date, by a clock that is not
// ours.
func (f *front) throttle(w http.ResponseWriter) {
	wait := 1 + f.injector.below(3)
	if f.injector.below(2) == 0 {
		standin.RetryAfter(http.StatusTooManyRequests, wait)(w, nil, nil)
		return
	}
	date := time.Now().Add(time.Duration(wait) * time.Second)
	if f.injector.below(3) == 0 {
		date = date.Add(-time.Hour)
	}
	w.Header().Set("Retry-After", date.UTC().Format(http.TimeFormat))
	standin.Status(http.StatusTooManyRequests)(w, nil, nil)
}

// wasConsumed reports whether an answer about the document may have been lost.
func (f *front) wasConsumed(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.consumed[path]
}

// requests returns how many requests there were.
func (f *front) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.times)
}

// busiest returns the most requests in any second.
func (f *front) busiest() (most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := 0
	for i, t := range f.times {
		for t.Sub(f.times[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

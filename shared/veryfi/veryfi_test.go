package veryfi

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/secret"
)

var (
	older = secret.Credentials{ClientID: "the-client-id", ClientSecret: "the-client-secret", Username: "the.user", APIKey: "the0api0key"}
	newer = secret.Credentials{ClientID: "the-client-id", ClientSecret: "the-client-secret", Username: "the.user", APIKey: "vrfk_the0api0key"}
)

// newClient returns a client that sends without waiting for its turn.
func newClient(t *testing.T, baseURL string) *Client {
	t.Helper()
	return newClientOf(t, baseURL, secret.Fixed(older))
}

func newClientOf(t *testing.T, baseURL string, secrets secret.Provider) *Client {
	t.Helper()
	c, err := NewClient(Config{baseURL, 60, secrets, NewTransport(), time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c.pacer.interval, c.pacer.next = 0, time.Time{}
	t.Cleanup(c.transport.(*http.Transport).CloseIdleConnections)
	return c
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, c *Client) ([]byte, error) {
	t.Helper()
	body, _, err := c.Get(t.Context(), Documents, 123456789)
	return body, err
}

// answerOf returns the error of a request, and sees that it tells no secrets.
func answerOf(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	tellsNothing(t, err)
	if failure.ClassOf(err) != e.Class || failure.ClassOf(fmt.Errorf("around: %w", err)) != e.Class {
		t.Errorf("class is %q", failure.ClassOf(err))
	}
	return e
}

// tellsNothing sees that no form of an error has credentials, or anything of an
// answer: answers here say "hush".
func tellsNothing(t *testing.T, err error) {
	t.Helper()
	for _, private := range []string{"hush", "the-client", "the.user", "the0api0key"} {
		for _, form := range []string{"%v", "%+v"} {
			if text := fmt.Sprintf(form, err); strings.Contains(text, private) {
				t.Errorf("%q is in %s", private, text)
			}
		}
	}
}

func TestRequestIsWhatVeryfiExpects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		base        string
		credentials secret.Credentials
		resource    Resource
		path        string
		auth        string
	}{
		{"", older, Documents, "/api/v8/partner/documents/123456789/", "apikey the.user:the0api0key"},
		{"/", older, Documents, "/api/v8/partner/documents/123456789/", "apikey the.user:the0api0key"},
		{"/a/path", older, Documents, "/a/path/api/v8/partner/documents/123456789/", "apikey the.user:the0api0key"},
		{"/a/path/", older, "bank-statements", "/a/path/api/v8/partner/bank-statements/123456789/", "apikey the.user:the0api0key"},
		{"", newer, Documents, "/api/v8/partner/documents/123456789/", "Bearer vrfk_the0api0key"},
	} {
		var got *http.Request
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got = r
			io.WriteString(w, `{"id": 123456789}`)
		})
		body, _, err := newClientOf(t, base+test.base, secret.Fixed(test.credentials)).Get(t.Context(), test.resource, 123456789)
		if err != nil || string(body) != `{"id": 123456789}` {
			t.Fatalf("%q, %v", body, err)
		}
		if got.Method != http.MethodGet || got.RequestURI != test.path || got.ContentLength != 0 {
			t.Errorf("%s %s", got.Method, got.RequestURI)
		}
		got.Header.Del("User-Agent")
		want := http.Header{"Accept": {"application/json"}, "Client-Id": {"the-client-id"}, "Authorization": {test.auth}, "Accept-Encoding": {"gzip"}}
		if diff := cmp.Diff(want, got.Header); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBodyIsReturnedToTheByte(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", " {\"id\":1.50} \n", "\xff\x00", "not JSON", strings.Repeat("a", document.MaxJSON)} {
		got, err := get(t, newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })))
		if err != nil || string(got) != body {
			t.Errorf("%d bytes of %d, %v", len(got), len(body), err)
		}
	}
}

func TestStatusSaysWhatToDo(t *testing.T) {
	t.Parallel()
	want := map[int]failure.Class{
		// Veryfi's table
		400: failure.Refused, 401: failure.CredentialsRefused, 403: failure.CredentialsRefused, 404: failure.NotFound, 409: failure.Throttled, 429: failure.Throttled, 413: failure.Refused,
		499: failure.Unavailable, 500: failure.Unavailable, 503: failure.Unavailable, 504: failure.Unavailable,
		// and what a gateway may say
		201: failure.Unexpected, 202: failure.Unexpected, 204: failure.Unexpected, 206: failure.Unexpected, 300: failure.Unexpected, 301: failure.Unexpected, 302: failure.Unexpected, 303: failure.Unexpected, 304: failure.Unexpected, 307: failure.Unexpected, 308: failure.Unexpected,
		402: failure.Unavailable, 405: failure.Refused, 406: failure.Refused, 408: failure.Unavailable, 410: failure.Refused, 418: failure.Refused, 422: failure.Refused, 423: failure.Unavailable, 425: failure.Unavailable, 451: failure.Refused,
		501: failure.Unavailable, 502: failure.Unavailable, 505: failure.Unavailable, 520: failure.Unavailable, 530: failure.Unavailable, 599: failure.Unavailable,
		600: failure.Unavailable, 999: failure.Unavailable,
	}
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(strings.TrimPrefix(r.URL.Path, "/api/v8/partner/documents/"), "%d/", &status)
		w.Header().Set("retry-after", "7")
		w.WriteHeader(status)
		io.WriteString(w, `{"status": "fail", "error": "hush the0api0key"}`)
	}))
	for _, status := range slices.Sorted(maps.Keys(want)) {
		body, _, err := c.Get(t.Context(), Documents, int64(status))
		if e := answerOf(t, err); body != nil || e.Status != status || e.Class != want[status] || e.RetryAfter != 7*time.Second {
			t.Errorf("%d: %+v", status, e)
		}
		if !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: the error is %q", status, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const day = 24 * time.Hour
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, "120": 2 * time.Minute, "1.5": 1500 * time.Millisecond, "0.25": 250 * time.Millisecond, "86400": day, "86401": day, "1e9": day,
		"99999999999999999999": day, "1e400": 0, "Inf": day, "-1": 0, "-0.5": 0, "-Inf": 0, "NaN": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:04:05 GMT": 0, "Fri, 02 Jan 2026 03:03:05 GMT": 0, "Thu, 01 Jan 1970 00:00:00 GMT": 0,
		"Friday, 02-Jan-26 03:05:05 GMT": time.Minute, "Fri Jan  2 03:05:05 2026": time.Minute, // the older forms of HTTP
		"soon": 0, "1 second": 0, "1s": 0, "1,5": 0, "60, 120": 0, "\u0661": 0, "2026-01-02T03:05:05Z": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
	if got := retryAfter("Fri, 31 Dec 9999 23:59:59 GMT", now); got != day {
		t.Errorf("a date far away: got %v", got)
	}
}

func TestRedirectTakesNoCredentialsAnywhere(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	target := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{target, target + "/hush", "/api/v8/partner/documents/1/", "//hush.example.com/", ""} {
			requests := 0
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(status)
			})
			_, err := get(t, newClient(t, base))
			if e := answerOf(t, err); e.Class != failure.Unexpected || e.Status != status || requests != 1 {
				t.Errorf("%d to %q: %d requests, %+v", status, location, requests, e)
			}
		}
	}
	if reached.Load() != 0 {
		t.Errorf("the target got %d requests", reached.Load())
	}
}

func TestAnswerThatIsTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(w http.ResponseWriter){
		"a byte more": func(w http.ResponseWriter) { w.Write(make([]byte, document.MaxJSON+1)) },
		"without end": func(w http.ResponseWriter) {
			for block := make([]byte, 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := get(t, newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { write(w) })))
			if e := answerOf(t, err); body != nil || e.Class != failure.TooLarge || e.Status != 200 {
				t.Errorf("%+v", e)
			}
		})
	}
}

// raw serves connections, one after the other, by hand.
func raw(t *testing.T, handle func(conn net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handle(conn, bufio.NewReader(conn))
			conn.Close()
		}
	})
	return "http://" + l.Addr().String()
}

func readRequest(t *testing.T, r *bufio.Reader) {
	t.Helper()
	if _, err := http.ReadRequest(r); err != nil {
		t.Error(err)
	}
}

func TestBrokenAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		status int // -1 for a connection that is reset
	}{
		"a reset before":      {"", -1},
		"a reset within":      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"hush\":1,", -1},
		"nothing":             {"", 0},
		"half a header":       {"HTTP/1.1 200 OK\r\nContent-Le", 0},
		"half a body":         {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":123456789,\"hush\":", 200},
		"half a chunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{\"hush\":1}", 200},
		"no last chunk":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{\"hush\":1}\r\n", 200},
		"a wrong chunk":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\"hush\":1}", 200},
		"gzip that is none":   {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhush", 200},
		"half of a gzip":      {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00", 200},
		"an endless header":   {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 20<<20), 0},
		"an error, cut short": {"HTTP/1.1 503 Down\r\nContent-Length: 100\r\n\r\nhush", 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := raw(t, func(conn net.Conn, r *bufio.Reader) {
				readRequest(t, r)
				io.WriteString(conn, test.answer)
				if tcp, ok := conn.(*net.TCPConn); ok && test.status < 0 {
					tcp.SetLinger(0)
				}
			})
			body, err := get(t, newClient(t, base))
			if e := answerOf(t, err); body != nil || e.Class != failure.Unavailable || e.Status != test.status && test.status >= 0 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestNobodyThereIsUnavailable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := get(t, newClient(t, server.URL))
	e := answerOf(t, err)
	if text := e.Error(); e.Class != failure.Unavailable || e.Status != 0 || !strings.Contains(text, "connection refused") || strings.Contains(text, "/api/v8") {
		t.Errorf("%+v", e)
	}
}

func TestCertificateThatIsNotTrustedIsUnavailable(t *testing.T) {
	t.Parallel()
	reached := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := get(t, newClient(t, server.URL))
	if e := answerOf(t, err); e.Class != failure.Unavailable || reached {
		t.Errorf("%+v", e)
	}
}

func TestCredentialsThatAreNoHeaderAreNotShown(t *testing.T) {
	t.Parallel()
	base := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, credentials := range []secret.Credentials{
		{ClientID: "the-client-id\nx", Username: "the.user", APIKey: "the0api0key"}, {ClientID: "c", Username: "the.user\x00", APIKey: "the0api0key"}, {ClientID: "c", APIKey: "vrfk_the0api0key\r\nx"},
	} {
		_, err := get(t, newClientOf(t, base, secret.Fixed(credentials)))
		if err == nil {
			t.Error("no error")
		}
		tellsNothing(t, err)
	}
}

func TestBaseURLIsChecked(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		DefaultBaseURL: true, "https://api.veryfi.com/": true, "https://acme.veryfi.com/a/b": true, "http://127.0.0.1:8082": true, "HTTPS://api.veryfi.com": true, "https://[::1]:8082": true,
		"": false, "api.veryfi.com": false, "api.veryfi.com:443": false, "//api.veryfi.com": false, "https://": false, "https:///a": false, "https:api.veryfi.com": false,
		"ftp://api.veryfi.com": false, "file:///etc": false, "http://[::1": false, "https://api.veryfi.com:port": false, " https://api.veryfi.com": false, "https://a b": false, "%": false, "https://\x00": false,
	} {
		if c, err := NewClient(Config{base, 1, secret.Fixed(older), NewTransport(), time.Now}); (err == nil) != want || (c != nil) != want || err != nil && !strings.Contains(err.Error(), "VERYFI_BASE_URL") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// pipes is a network in memory, for tests with time of their own.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble runs a test with a client of that rate and a server, in time of its
// own.
func inBubble(t *testing.T, rate float64, handler http.HandlerFunc, test func(t *testing.T, c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		c, err := NewClient(Config{"http://veryfi.example", rate, secret.Fixed(older), NewTransport(), time.Now})
		if err != nil {
			t.Fatal(err)
		}
		c.transport.(*http.Transport).DialContext = p.dial
		server := &http.Server{Handler: handler}
		var wg sync.WaitGroup
		wg.Go(func() { server.Serve(p) })
		test(t, c)
		c.transport.(*http.Transport).CloseIdleConnections()
		server.Close()
		wg.Wait()
	})
}

// arrivals notes when requests arrive.
type arrivals struct {
	mu    sync.Mutex
	start time.Time
	at    []time.Duration
}

func (a *arrivals) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, time.Since(a.start))
	io.WriteString(w, `{}`)
}

// spaced sees that requests arrived in their turns, the first one an interval
// after the start.
func (a *arrivals) spaced(t *testing.T, n int, interval time.Duration) {
	t.Helper()
	if len(a.at) != n {
		t.Fatalf("%d requests of %d", len(a.at), n)
	}
	var previous time.Duration
	for _, at := range a.at {
		if at-previous < interval-time.Microsecond {
			t.Fatalf("a request at %v, the one before at %v", at, previous)
		}
		previous = at
	}
}

func TestRequestsAreSpacedEvenly(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0.5, 1, 7.4, 11, 60} {
		interval := time.Duration(float64(time.Second) / rate)
		var a arrivals
		inBubble(t, rate, a.ServeHTTP, func(t *testing.T, c *Client) {
			a.start = time.Now()
			var wg sync.WaitGroup
			for range 25 {
				wg.Go(func() {
					if _, err := get(t, c); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			a.spaced(t, 25, interval)
			if last := a.at[24]; last > 25*interval+time.Millisecond {
				t.Errorf("%v requests a second: the last one at %v", rate, last)
			}
		})
	}
}

func TestTimeOfRestSavesUpNoBurst(t *testing.T) {
	t.Parallel()
	var a arrivals
	inBubble(t, 10, a.ServeHTTP, func(t *testing.T, c *Client) {
		a.start = time.Now()
		time.Sleep(time.Hour)
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() { get(t, c) })
		}
		wg.Wait()
		a.spaced(t, 30, 100*time.Millisecond)
		// No second holds more than ten, wherever it begins.
		for i := 10; i < len(a.at); i++ {
			if a.at[i]-a.at[i-10] < time.Second-time.Microsecond {
				t.Errorf("eleven requests from %v to %v", a.at[i-10], a.at[i])
			}
		}
	})
}

func TestRequestWithTooLittleTimeIsNotSent(t *testing.T) {
	t.Parallel()
	var a arrivals
	inBubble(t, 0.5, a.ServeHTTP, func(t *testing.T, c *Client) {
		time.Sleep(time.Minute) // its turn is now
		for _, left := range []time.Duration{0, time.Millisecond, leastTime - time.Nanosecond} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			_, _, err := c.Get(ctx, Documents, 1)
			if !errors.Is(err, ErrNoTime) && !errors.Is(err, context.DeadlineExceeded) || failure.ClassOf(err) != failure.OutOfTime {
				t.Errorf("%v left: %v", left, err)
			}
			cancel()
			time.Sleep(time.Minute)
		}
		// Its turn comes in two seconds.
		get(t, c)
		a.at = nil
		for _, left := range []time.Duration{time.Second, 2*time.Second + leastTime - time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			if _, _, err := c.Get(ctx, Documents, 1); !errors.Is(err, ErrNoTime) {
				t.Errorf("%v left: %v", left, err)
			}
			cancel()
		}
		if len(a.at) != 0 {
			t.Errorf("%d requests were sent", len(a.at))
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), leastTime)
		defer cancel()
		if _, _, err := c.Get(ctx, Documents, 1); err != nil || len(a.at) != 1 {
			t.Errorf("with enough time: %v", err)
		}
	})
}

// TestRequestThatWouldComeTooLateKeepsNobodyWaiting lets many give up.
func TestRequestThatWouldComeTooLateKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	var a arrivals
	inBubble(t, 1, a.ServeHTTP, func(t *testing.T, c *Client) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		for range 100 {
			if _, _, err := c.Get(ctx, Documents, 1); !errors.Is(err, ErrNoTime) {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v for a turn that would come too late", waited)
		}
		if _, err := get(t, c); err != nil || time.Since(start) > 1001*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestServerThatHangsIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"before the answer": hang,
		"in the answer": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"hush":`)
			http.NewResponseController(w).Flush()
			hang(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, 60, handler, func(t *testing.T, c *Client) {
				start := time.Now()
				_, err := get(t, c)
				if e := answerOf(t, err); e.Class != failure.Unavailable || time.Since(start).Round(time.Second) != requestTimeout {
					t.Errorf("after %v: %+v", time.Since(start), e)
				}
			})
		})
	}
}

func TestContextThatEndsInARequestIsItsError(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"before the answer": hang,
		"in the answer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"hush":`)
			http.NewResponseController(w).Flush()
			hang(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, 60, handler, func(t *testing.T, c *Client) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, _, err := c.Get(ctx, Documents, 1)
				if !errors.Is(err, context.DeadlineExceeded) || failure.ClassOf(err) != failure.OutOfTime || time.Since(start) != 5*time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				tellsNothing(t, err)

				stopped := errors.New("stopped")
				ctx, stop := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { stop(stopped) })
				if _, _, err := c.Get(ctx, Documents, 1); !errors.Is(err, stopped) || failure.ClassOf(err) != failure.OutOfTime {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestRequestThatIsSentAgainWaitsItsTurn closes a kept connection just when it is
// used again: net/http then repeats the request by itself.
func TestRequestThatIsSentAgainWaitsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		c, err := NewClient(Config{"http://veryfi.example", 2, secret.Fixed(older), NewTransport(), time.Now})
		if err != nil {
			t.Fatal(err)
		}
		c.transport.(*http.Transport).DialContext = p.dial
		a := arrivals{start: time.Now()}
		answered := map[int]bool{0: true, 2: true} // of the requests as they arrive
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				conn, err := p.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					defer conn.Close()
					for r := bufio.NewReader(conn); ; {
						if _, err := http.ReadRequest(r); err != nil {
							return
						}
						a.mu.Lock()
						n := len(a.at)
						a.at = append(a.at, time.Since(a.start))
						a.mu.Unlock()
						if !answered[n] {
							return
						}
						io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
					}
				})
			}
		})
		for range 2 {
			if body, err := get(t, c); err != nil || string(body) != "{}" {
				t.Errorf("%q, %v", body, err)
			}
		}
		a.spaced(t, 3, 500*time.Millisecond)
		c.transport.(*http.Transport).CloseIdleConnections()
		p.Close()
		wg.Wait()
	})
}

func TestRequestsShareOneConnectionOfHTTP1(t *testing.T) {
	t.Parallel()
	var protocols, connections []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols, connections = append(protocols, r.Proto), append(connections, r.RemoteAddr)
		io.WriteString(w, `{}`)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	c, err := NewClient(Config{server.URL, 60, secret.Fixed(older), NewTransport(), time.Now})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	c.transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	t.Cleanup(c.transport.(*http.Transport).CloseIdleConnections)
	for range 4 {
		if _, err := get(t, c); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(slices.Compact(protocols), []string{"HTTP/1.1"}) || len(slices.Compact(connections)) != 1 {
		t.Errorf("over %v on %v", protocols, connections)
	}
}

// TestAnswerThatIsNotHTTPIsNotQuoted sends words that [answerOf] looks for.
func TestAnswerThatIsNotHTTPIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"hush\r\n\r\n",
		"HTTP/1.1 hush\r\n\r\n",
		"HTTP/1.1 200 OK\r\nhush\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: hush\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: hush\r\n\r\n",
	} {
		base := raw(t, func(conn net.Conn, r *bufio.Reader) {
			readRequest(t, r)
			io.WriteString(conn, answer)
		})
		_, err := get(t, newClient(t, base))
		if e := answerOf(t, err); e.Class != failure.Unavailable {
			t.Errorf("%q: %v", answer, e)
		}
	}
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://hush:%zz/")
		w.WriteHeader(http.StatusFound)
	})
	_, err := get(t, newClient(t, base))
	if e := answerOf(t, err); e.Class != failure.Unexpected || e.Status != http.StatusFound {
		t.Errorf("a redirect to nowhere: %v", e)
	}
}

func TestEveryAnswerIsReturned(t *testing.T) {
	t.Parallel()
	for _, want := range []int{200, 429, 503, 0} {
		url := "http://127.0.0.1:1"
		if want != 0 {
			url = serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(want)
				fmt.Fprint(w, "{}")
			})
		}
		_, answers, _ := newClient(t, url).Get(t.Context(), Documents, 1)
		if len(answers) != 1 || answers[0].Status != want || answers[0].Took <= 0 {
			t.Errorf("%d: %+v", want, answers)
		}
	}
}

// replaced is a secret with other credentials, or none, once it is read again.
type replaced struct {
	known, fresh secret.Credentials
	err          error
	reloads      *int
}

func (r replaced) Get(ctx context.Context) (*secret.Secret, error) {
	if *r.reloads == 0 {
		return secret.Fixed(r.known).Get(ctx)
	}
	known, _ := secret.Fixed(r.fresh).Get(ctx)
	return known, r.err
}

func (r replaced) Reload(ctx context.Context) (*secret.Secret, error) {
	*r.reloads++
	return r.Get(ctx)
}

func TestRefusedCredentialsAreReadAgainOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fresh  secret.Credentials
		err    error
		status int // what the older ones get, and the newer ones on a bad day
		want   []int
	}{
		"and are new":              {newer, nil, 401, []int{401, 200}},
		"and are new after 403":    {newer, nil, 403, []int{403, 200}},
		"and are the same":         {older, nil, 401, []int{401}},
		"and are not filled":       {secret.Credentials{}, nil, 401, []int{401}},
		"and cannot be read":       {newer, errors.New("down"), 401, []int{401}},
		"and are refused, too":     {secret.Credentials{ClientID: "x", APIKey: "vrfk_x"}, nil, 401, []int{401, 401}},
		"and not for other errors": {newer, nil, 404, []int{404}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer "+newer.APIKey {
					w.WriteHeader(test.status)
				}
				fmt.Fprint(w, `{"documents": []}`)
			})
			reloads := 0
			c := newClientOf(t, base, replaced{older, test.fresh, test.err, &reloads})
			_, answers, err := c.Get(t.Context(), Documents, 1)
			var statuses []int
			for _, answer := range answers {
				statuses = append(statuses, answer.Status)
			}
			if diff := cmp.Diff(test.want, statuses); diff != "" {
				t.Error(diff)
			}
			last := test.want[len(test.want)-1]
			if class := failure.ClassOf(err); last == 200 && err != nil || last != 200 && class != classOf(last) {
				t.Errorf("the error is %v", err)
			}
			if refused := test.status != 404; reloads > 1 || refused != (reloads == 1) {
				t.Errorf("%d reloads", reloads)
			}
		})
	}
}

func TestNoRequestWithoutCredentials(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for want, secrets := range map[error]secret.Provider{
		secret.ErrNotFilled: secret.Fixed(secret.Credentials{ClientID: "c", APIKey: "unset"}),
		down:                replaced{err: down, reloads: &[]int{1}[0]},
	} {
		c := newClientOf(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request") }), secrets)
		_, answers, err := c.Get(t.Context(), Documents, 1)
		_, listed, listErr := c.List(t.Context(), Documents, time.Now(), time.Now(), 1)
		_, submitErr := c.Submit(t.Context(), Documents, Submission{})
		for _, err := range []error{err, listErr, submitErr} {
			if !errors.Is(err, want) || failure.ClassOf(err) != failure.NoCredentials {
				t.Errorf("%v: got %v", want, err)
			}
		}
		if len(answers)+len(listed) != 0 {
			t.Errorf("answers %v, %v", answers, listed)
		}
	}
}

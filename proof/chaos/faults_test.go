package chaos

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"veryfi-intake/local/aws/endpoint"
)

// one returns a client's view of one request that has a certain fault, and
// whether it took effect.
func one(t *testing.T, fault string) (status int, body string, effect bool, err error) {
	t.Helper()
	var reached atomic.Bool
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Store(true)
		fmt.Fprint(w, `{"whole": "answer"}`)
	})
	i := newInjector(rand.New(rand.NewPCG(1, 1)), 0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.spoil(fault, next, w, r) }))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		return 0, "", reached.Load(), err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), reached.Load(), err
}

func TestFaultsAreWhatTheySay(t *testing.T) {
	t.Parallel()
	start := time.Now()
	if status, body, _, err := one(t, slow); status != 200 || body != `{"whole": "answer"}` || err != nil || time.Since(start) < 200*time.Millisecond {
		t.Errorf("slow: %d %q, %v", status, body, err)
	}
	if _, _, effect, err := one(t, reset); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) || effect {
		t.Errorf("reset: %v, effect %v", err, effect)
	}
	if _, _, effect, err := one(t, lost); err == nil || !effect {
		t.Errorf("lost: %v, effect %v", err, effect)
	}
	const whole = `{"whole": "answer"}`
	if _, body, effect, err := one(t, truncated); err == nil || !effect || body != whole[:len(whole)/2] {
		t.Errorf("cut short: %q, %v, effect %v", body, err, effect)
	}
	start = time.Now()
	if _, _, effect, err := one(t, hanging); err == nil || effect || time.Since(start) < time.Second {
		t.Errorf("hangs: %v after %v, effect %v", err, time.Since(start), effect)
	}
	if status, _, effect, err := one(t, ""); status != 200 || !effect || err != nil {
		t.Errorf("none: %d, %v, effect %v", status, err, effect)
	}
}

func TestEveryKindOfFaultIsDrawn(t *testing.T) {
	i := newInjector(rand.New(rand.NewPCG(1, 1)), 0.5)
	none := 0
	for range 1000 {
		if i.draw("here", slow, reset, lost) == "" {
			none++
		}
	}
	if none < 400 || none > 600 || len(i.counts["here"]) != 3 {
		t.Errorf("%d without a fault, %v", none, i.counts)
	}
	i.stop()
	if fault := i.draw("here", slow); fault != "" {
		t.Errorf("%s after the end", fault)
	}
}

func TestGateRefusesAndOpensAgain(t *testing.T) {
	t.Parallel()
	g, err := newGate()
	if err != nil {
		t.Fatal(err)
	}
	defer g.stop()
	g.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	get := func() error {
		resp, err := http.Get("http://" + g.address)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { g.refuse(time.Second); close(done) }()
	refusals := 0
	for range 10 {
		time.Sleep(50 * time.Millisecond)
		if err := get(); errors.Is(err, syscall.ECONNREFUSED) {
			refusals++
		}
	}
	if refusals < 5 {
		t.Errorf("%d of 10 refused", refusals)
	}
	<-done
	if err := get(); err != nil {
		t.Error(err)
	}
}

func TestWaitsAreSqueezed(t *testing.T) {
	for asked, want := range map[string]string{
		`{"VisibilityTimeout":3600}`: `{"VisibilityTimeout":36}`,
		`{"VisibilityTimeout":10}`:   `{"VisibilityTimeout":1}`,
		`{"VisibilityTimeout":0}`:    `{"VisibilityTimeout":0}`,
		`not JSON`:                   `not JSON`,
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(asked))
		squeezeWait(r)
		if got, err := io.ReadAll(r.Body); err != nil || string(got) != want || r.ContentLength != int64(len(want)) {
			t.Errorf("%s becomes %s, %v", asked, got, err)
		}
	}
}

func TestBusiestSecond(t *testing.T) {
	f := &front{}
	start := time.Now()
	for n := range 100 {
		f.times = append(f.times, start.Add(time.Duration(n)*20*time.Millisecond))
	}
	if got := f.busiest(); got != 50 {
		t.Error(got)
	}
}

// TestThrottlingIsTheServicesOwn sees that the SDK gets what AWS answers.
func TestThrottlingIsTheServicesOwn(t *testing.T) {
	for service, want := range map[endpoint.Service]string{
		endpoint.SQS: "RequestThrottled", endpoint.DynamoDB: "ProvisionedThroughputExceededException", endpoint.SecretsManager: "ThrottlingException",
	} {
		w := httptest.NewRecorder()
		endpoint.Throttle(service, w)
		if w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", service, w.Code, w.Body)
		}
	}
}

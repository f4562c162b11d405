package warmup_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/startup"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/warmup"
)

func TestStepsRunSideBySideUntilTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var ended atomic.Int32
		takes := func(d time.Duration) func(context.Context) {
			return func(ctx context.Context) {
				select {
				case <-time.After(d):
				case <-ctx.Done():
				}
				ended.Add(1)
			}
		}
		warmup.Run(takes(2*time.Second), takes(time.Hour), takes(time.Second))
		if took := time.Since(begin); took != 3*time.Second || ended.Load() != 3 {
			t.Errorf("%d steps ended within %v", ended.Load(), took)
		}
	})
}

// A server is AWS, and counts what comes.
type server struct {
	*httptest.Server

	mu          sync.Mutex
	connections int
	methods     []string
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.methods = append(s.methods, r.Method)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNotFound) // as AWS answers what it does not know
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *server) config() aws.Config {
	variables := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": s.URL,
	}
	return startup.New(func(name string) string { return variables[name] }, time.Now, slog.New(slog.DiscardHandler)).AWS
}

func TestFirstCallFindsTheConnectionOpen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		connect, call func(aws.Config) func(context.Context)
	}{
		"queue": {
			func(c aws.Config) func(context.Context) { return queue.New(sqs.NewFromConfig(c), "q").Connect },
			func(c aws.Config) func(context.Context) {
				return func(ctx context.Context) { _ = queue.New(sqs.NewFromConfig(c), "q").Send(ctx, "{}") }
			},
		},
		"table": {
			func(c aws.Config) func(context.Context) { return store.New(dynamodb.NewFromConfig(c), "t").Connect },
			func(c aws.Config) func(context.Context) {
				return func(ctx context.Context) { _, _ = store.New(dynamodb.NewFromConfig(c), "t").Get(ctx, "1") }
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			config := s.config()
			warmup.Run(test.connect(config))
			if diff := cmp.Diff([]string{http.MethodHead}, s.methods); diff != "" {
				t.Fatalf("the warm-up sent something (-want +got):\n%s", diff)
			}
			test.call(config)(t.Context())
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.connections != 1 || len(s.methods) != 2 || s.methods[1] != http.MethodPost {
				t.Errorf("%d connections for %v", s.connections, s.methods)
			}
		})
	}
}

// TestConnectingIsTriedOnce has a server that hangs up: the first call will try
// again, init must not wait for that.
func TestConnectingIsTriedOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	config := s.config()
	for name, connect := range map[string]func(context.Context){
		"queue": queue.New(sqs.NewFromConfig(config), "q").Connect,
		"table": store.New(dynamodb.NewFromConfig(config), "t").Connect,
	} {
		before := s.opened()
		warmup.Run(connect)
		if tries := s.opened() - before; tries != 1 {
			t.Errorf("%s: %d tries", name, tries)
		}
	}
}

func (s *server) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

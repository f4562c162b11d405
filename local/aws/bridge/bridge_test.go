package bridge

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// other is an address of this machine that is not 127.0.0.1, as a bridge's is.
var other = netip.MustParseAddr("127.0.0.2")

func TestRelayPassesRequestsOnAndEndsWithItsContext(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the whole of 127.0.0.0/8")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d bytes", len(body))
	}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		relay(ctx, other, []int{port})
		close(ended)
	}()

	url := fmt.Sprintf("http://%s:%d", other, port)
	answer := post(t, url, strings.Repeat("x", 1<<20))
	if answer != "1048576 bytes" {
		t.Errorf("got %q", answer)
	}

	// The connection of that request is still open, and must not hold it up.
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the relay outlives its context")
	}
	if _, err := http.Get(url); err == nil {
		t.Error("the port is still open")
	}
}

// post tries until the relay listens.
func post(t *testing.T, url, body string) string {
	t.Helper()
	response, err := http.Post(url, "text/plain", strings.NewReader(body))
	for tries := 1; err != nil; tries++ {
		if tries == 1000 {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
		response, err = http.Post(url, "text/plain", strings.NewReader(body))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestRelayWithoutABridgeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	relayFrom(ctx, "no such device", []int{1})
}

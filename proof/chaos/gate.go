package chaos

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// A gate serves its handlers, and can be closed: then connections are refused.
type gate struct {
	*http.ServeMux
	address string // host:port

	mu      sync.Mutex
	server  *http.Server
	stopped bool
}

// newGate opens a gate with no handler yet.
func newGate() (*gate, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{ServeMux: http.NewServeMux(), address: listener.Addr().String()}
	g.open(listener)
	return g, nil
}

func (g *gate) open(listener net.Listener) {
	server := &http.Server{Handler: g, ErrorLog: log.New(io.Discard, "", 0)}
	g.server = server
	go func() { _ = server.Serve(listener) }() // until it is closed
}

// refuse ends all connections and refuses new ones for d, and until the port is free
// again.
func (g *gate) refuse(d time.Duration) {
	g.mu.Lock()
	g.server.Close()
	g.mu.Unlock()
	time.Sleep(d)
	for !g.reopen() {
		time.Sleep(50 * time.Millisecond) // somebody else has the port for now
	}
}

// reopen returns false when it must be tried again.
func (g *gate) reopen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return true
	}
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		return false
	}
	g.open(listener)
	return true
}

func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	g.server.Close()
}

package chaos

import (
	"io"
	"net"
	"sync"
	"time"
)

// A gate passes connections on, and can be closed: then they are refused.
type gate struct {
	address string // host:port, where the gate listens

	mu          sync.Mutex
	backend     string
	listener    net.Listener
	connections map[net.Conn]struct{}
	stopped     bool
}

// newGate opens a gate that has no backend yet.
func newGate() (*gate, error) {
	g := &gate{connections: map[net.Conn]struct{}{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g.address, g.listener = listener.Addr().String(), listener
	go g.accept(listener)
	return g, nil
}

func (g *gate) setBackend(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backend = address
}

func (g *gate) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // closed
		}
		go g.pass(client)
	}
}

func (g *gate) pass(client net.Conn) {
	g.mu.Lock()
	g.connections[client] = struct{}{}
	backend := g.backend
	g.mu.Unlock()
	defer func() {
		client.Close()
		g.mu.Lock()
		delete(g.connections, client)
		g.mu.Unlock()
	}()
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// refuse ends all connections and refuses new ones for d, and until the port can be
// had back.
func (g *gate) refuse(d time.Duration) {
	g.mu.Lock()
	g.listener.Close()
	for connection := range g.connections {
		connection.Close()
	}
	g.mu.Unlock()
	time.Sleep(d)
	for {
		listener, err := net.Listen("tcp", g.address)
		g.mu.Lock()
		if g.stopped {
			if err == nil {
				listener.Close()
			}
			g.mu.Unlock()
			return
		}
		if err == nil {
			g.listener = listener
			go g.accept(listener)
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		time.Sleep(50 * time.Millisecond) // somebody else has the port for now
	}
}

func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	g.listener.Close()
	for connection := range g.connections {
		connection.Close()
	}
}

// Package bridge lets Docker containers reach what listens on this machine's
// loopback, so that functions under `sam local` find the emulators.
//
// A container has a loopback of its own. It knows the machine as
// host.docker.internal: with Docker Desktop that leads to the machine's loopback,
// on Linux to the address of Docker's bridge, which nothing but this package
// listens on. (SAM CLI has an option --docker-network host; 1.170 ignores it.)
package bridge

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// device is what Docker calls its bridge.
const device = "docker0"

// lookAgain is how often Relay looks whether Docker has been started.
const lookAgain = 2 * time.Second

// Relay passes connections from Docker's bridge on to the same ports of
// 127.0.0.1 until ctx ends. Containers of this machine can connect, other
// machines cannot. While there is no bridge it waits for one. A port that
// something else has on the bridge is left alone.
func Relay(ctx context.Context, ports ...int) {
	relayFrom(ctx, device, ports)
}

func relayFrom(ctx context.Context, device string, ports []int) {
	for {
		if address, ok := addressOf(device); ok {
			relay(ctx, address, ports)
			return
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return
		}
	}
}

// addressOf returns the IPv4 address of a network device.
func addressOf(device string) (netip.Addr, bool) {
	found, err := net.InterfaceByName(device)
	if err != nil {
		return netip.Addr{}, false
	}
	addresses, err := found.Addrs()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().Is4() {
			return prefix.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// relay serves the ports of an address until ctx ends.
func relay(ctx context.Context, address netip.Addr, ports []int) {
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, port := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), strconv.Itoa(port)))
		if err != nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { listener.Close() })
		wait.Go(func() {
			defer stop()
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				wait.Go(func() { pass(ctx, connection, port) })
			}
		})
	}
}

// pass copies between a connection and a port of 127.0.0.1, both ways, until
// both have ended or ctx has.
func pass(ctx context.Context, from net.Conn, port int) {
	defer from.Close()
	to, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer to.Close()
	defer context.AfterFunc(ctx, func() { from.Close(); to.Close() })()
	var wait sync.WaitGroup
	wait.Go(func() { send(from, to) })
	wait.Go(func() { send(to, from) })
	wait.Wait()
}

// send copies until from ends, and says so to the other side. What breaks one
// side ends both.
func send(from, to net.Conn) {
	if _, err := io.Copy(to, from); err != nil {
		from.Close()
		to.Close()
	} else if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

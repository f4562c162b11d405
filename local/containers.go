package main

import (
	"context"
	"net"
	"net/netip"
	"time"

	"veryfi-intake/local/stack"
)

const (
	// dockerBridge is Docker's name for its bridge.
	dockerBridge = "docker0"
	// bridgePoll is the time between two looks whether Docker was started.
	bridgePoll = 2 * time.Second
)

// serveContainers has the stack listen on Docker's bridge, too, so that functions under
// `sam local` find it: containers of this machine can connect, other machines cannot.
// It waits for the bridge until ctx ends.
//
// A container has a loopback of its own. It knows the machine as host.docker.internal:
// with Docker Desktop that leads to the machine's loopback, on Linux to the bridge. (SAM
// CLI has an option --docker-network host; 1.170 ignores it.)
func serveContainers(ctx context.Context, s *stack.Stack, bridge string) {
	for {
		if address, ok := addressOf(bridge); ok {
			s.ListenToo(address)
			return
		}
		select {
		case <-time.After(bridgePoll):
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

package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/machine"
	"veryfi-intake/local/standin"
)

// start starts all parts; Stop undoes what it has done when it fails.
func (s *Stack) start(ctx context.Context) error {
	front, err := s.listen(s.options.WebhookPort, "webhook")
	if err != nil {
		return err
	}
	services, err := s.listen(s.options.AWSPort, "AWS endpoint")
	if err != nil {
		return err
	}
	if err := s.startVeryfi(); err != nil { //nolint:contextcheck // what is submitted comes later
		return err
	}
	s.AWSURL = "http://" + services.Addr().String()
	s.QueueURL = s.AWSURL + "/" + account + "/" + documentQueue
	s.DeadLetterQueueURL = s.AWSURL + "/" + account + "/" + deadLetterQueue
	s.TableName = documentTable
	if s.template, err = template.Read(filepath.Join(s.options.Root, "template.yaml"), s.options.Parameters); err != nil {
		return err
	}
	if err := s.template.Check(); err != nil {
		return err
	}
	queues := map[string]template.Queue{}
	for _, id := range []string{documentQueue, deadLetterQueue} {
		if queues[id], err = s.template.Queue(id); err != nil {
			return err
		}
	}
	if err := s.readFunctions(front.Addr().String()); err != nil {
		return err
	}
	started, err := s.startParts(ctx, queues)
	if err != nil {
		return err
	}
	if err := s.startAWS(services, started); err != nil {
		return err
	}
	if err := s.createTable(ctx); err != nil {
		return err
	}
	s.startFunctions(front, started.binaries) //nolint:contextcheck // the poller ends with Stop
	s.watchQueues()                           //nolint:contextcheck // ends with Stop
	return nil
}

// parts is what takes time to start.
type parts struct {
	dynamodb, elasticmq *machine.Emulator
	binaries            string // the folder of the functions' binaries
}

// startParts builds the functions and starts the emulators, side by side. The first
// failure ends the others.
func (s *Stack) startParts(ctx context.Context, queues map[string]template.Queue) (parts, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	started := func(err error, stop func()) {
		if err != nil {
			cancel(err)
			return
		}
		s.onStop(stop)
	}
	options := machine.Options{Directory: filepath.Join(s.options.Root, ".tools", "emulators"), Progress: s.options.Progress}
	var p parts
	var group sync.WaitGroup
	group.Go(func() {
		var err error
		p.dynamodb, err = machine.StartDynamoDB(ctx, options)
		started(err, p.dynamodb.Stop)
	})
	group.Go(func() {
		var err error
		p.elasticmq, err = machine.StartElasticMQ(ctx, queues, options)
		started(err, p.elasticmq.Stop)
	})
	group.Go(func() {
		var err error
		p.binaries, err = machine.Build(ctx, s.options.Root, webhookFunction, processorFunction, reconcilerFunction)
		started(err, func() { os.RemoveAll(p.binaries) })
	})
	group.Wait()
	return p, context.Cause(ctx)
}

// listen opens a port of 127.0.0.1 and closes it when the stack stops.
func (s *Stack) listen(port int, purpose string) (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &PortInUseError{Port: port, Purpose: purpose}
	case err != nil:
		return nil, fmt.Errorf("listen for the %s: %w", purpose, err)
	}
	s.onStop(func() { listener.Close() })
	return listener, nil
}

// serve answers requests until the stack stops.
func (s *Stack) serve(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{Addr: listener.Addr().String(), Handler: handler}
	go func() { _ = server.Serve(listener) }()
	s.onStop(func() { server.Close() })
	return server
}

// ListenToo has the AWS endpoint and the stand-in for Veryfi listen at another address
// of this machine as well, at the same ports, until the stack stops. A port that
// something else has there is left alone.
func (s *Stack) ListenToo(address netip.Addr) {
	for _, server := range s.services {
		port := netip.MustParseAddrPort(server.Addr).Port()
		listener, err := net.Listen("tcp", netip.AddrPortFrom(address, port).String())
		if err == nil {
			go func() { _ = server.Serve(listener) }()
		}
	}
}

// startVeryfi starts the stand-in, which calls the webhook for what is submitted to it.
func (s *Stack) startVeryfi() error {
	if s.VeryfiURL = s.options.VeryfiBaseURL; s.VeryfiURL != "" {
		return nil
	}
	listener, err := s.listen(s.options.VeryfiPort, "stand-in for Veryfi")
	if err != nil {
		return err
	}
	s.VeryfiURL = "http://" + listener.Addr().String()
	s.Veryfi = standin.New(s.options.Credentials)
	ctx, cancel := context.WithCancel(context.Background())
	s.onStop(cancel)
	sender := standin.NewSender(time.Second)
	s.Veryfi.OnReady(func(webhook webhook.Webhook) { sender.Deliver(ctx, s.WebhookURL, webhook) })
	s.services = append(s.services, s.serve(listener, s.Veryfi))
	return nil
}

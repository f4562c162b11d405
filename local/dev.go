package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"veryfi-intake/deployment/console"
	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/command"
	"veryfi-intake/local/stack"
	"veryfi-intake/shared/veryfi"
)

type devCommand struct {
	WebhookPort int `default:"8080" placeholder:"N" help:"The port that takes webhooks (${default})."`
	AWSPort     int `default:"8081" placeholder:"N" help:"The port of all AWS services (${default})."`
	VeryfiPort  int `default:"8082" placeholder:"N" help:"The port of the stand-in for Veryfi (${default})."`

	MoreKinds      string `env:"MORE_KINDS" placeholder:"PREFIX=RESOURCE,..." help:"The parameter MoreKinds."`
	ReconcileKinds string `env:"RECONCILE_KINDS" default:"document" placeholder:"KIND,..." help:"The parameter ReconcileKinds (${default})."`
}

// Run runs the stack until its context ends and shows what the functions log. With
// real credentials in the environment it retrieves from the real Veryfi.
func (c devCommand) Run(run *command.Run) error {
	credentials, isReal, err := stack.CredentialsFrom(os.Getenv)
	if err != nil {
		return err
	}
	options := stack.Options{WebhookPort: c.WebhookPort, AWSPort: c.AWSPort, VeryfiPort: c.VeryfiPort, Log: run.Out.Log}
	options.Parameters = map[string]string{"MoreKinds": c.MoreKinds, "ReconcileKinds": c.ReconcileKinds}
	shownSecret := mask(credentials.ClientSecret)
	if isReal {
		options.VeryfiBaseURL = cmp.Or(os.Getenv("VERYFI_BASE_URL"), veryfi.DefaultBaseURL)
	} else {
		if credentials, err = stack.SampleCredentials(run.Root); err != nil {
			return err
		}
		shownSecret = credentials.ClientSecret
	}
	options.Credentials = credentials

	start := time.Now()
	s, err := startStack(run, options)
	if err != nil {
		return explain(err)
	}
	defer s.Stop()
	run.Out.Good("the stack is up after %.1f s; Ctrl-C stops it", time.Since(start).Seconds())
	if !isReal {
		s.Veryfi.Synthesize()
		// `sam local` uses the sample credentials; real ones stay on the loopback.
		go serveContainers(run, s, "docker0")
	}
	if err := introduce(s, credentials.ClientSecret, shownSecret, run.Out); err != nil {
		return err
	}
	<-run.Done()
	return nil
}

// explain adds to an error about a port the flag that chooses another.
func explain(err error) error {
	var inUse *stack.PortInUseError
	if !errors.As(err, &inUse) {
		return err
	}
	flags := map[string]string{"webhook": "--webhook-port", "AWS endpoint": "--aws-port", "stand-in for Veryfi": "--veryfi-port"}
	return fmt.Errorf("%w: end the program that has it (`lsof -i :%d` shows it), or choose another port with `go run ./local dev %s N`", err, inUse.Port, flags[inUse.Purpose])
}

// mask shows the end of a secret only.
func mask(secret string) string {
	const shown = 4
	if len(secret) <= 2*shown {
		return "****"
	}
	return "****" + secret[len(secret)-shown:]
}

// introduce prints how to use the stack.
func introduce(s *stack.Stack, clientSecret, shownSecret string, out *console.Console) error {
	webhook, err := webhook.Sign("document.created", `{"id": 123456789, "created": "2026-02-03 09:15:27"}`, clientSecret)
	if err != nil {
		return err
	}
	out.Field("webhook", s.WebhookURL)
	out.Field("client secret", shownSecret)
	out.Field("Veryfi", s.VeryfiURL)
	out.Field("AWS endpoint", s.AWSURL)
	out.Line("\nDeliver a webhook:")
	out.Line("curl -i %s -H 'content-type: application/json' -H 'x-veryfi-signature: %s' -d '%s'", s.WebhookURL, webhook.Signature, webhook.Body())
	out.Line("\nList the rows:")
	out.Line("AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local aws dynamodb scan --region us-east-1 --endpoint-url %s --table-name %s --query 'Items[].[id.S, status.S, error.S]' --output table", s.AWSURL, s.TableName)
	out.Line("\nThe operator's command works here, too:")
	out.Line("AWS_ENDPOINT_URL=%s go run ./cmd/intake doctor --local\n", s.AWSURL)
	return nil
}

// bridgePoll is the time between two looks whether Docker was started.
const bridgePoll = 2 * time.Second

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
	addresses, _ := found.Addrs() // none with an error
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Addr().Is4() {
			return prefix.Addr(), true
		}
	}
	return netip.Addr{}, false
}

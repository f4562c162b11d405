package main

import (
	"time"

	"veryfi-intake/deployment/console"
	"veryfi-intake/local/aws/bridge"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/veryfi"
)

type devCommand struct {
	WebhookPort int `default:"8080" placeholder:"N" help:"The port that takes webhooks (${default})."`
	AWSPort     int `default:"8081" placeholder:"N" help:"The port of all AWS services (${default})."`
	VeryfiPort  int `default:"8082" placeholder:"N" help:"The port of the stand-in for Veryfi (${default})."`
}

// Run runs the stack until its context ends and shows what the functions log. With
// real credentials in the environment it retrieves from the real Veryfi.
func (c devCommand) Run(a *app) error {
	out := a.out
	options := stack.Options{
		Root:        a.root,
		WebhookPort: c.WebhookPort,
		AWSPort:     c.AWSPort,
		VeryfiPort:  c.VeryfiPort,
		Log:         out.Log,
		Progress:    func(what string) { out.Step("%s", what) },
	}
	credentials, isReal, err := realCredentials(a.getenv)
	if err != nil {
		return err
	}
	if isReal {
		if options.VeryfiBaseURL = a.getenv("VERYFI_BASE_URL"); options.VeryfiBaseURL == "" {
			options.VeryfiBaseURL = veryfi.DefaultBaseURL
		}
	} else if credentials, err = stack.SampleCredentials(a.root); err != nil {
		return err
	}
	options.Credentials = credentials

	start := time.Now()
	out.Step("building the functions and starting the emulators")
	s, err := stack.Start(a, options)
	if err != nil {
		return explain(err)
	}
	defer s.Stop()
	out.Good("the stack is up after %.1f s; Ctrl-C stops it", time.Since(start).Seconds())
	shownSecret := mask(credentials.ClientSecret)
	if s.Veryfi != nil {
		s.Veryfi.Synthesize()
		shownSecret = credentials.ClientSecret
	}
	if err := introduce(s, credentials.ClientSecret, shownSecret, out); err != nil {
		return err
	}
	if !isReal { // `sam local` uses the sample credentials; real ones stay on the loopback
		go bridge.Relay(a, c.AWSPort, c.VeryfiPort)
	}
	<-a.Done()
	return nil
}

// introduce says how to use the stack.
func introduce(s *stack.Stack, clientSecret, shownSecret string, out *console.Console) error {
	const data = `{"id": 123456789, "created": "2026-02-03 09:15:27"}`
	webhook, err := standin.Sign("document.created", data, clientSecret)
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

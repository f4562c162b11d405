package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/deployment/webhook"
)

type replayCommand struct {
	File string `arg:"" type:"existingfile" help:"A webhook's body, {\"event\": …, \"data\": …}, or an event of API Gateway with one, as in events/; - for the standard input."`
	URL  string `placeholder:"URL" help:"Where to send it, if not to the stack's webhook."`
}

func (replayCommand) Help() string {
	return `Signs the data with the stack's client secret, so that the webhook takes it for Veryfi's. A replay of a document that is stored changes nothing.`
}

// Run sends the webhook once. It looks at the file before it looks for the stack.
func (c replayCommand) Run(a *app) error {
	call, err := c.read(a)
	if err != nil {
		return err
	}
	s, err := a.stack()
	if err != nil {
		return err
	}
	clientSecret, err := s.ClientSecret(a)
	if err != nil {
		return err
	}
	if call, err = webhook.Sign(call.Event, call.Data, clientSecret); err != nil {
		return err
	}
	answer, err := s.Post(a, c.URL, call)
	if err != nil {
		return err
	}
	took := answer.Took.Milliseconds()
	err = a.tell(map[string]any{"event": call.Event, "status": answer.Status, "took_ms": took}, fmt.Sprintf("%s was answered with %d after %d ms.", call.Event, answer.Status, took))
	if err == nil && answer.Status != http.StatusOK {
		return errors.New("the webhook did not take it: `intake doctor` looks for the reason")
	}
	return err
}

// read reads a body, or the body of API Gateway's event.
func (c replayCommand) read(a *app) (webhook.Webhook, error) {
	path := c.File
	text, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if path == "-" {
		path = "the standard input"
		text, err = io.ReadAll(io.LimitReader(a.in, 1<<20))
	}
	if err != nil {
		return webhook.Webhook{}, err
	}
	var gateway events.APIGatewayV2HTTPRequest
	if json.Unmarshal(text, &gateway) == nil && gateway.Body != "" {
		text = []byte(gateway.Body)
		if gateway.IsBase64Encoded {
			if text, err = base64.StdEncoding.DecodeString(gateway.Body); err != nil {
				return webhook.Webhook{}, fmt.Errorf("the body in %s is not base64, as it is said to be", path)
			}
		}
	}
	var body struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	}
	if json.Unmarshal(text, &body) != nil || body.Event == "" || body.Data == nil || string(body.Data) == "null" {
		return webhook.Webhook{}, errors.New(path + ` is not a webhook: it needs {"event": "document.created", "data": {…}}`)
	}
	return webhook.Webhook{Event: body.Event, Data: string(body.Data)}, nil
}

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/deployment/webhook"
)

type replayCommand struct {
	File string `arg:"" type:"existingfile" help:"A webhook's body, {\"event\": …, \"data\": …}, or an event of API Gateway with one, as in events/; - for the standard input."`
	URL  string `placeholder:"URL" help:"Where to send it, if not to the stack's webhook."`
}

// Help is shown by --help.
func (replayCommand) Help() string {
	return `Signs the data with the stack's client secret, so that the webhook takes it for Veryfi's. A replay of a document that is stored changes nothing.`
}

// Run sends the webhook once.
func (c replayCommand) Run(a *app) error {
	call, err := c.read(a)
	if err != nil {
		return err
	}
	d, err := a.deployment()
	if err != nil {
		return err
	}
	known, err := d.credentials(a)
	if err == nil {
		err = known.Verifies()
	}
	if err != nil {
		return notFilled(err)
	}
	if call, err = webhook.Sign(call.Event, call.Data, known.ClientSecret); err != nil {
		return err
	}
	if c.URL == "" {
		c.URL = d.outputs[webhookURL]
	}
	answer := webhook.NewSender(time.Now).Post(a, c.URL, call)
	if answer.Err != nil {
		return fmt.Errorf("%s does not answer: %w", c.URL, answer.Err)
	}
	if a.JSON {
		err = a.printJSON(map[string]any{"event": call.Event, "status": answer.Status, "took_ms": answer.Took.Milliseconds()})
	} else {
		a.say("%s was answered with %d after %d ms.", call.Event, answer.Status, answer.Took.Milliseconds())
	}
	if err == nil && answer.Status != http.StatusOK {
		return fmt.Errorf("the webhook did not take it: `intake doctor` looks for the reason")
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
		return webhook.Webhook{}, errors.New(path + ` is no webhook: it needs {"event": "document.created", "data": {…}}`)
	}
	return webhook.Webhook{Event: body.Event, Data: string(body.Data)}, nil
}

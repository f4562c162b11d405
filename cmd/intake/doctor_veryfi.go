package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/secret"
)

// The way between Veryfi and the stack: the credentials, and the webhook.

const fill = "`intake secret set` asks for the four values of Veryfi's Settings > Keys"

func (d doctor) secret() ([]finding, error) {
	known, err := d.credentials(d)
	switch {
	case errors.Is(err, secret.ErrForm):
		return wrong("%v: %s, and writes them so", secret.ErrForm, fill), nil
	case err != nil:
		return nil, err
	case known == secret.Credentials{}:
		return wrong("it is not filled: %s", fill), nil
	case known.ClientSecret == "":
		return wrong("it has no client_secret, so that every webhook is answered 503: %s", fill), nil
	case !retrieves(known):
		return wrong("it lacks client_id, api_key or username, so that no document can be retrieved: %s", fill), nil
	}
	return fine("filled"), nil
}

func (d doctor) asksVeryfi() ([]finding, error) {
	known, err := d.credentials(d)
	if err != nil && !errors.Is(err, secret.ErrForm) {
		return nil, err
	}
	if !retrieves(known) {
		return wrong("it cannot be asked before the secret is filled"), nil
	}
	switch err := d.accepts(d, known); {
	case errors.Is(err, errRefused):
		return wrong("%v, and put the right ones in with `intake secret set`", err), nil
	case failure.ClassOf(err) == failure.Throttled:
		return wrong("%v. See what else uses the same Veryfi account; documents come later", err), nil
	case slices.Contains([]failure.Class{failure.NotFound, failure.Unexpected, failure.Refused}, failure.ClassOf(err)):
		return wrong("%v. Is the parameter VeryfiBaseUrl right? It is %s", err, d.veryfiURL()), nil
	case err != nil:
		return wrong("%v: it may be down; documents wait until it is back", err), nil
	default:
		return fine("it accepts the credentials"), nil
	}
}

func retrieves(c secret.Credentials) bool { return c.Retrieves() == nil }

// probeTimeout bounds a request to the webhook.
const probeTimeout = 15 * time.Second

func (d doctor) webhookAnswers() ([]finding, error) {
	ctx, cancel := context.WithTimeout(d, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.outputs[webhookURL], http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return wrong("%s does not answer: %v. Look at the log of the HTTP API, and deploy again", d.outputs[webhookURL], err), nil
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusOK {
		return wrong("%s answers %d: `intake tail` shows why; after a deployment, roll back", d.outputs[webhookURL], resp.StatusCode), nil
	}
	return fine("%s answers", d.outputs[webhookURL]), nil
}

func (d doctor) webhookRefuses() ([]finding, error) {
	// It would be answered 503, and that makes an alarm ring.
	if known, err := d.credentials(d); errors.Is(err, secret.ErrForm) || err == nil && known.Verifies() != nil {
		return wrong("it cannot be tried before the secret is filled"), nil
	}
	ctx, cancel := context.WithTimeout(d, probeTimeout)
	defer cancel()
	forged := make([]byte, 32)
	_, _ = rand.Read(forged) // it never fails
	probe := webhook.Webhook{Event: event.Probe, Data: `{"id": 1}`, Signature: base64.StdEncoding.EncodeToString(forged)}
	answer := webhook.NewSender(time.Now).Post(ctx, d.outputs[webhookURL], probe)
	switch {
	case answer.Err != nil:
		return wrong("the webhook does not answer: %v", answer.Err), nil
	case answer.Status == http.StatusUnauthorized:
		return fine("a forged request is refused"), nil
	case answer.Status == http.StatusServiceUnavailable:
		return wrong("the webhook answers 503: it cannot read the secret. `intake tail` shows what is in the way"), nil
	case answer.Status < http.StatusBadRequest:
		return wrong("a FORGED request was answered with %d: something else than this version's webhook is behind the URL. Take the URL out of Veryfi's portal, and deploy again", answer.Status), nil
	}
	return wrong("a forged request was answered with %d, not with 401: `intake tail` shows why", answer.Status), nil
}

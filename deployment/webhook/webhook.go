// Package webhook makes and sends webhooks as Veryfi does: signed, and with Veryfi's
// patience for the answer.
package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"veryfi-intake/shared/signature"
)

// Veryfi's time limits, from its FAQ.
const (
	connectTimeout = 3 * time.Second
	answerTimeout  = 20 * time.Second
)

// A Webhook is what is sent. The signature covers Data only, so another field can be
// changed after [Sign].
type Webhook struct {
	Event string
	// Data is JSON text.
	Data string
	// Signature is the header x-veryfi-signature, which "" leaves out.
	Signature string
}

// Sign returns a webhook with Veryfi's signature.
func Sign(event, data, clientSecret string) (Webhook, error) {
	text, err := signature.Sign([]byte(data), clientSecret)
	if err != nil {
		return Webhook{}, fmt.Errorf("sign the webhook %s: %w", event, err)
	}
	return Webhook{Event: event, Data: data, Signature: text}, nil
}

// Body is the JSON that is sent.
func (w Webhook) Body() string {
	event, err := json.Marshal(w.Event)
	if err != nil {
		panic(err) // a string
	}
	return fmt.Sprintf(`{"event": %s, "data": %s}`, event, w.Data)
}

// An Answer is what the receiver said to one webhook. Status is 0 when it did not
// answer in time or at all, and Err says why.
type Answer struct {
	Status int
	Body   string
	Took   time.Duration
	Err    error
}

// Accepted reports whether Veryfi takes the answer for a success.
func (a Answer) Accepted() bool { return a.Status != 0 && a.Status < 400 }

// A Sender waits for an answer as long as Veryfi does.
type Sender struct {
	client *http.Client
	now    func() time.Time
}

// NewSender returns a sender with this clock.
func NewSender(now func() time.Time) *Sender {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: connectTimeout}).DialContext}
	return &Sender{&http.Client{Transport: transport, Timeout: connectTimeout + answerTimeout}, now}
}

// Post sends a webhook to url, once.
func (s *Sender) Post(ctx context.Context, url string, w Webhook) Answer {
	start := s.now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(w.Body()))
	if err != nil {
		return Answer{Err: err}
	}
	request.Header.Set("Content-Type", "application/json")
	if w.Signature != "" {
		request.Header.Set("X-Veryfi-Signature", w.Signature)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return Answer{Took: s.now().Sub(start), Err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return Answer{Status: response.StatusCode, Body: string(body), Took: s.now().Sub(start), Err: err}
}

package standin

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

const (
	// attempts is how often Veryfi delivers a webhook that is not accepted.
	attempts = 3
	// connectTimeout and answerTimeout are Veryfi's, from its FAQ.
	connectTimeout = 3 * time.Second
	answerTimeout  = 20 * time.Second
)

// A Webhook is what is delivered. A test forges one by changing a field: only
// Data is under the signature.
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

// An Answer is what the receiver said to one delivery; Status is 0 when it did
// not answer in time or at all, and Err says why.
type Answer struct {
	Status int
	Body   string
	Took   time.Duration
	Err    error
}

// Accepted reports whether Veryfi takes the answer for a success.
func (a Answer) Accepted() bool { return a.Status != 0 && a.Status < 400 }

// A Sender delivers webhooks as Veryfi does: at most three times, until one is
// accepted.
type Sender struct {
	client *http.Client
	wait   time.Duration
}

// NewSender returns a sender that waits that long before the second delivery
// and twice as long before the third. How long Veryfi waits is not known.
func NewSender(wait time.Duration) *Sender {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: connectTimeout}).DialContext}
	return &Sender{client: &http.Client{Transport: transport, Timeout: connectTimeout + answerTimeout}, wait: wait}
}

// Deliver sends the webhook to url and returns the answers, one per attempt.
func (s *Sender) Deliver(ctx context.Context, url string, webhook Webhook) []Answer {
	var answers []Answer
	for wait := s.wait; ; wait *= 2 {
		answer := s.Post(ctx, url, webhook)
		answers = append(answers, answer)
		if answer.Accepted() || len(answers) == attempts {
			return answers
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answers
		}
	}
}

// Post sends the webhook once.
func (s *Sender) Post(ctx context.Context, url string, webhook Webhook) Answer {
	start := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(webhook.Body()))
	if err != nil {
		return Answer{Err: err}
	}
	request.Header.Set("Content-Type", "application/json")
	if webhook.Signature != "" {
		request.Header.Set("X-Veryfi-Signature", webhook.Signature)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return Answer{Took: time.Since(start), Err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return Answer{Status: response.StatusCode, Body: string(body), Took: time.Since(start), Err: err}
}

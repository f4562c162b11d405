package standin

import (
	"context"
	"time"

	"veryfi-intake/deployment/webhook"
)

// attempts is how often Veryfi delivers a webhook that is not accepted.
const attempts = 3

// A Sender delivers webhooks as Veryfi does: at most three times, until one is
// accepted.
type Sender struct {
	*webhook.Sender
	wait time.Duration
}

// NewSender returns a sender that waits that long before the second delivery
// and twice as long before the third. How long Veryfi waits is not known.
func NewSender(wait time.Duration) *Sender {
	return &Sender{webhook.NewSender(time.Now), wait}
}

// Deliver sends the webhook to url and returns the answers, one per attempt.
func (s *Sender) Deliver(ctx context.Context, url string, w webhook.Webhook) []webhook.Answer {
	var answers []webhook.Answer
	for wait := s.wait; ; wait *= 2 {
		answer := s.Post(ctx, url, w)
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

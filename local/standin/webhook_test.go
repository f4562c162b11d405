package standin

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"veryfi-intake/deployment/webhook"
)

func TestWebhookIsDeliveredUntilAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statuses []int // of the receiver, the last one forever
		want     int   // attempts
	}{
		"accepted":        {[]int{200}, 1},
		"redirect counts": {[]int{304}, 1},
		"second time":     {[]int{503, 200}, 2},
		"never":           {[]int{401}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.statuses[min(calls, len(test.statuses)-1)])
				calls++
			}))
			defer server.Close()
			answers := NewSender(time.Millisecond).Deliver(t.Context(), server.URL, webhook.Webhook{Event: "x", Data: "{}"})
			if len(answers) != test.want {
				t.Errorf("%d attempts, want %d", len(answers), test.want)
			}
		})
	}
}

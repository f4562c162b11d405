package standin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWebhookIsDeliveredUntilAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statuses []int // of the receiver, the last one for ever
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
			answers := NewSender(time.Millisecond).Deliver(t.Context(), server.URL, Webhook{Event: "x", Data: "{}"})
			if len(answers) != test.want {
				t.Errorf("%d attempts, want %d", len(answers), test.want)
			}
		})
	}
}

func TestWebhookIsSignedAsVeryfiSigns(t *testing.T) {
	t.Parallel()
	var body, header string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		body, header = string(content), r.Header.Get("X-Veryfi-Signature")
	}))
	defer server.Close()
	webhook, err := Sign("document.created", `{"id": 1, "created": "2026-01-01 00:00:00"}`, "secret")
	if err != nil {
		t.Fatal(err)
	}
	NewSender(0).Deliver(t.Context(), server.URL, webhook)
	if want := `{"event": "document.created", "data": {"id": 1, "created": "2026-01-01 00:00:00"}}`; body != want {
		t.Errorf("body is %s", body)
	}
	if header == "" || header != webhook.Signature {
		t.Errorf("signature is %q", header)
	}
}

func TestNoSignatureIsNoHeader(t *testing.T) {
	t.Parallel()
	has := false
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, has = r.Header["X-Veryfi-Signature"]
	}))
	defer server.Close()
	NewSender(0).Post(t.Context(), server.URL, Webhook{Event: "subscription", Data: "{}"})
	if has {
		t.Error("the header is there")
	}
}

func TestReceiverThatIsNotThereIsAnAnswerWithAnError(t *testing.T) {
	t.Parallel()
	answer := NewSender(0).Post(t.Context(), "http://127.0.0.1:1/", Webhook{Event: "x", Data: "{}"})
	if answer.Accepted() || answer.Err == nil {
		t.Errorf("got %+v", answer)
	}
}

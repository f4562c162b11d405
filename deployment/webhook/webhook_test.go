package webhook

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestWebhookIsSentAsVeryfiSendsIt(t *testing.T) {
	t.Parallel()
	var body string
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		body, header = string(content), r.Header
	}))
	defer server.Close()
	signed, err := Sign("document.created", `{"id": 1, "created": "2026-01-01 00:00:00"}`, "secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []Webhook{signed, {Event: "subscription", Data: "{}"}} {
		if answer := NewSender(time.Now).Post(t.Context(), server.URL, w); !answer.Accepted() || answer.Err != nil {
			t.Errorf("got %+v", answer)
		}
		if want := `{"event": "` + w.Event + `", "data": ` + w.Data + `}`; body != want {
			t.Errorf("body is %s", body)
		}
		if _, has := header["X-Veryfi-Signature"]; has != (w.Signature != "") || header.Get("X-Veryfi-Signature") != w.Signature {
			t.Errorf("header is %v, signature %q", header, w.Signature)
		}
	}
	if signed.Signature == "" {
		t.Error("no signature")
	}
}

func TestReceiverThatIsNotThereIsAnAnswerWithAnError(t *testing.T) {
	t.Parallel()
	answer := NewSender(time.Now).Post(t.Context(), "http://127.0.0.1:1/", Webhook{Event: "x", Data: "{}"})
	if answer.Accepted() || answer.Err == nil {
		t.Errorf("got %+v", answer)
	}
}

package standin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"veryfi-intake/deployment/webhook"
)

// ask answers a request with good credentials, in this process.
func ask(t *testing.T, s *Server, method, path, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://veryfi/api/v8/partner/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Client-Id", "id")
	r.Header.Set("Authorization", "apikey user:key")
	resp, err := s.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestWebhookAnnouncesWhatIsSubmitted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, body, event string }{
		{"documents/", `{"async": true, "file_url": "https://example.com/a.jpg"}`, "document.created"},
		{"documents", `{"async": true, "file_data": "AAAA", "file_name": "unreadable.jpg"}`, "document.failed"},
		{"bank-statements/async", `{"file_url": "https://example.com/a.pdf"}`, "bank_statement.created"},
		{"checks/async/", `{"file_urls": ["https://example.com/a.jpg"], "file_url": null}`, "check.created"},
		{"checks/async", `{"file_urls": ["https://example.com/unreadable.jpg"]}`, "check.failed"},
		{"w2s/async", `{"file_data": "AAAA", "file_name": "a.jpg"}`, "w2.created"},
		{"any-documents/async", `{"file_data": "AAAA", "blueprint_name": "delivery_note"}`, "anydocument.created"},
		{"contracts/async", `{"file_data": "AAAA"}`, "contract.created"},
		{"parse/async", `{"file_data": "AAAA"}`, "parse.created"},
	} {
		t.Run(test.event, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := New(sampleCredentials)
				announced := make(chan webhook.Webhook, 1)
				s.OnReady(func(w webhook.Webhook) { announced <- w })
				status, answer := ask(t, s, http.MethodPost, test.path, test.body)
				if status != http.StatusCreated || answer != `{"id": 700000001}` {
					t.Fatalf("answer %d %s", status, answer)
				}
				if w := <-announced; w.Event != test.event || !strings.HasPrefix(w.Data, `{"id": 700000001, "created": "`) {
					t.Errorf("announced as %s %s", w.Event, w.Data)
				}
				want := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[strings.HasSuffix(test.event, ".created")]
				kind, _, _ := strings.Cut(test.path, "/")
				if status, _ := ask(t, s, http.MethodGet, kind+"/700000001/", ""); status != want {
					t.Errorf("it is served with %d, not %d", status, want)
				}
			})
		})
	}
}

func TestSynchronousSubmissionAnswersTheDocument(t *testing.T) {
	t.Parallel()
	s := New(sampleCredentials)
	s.OnReady(func(w webhook.Webhook) { t.Errorf("%s is announced", w.Event) })
	for i, kind := range []Kind{Documents, BankStatements, Checks, W2s, AnyDocuments, "contracts"} {
		status, answer := ask(t, s, http.MethodPost, string(kind)+"/", `{"file_data": "AAAA", "external_id": "mine", "blueprint_name": "delivery_note"}`)
		if status != http.StatusCreated || !strings.HasPrefix(answer, fmt.Sprintf(`{"id":%d,`, firstSubmitted+i)) || strings.Count(answer, `"external_id":"mine"`) != 1 {
			t.Errorf("%s: %d %s", kind, status, answer)
		}
		if _, served := ask(t, s, http.MethodGet, fmt.Sprintf("%s/%d/", kind, firstSubmitted+i), ""); served != answer {
			t.Errorf("%s: served as %s", kind, served)
		}
	}
	if _, answer := ask(t, s, http.MethodPost, "checks", `{"file_data": "AAAA", "auto_delete": true}`); !strings.HasPrefix(answer, `{"id":700000007,`) {
		t.Errorf("answer %s", answer)
	}
	if status, _ := ask(t, s, http.MethodGet, "checks/700000007/", ""); status != http.StatusNotFound {
		t.Errorf("with auto_delete it is served with %d", status)
	}
}

func TestWhatVeryfiDoesNotHaveIsRefused(t *testing.T) {
	t.Parallel()
	s := New(sampleCredentials)
	s.Put(Checks, 7, Check(7))
	for _, test := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, "checks", `{}`, 400},
		{http.MethodPost, "checks", `no JSON`, 400},
		{http.MethodPost, "checks", `{"file_data": "AAAA", "file_url": "https://example.com/a.jpg"}`, 400},
		{http.MethodPost, "checks", `{"file_data": "AAAA", "file_name": "unreadable.jpg"}`, 400},
		{http.MethodPost, "any-documents/async", `{"file_data": "AAAA"}`, 400},
		{http.MethodPost, "documents/async", `{"file_data": "AAAA"}`, 404},
		{http.MethodPost, "w2s-set", `{"file_data": "AAAA"}`, 404},
		{http.MethodGet, "checks/async", "", 404},
		{http.MethodGet, "checks/7/tags", "", 404},
		{http.MethodGet, "w2s/7/", "", 404},
		{http.MethodPut, "checks/7/", `{"memo": ""}`, 405},
		{http.MethodDelete, "w2s/7/", "", 404},
		{http.MethodDelete, "checks/7/", "", 200},
		{http.MethodDelete, "checks/7/", "", 404},
		{http.MethodGet, "checks/7/", "", 404},
	} {
		if status, answer := ask(t, s, test.method, test.path, test.body); status != test.want || !json.Valid([]byte(answer)) {
			t.Errorf("%s %s %s: %d %s, not %d", test.method, test.path, test.body, status, answer, test.want)
		}
	}
}

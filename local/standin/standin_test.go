package standin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"veryfi-intake/shared/secret"
)

var sampleCredentials = secret.Credentials{ClientID: "id", ClientSecret: "secret", Username: "user", APIKey: "key"}

func serve(t *testing.T) (*Server, string) {
	t.Helper()
	s := New(sampleCredentials)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// get asks with good credentials and follows no redirect.
func get(t *testing.T, url string, change func(*http.Request)) (int, http.Header, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("CLIENT-ID", "id")
	request.Header.Set("AUTHORIZATION", "apikey user:key")
	if change != nil {
		change(request)
	}
	client := http.Client{Timeout: 300 * time.Millisecond, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, string(body), err
}

func TestDocumentIsServedByteForByte(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	s.Put(Documents, 7, []byte(`{"id": 7, "total": 12.10}`))
	s.Put(BankStatements, 7, []byte(`{"id":7}`))
	s.Put(Kind("contracts"), 7, []byte(`{"id":  7}`))
	for path, want := range map[string]string{
		"/api/v8/partner/documents/7/":       `{"id": 7, "total": 12.10}`,
		"/api/v8/partner/bank-statements/7/": `{"id":7}`,
		"/api/v8/partner/contracts/7/":       `{"id":  7}`,
	} {
		if status, _, body, err := get(t, url+path, nil); status != 200 || body != want {
			t.Errorf("%s: %d %s %v", path, status, body, err)
		}
	}
	if n := len(s.RequestsFor(Documents, 7)); n != 1 {
		t.Errorf("%d requests are recorded for document 7", n)
	}
}

func TestUnknownDocumentIs404UnlessSynthesized(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	if status, _, body, _ := get(t, url+"/api/v8/partner/documents/8/", nil); status != 404 || !strings.Contains(body, `"status":"fail"`) {
		t.Errorf("got %d %s", status, body)
	}
	s.Synthesize()
	if status, _, body, _ := get(t, url+"/api/v8/partner/documents/8/", nil); status != 200 || !strings.HasPrefix(body, `{"id":8,`) {
		t.Errorf("got %d %s", status, body)
	}
}

func TestWrongCredentialsAre401(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	s.Synthesize()
	for name, change := range map[string]func(*http.Request){
		"no client id":    func(r *http.Request) { r.Header.Del("Client-Id") },
		"other key":       func(r *http.Request) { r.Header.Set("Authorization", "apikey user:other") },
		"bearer, old key": func(r *http.Request) { r.Header.Set("Authorization", "Bearer key") },
	} {
		if status, _, body, _ := get(t, url+"/api/v8/partner/documents/8/", change); status != 401 || !strings.Contains(body, "Not Authorized") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	s.SetCredentials(secret.Credentials{ClientID: "id", APIKey: "vrfk_new"})
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer vrfk_new") }
	if status, _, _, _ := get(t, url+"/api/v8/partner/documents/8/", bearer); status != 200 {
		t.Errorf("a new key got %d", status)
	}
}

func TestAutoDeletedDocumentIsServedOnce(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	s.Synthesize()
	s.PutAutoDelete(Documents, 9, Receipt(9))
	s.Then(9, Status(500))
	for _, want := range []int{500, 200, 404, 404} {
		if status, _, _, _ := get(t, url+"/api/v8/partner/documents/9/", nil); status != want {
			t.Errorf("got %d, want %d", status, want)
		}
	}
}

func TestBehavioursAreTakenInTurn(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	s.Synthesize()
	s.Always(Status(503))
	s.ThenAll(Status(502))
	s.Then(9, Status(500), RetryAfter(429, 3))
	for _, want := range []int{500, 429, 502, 503, 503} {
		status, header, _, _ := get(t, url+"/api/v8/partner/documents/9/", nil)
		if status != want || (status == 429) != (header.Get("Retry-After") == "3") {
			t.Errorf("got %d %v, want %d", status, header, want)
		}
	}
	s.Always(nil)
	if status, _, _, _ := get(t, url+"/api/v8/partner/documents/9/", nil); status != 200 {
		t.Errorf("got %d at the end", status)
	}
}

func TestEachBehaviourIsWhatItSays(t *testing.T) {
	t.Parallel()
	path := "/api/v8/partner/documents/9/"
	isObject := func(body string) bool { return json.Valid([]byte(body)) && strings.HasPrefix(body, "{") }
	for name, test := range map[string]struct {
		behaviour Behaviour
		holds     func(status int, header http.Header, body string, err error) bool
	}{
		"reset": {Reset(), func(_ int, _ http.Header, _ string, err error) bool { return err != nil }},
		"truncated": {Truncated(), func(status int, _ http.Header, _ string, err error) bool {
			return status == 200 && errors.Is(err, io.ErrUnexpectedEOF)
		}},
		"not JSON": {NotJSON(), func(status int, _ http.Header, body string, _ error) bool { return status == 200 && !isObject(body) }},
		"other id": {OtherID(), func(_ int, _ http.Header, body string, _ error) bool {
			return isObject(body) && strings.HasPrefix(body, `{"id":1,`)
		}},
		"in progress": {InProgress(), func(_ int, _ http.Header, body string, _ error) bool {
			return isObject(body) && body == `{"id":9,"status":"in_progress"}`
		}},
		"redirect": {Redirect("/else"), func(status int, header http.Header, _ string, _ error) bool {
			return status == 302 && header.Get("Location") == "/else"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := serve(t)
			s.Synthesize()
			s.Then(9, test.behaviour)
			if status, header, body, err := get(t, url+path, nil); !test.holds(status, header, body, err) {
				t.Errorf("got %d, %d bytes, %v", status, len(body), err)
			}
		})
	}
}

func TestSamplesAreJSONOfTheirID(t *testing.T) {
	t.Parallel()
	for name, document := range map[string][]byte{
		"receipt": Receipt(42), "invoice": Invoice(42), "bank statement": BankStatement(42), "check": Check(42), "W-2": W2(42), "any-document": AnyDocument(42), "large": Large(42, 500<<10),
	} {
		var fields struct{ ID int64 }
		if err := json.Unmarshal(document, &fields); err != nil || fields.ID != 42 {
			t.Errorf("%s: id %d, %v", name, fields.ID, err)
		}
	}
	if n := len(Large(42, 500<<10)); n < 500<<10 || n > 600<<10 {
		t.Errorf("the large one has %d bytes", n)
	}
	for kept, document := range map[string][]byte{
		"12.10": Invoice(42), "9223372036854775807": Invoice(42), "12345678901234567890123456789012345678": Invoice(42),
		"0.98765432109876543": Check(42), "⑈0000042⑈ ⑆": Check(42), `\f`: AnyDocument(42), "見本": AnyDocument(42), "2475.0000000000005": W2(42),
	} {
		if !strings.Contains(string(document), kept) {
			t.Errorf("a sample has lost %s", kept)
		}
	}
}

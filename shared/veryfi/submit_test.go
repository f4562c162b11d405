package veryfi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/secret"
)

func TestSubmissionIsSentOnce(t *testing.T) {
	t.Parallel()
	var got []map[string]any
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v8/partner/documents" || r.Header.Get("Authorization") != "Bearer vrfk_the0api0key" {
			t.Errorf("%s %s as %s", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got = append(got, body)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id": 9007199254740993}`)
	})
	id, err := newClientOf(t, base, secret.Fixed(newer)).Submit(t.Context(), Submission{FileName: "a.jpg", FileData: []byte("abc"), ExternalID: "x", Tags: []string{"t"}})
	if err != nil || id != 9007199254740993 {
		t.Errorf("%d, %v", id, err)
	}
	want := []map[string]any{{"file_name": "a.jpg", "file_data": "YWJj", "external_id": "x", "tags": []any{"t"}, "async": true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSubmissionThatIsRefusedSaysWhy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		class  failure.Class
		says   string
	}{
		"wrong":       {400, `{"status": "fail", "error": "File is too small."}`, failure.Refused, "File is too small."},
		"credentials": {401, `{"status": "fail", "error": "Not Authorized"}`, failure.CredentialsRefused, "check the values in the secret"},
		"too many":    {429, "slow down", failure.Throttled, "a limit was reached"},
		"no JSON":     {502, "<html>", failure.Unavailable, "502"},
		"no id":       {200, `{"status": "ok"}`, failure.Internal, "did not say its id"},
		"no answer":   {200, ``, failure.Internal, "did not say its id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			_, err := newClient(t, base).Submit(t.Context(), Submission{FileURL: "https://example.com/a.jpg"})
			if err == nil || failure.ClassOf(err) != test.class || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v", err)
			}
			if requests != 1 {
				t.Errorf("%d requests: Veryfi would process the document as often", requests)
			}
		})
	}
}

func TestDocumentsAreFoundByExternalID(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("external_id") != "a&b" || q.Get("order_by") != "-created" {
			t.Errorf("asked for %v", q)
		}
		fmt.Fprint(w, `{"documents": [{"id": 8}, {"id": 7}], "meta": {"total_pages": 1}}`)
	})
	ids, err := newClient(t, base).FindByExternalID(t.Context(), "a&b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{8, 7}, ids); diff != "" {
		t.Error(diff)
	}
}

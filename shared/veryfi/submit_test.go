package veryfi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/secret"
)

func TestSubmissionIsSentOnce(t *testing.T) {
	t.Parallel()
	type request struct {
		path string
		body map[string]any
	}
	var got []request
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer vrfk_the0api0key" {
			t.Errorf("%s %s as %s", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got = append(got, request{r.URL.Path, body})
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id": 9007199254740993}`)
	})
	c := newClientOf(t, base, secret.Fixed(newer))
	for resource, submission := range map[Resource]Submission{
		Documents:    {FileName: "a.jpg", FileData: []byte("abc"), ExternalID: "x", Tags: []string{"t"}},
		"checks":     {FileName: "a.jpg", FileData: []byte("abc"), ExternalID: "x", Tags: []string{"t"}, AutoDelete: true},
		AnyDocuments: {FileURL: "https://example.com/a.pdf", Blueprint: "b"},
	} {
		if id, err := c.Submit(t.Context(), resource, submission); err != nil || id != 9007199254740993 {
			t.Errorf("%s: %d, %v", resource, id, err)
		}
	}
	slices.SortFunc(got, func(a, b request) int { return strings.Compare(a.path, b.path) })
	want := []request{
		{"/api/v8/partner/any-documents/async", map[string]any{"file_url": "https://example.com/a.pdf", "blueprint_name": "b"}},
		{"/api/v8/partner/checks/async", map[string]any{"file_name": "a.jpg", "file_data": "YWJj", "external_id": "x", "meta.tags": []any{"t"}, "auto_delete": true}},
		{"/api/v8/partner/documents", map[string]any{"file_name": "a.jpg", "file_data": "YWJj", "external_id": "x", "tags": []any{"t"}, "async": true}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{})); diff != "" {
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
		"no route":    {404, `{"status": "fail", "error": "Not found."}`, failure.Refused, "404, it will not serve this request (Not found.)"},
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
			_, err := newClient(t, base).Submit(t.Context(), Documents, Submission{FileURL: "https://example.com/a.jpg"})
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
		switch r.URL.Path + "?" + r.URL.RawQuery {
		case "/api/v8/partner/documents?external_id=a%26b&order_by=-created&page=1&page_size=50":
			fmt.Fprint(w, `{"documents": [{"id": 8}, {"id": 7}], "meta": {"total_pages": 1}}`)
		case "/api/v8/partner/checks?meta.external_id=a%26b&page=1&page_size=50":
			fmt.Fprint(w, `{"count": 1, "next": null, "previous": null, "results": [{"id": 5}]}`)
		default:
			t.Errorf("asked for %s", r.URL)
		}
	})
	for resource, want := range map[Resource][]int64{Documents: {8, 7}, "checks": {5}} {
		ids, err := newClient(t, base).FindByExternalID(t.Context(), resource, "a&b")
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Error(diff)
		}
	}
}

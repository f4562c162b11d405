package standin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/secret"
)

// listed returns the ids on a page of the list, and the list's meta.
func listed(t *testing.T, s *Server, c secret.Credentials, query string) (ids []int, meta map[string]int, status int) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/api/v8/partner/documents?"+query, http.NoBody)
	r.Header.Set("Client-Id", c.ClientID)
	r.Header.Set("Authorization", "apikey "+c.Username+":"+c.APIKey)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var answer struct {
		Documents []struct {
			ID      int
			Created string
		}
		Meta map[string]int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, d := range answer.Documents {
		if _, err := time.Parse(time.DateTime, d.Created); err != nil {
			t.Error(err)
		}
		ids = append(ids, d.ID)
	}
	return ids, answer.Meta, w.Code
}

func TestListIsFilteredOrderedAndPaged(t *testing.T) {
	c := secret.Credentials{ClientID: "c", Username: "u", APIKey: "k"}
	s := New(c)
	start := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	for id := range int64(7) {
		s.PutCreated(id+1, start.Add(time.Duration(id)*time.Second), fmt.Appendf(nil, `{"id": %d}`, id+1))
	}
	s.Put(BankStatements, 8, []byte(`{"id": 8}`))
	at := func(n int) string {
		return url.QueryEscape(start.Add(time.Duration(n) * time.Second).Format(time.DateTime))
	}
	tests := map[string][]int{
		"":                      {1, 2, 3, 4, 5, 6, 7},
		"order_by=created":      {1, 2, 3, 4, 5, 6, 7},
		"order_by=-created":     {7, 6, 5, 4, 3, 2, 1},
		"created__gte=" + at(5): {6, 7},
		"created__gt=" + at(5):  {7},
		"created__lte=" + at(1): {1, 2},
		"created__lt=" + at(1):  {1},
		"created__gte=" + at(2) + "&created__lt=" + at(4): {3, 4},
		"page=2&page_size=3":                              {4, 5, 6},
		"page=3&page_size=3":                              {7},
		"page=4&page_size=3":                              nil,
	}
	for query, want := range tests {
		ids, _, status := listed(t, s, c, query)
		if diff := cmp.Diff(want, ids); diff != "" || status != 200 {
			t.Errorf("%s: %d %s", query, status, diff)
		}
	}
	if _, meta, _ := listed(t, s, c, "page=2&page_size=3"); meta["total_pages"] != 3 || meta["total_results"] != 7 || meta["page_number"] != 2 {
		t.Errorf("meta %v", meta)
	}
	if _, _, status := listed(t, s, secret.Credentials{}, ""); status != http.StatusUnauthorized {
		t.Errorf("status %d", status)
	}
	if _, _, status := listed(t, s, c, "created__gte=yesterday"); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
	s.ThenList(Status(503))
	if _, _, status := listed(t, s, c, ""); status != 503 {
		t.Errorf("status %d", status)
	}
	if n := len(s.ListRequests()); n != len(tests)+4 {
		t.Errorf("%d requests", n)
	}
}

func TestDeletedDocumentsLeaveTheList(t *testing.T) {
	c := secret.Credentials{ClientID: "c", Username: "u", APIKey: "k"}
	s := New(c)
	s.PutAutoDelete(Documents, 1, []byte(`{"id": 1}`))
	if ids, _, _ := listed(t, s, c, ""); len(ids) != 1 {
		t.Errorf("listed %v", ids)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/v8/partner/documents/1/", http.NoBody)
	r.Header.Set("Client-Id", c.ClientID)
	r.Header.Set("Authorization", "apikey "+c.Username+":"+c.APIKey)
	s.ServeHTTP(httptest.NewRecorder(), r)
	if ids, _, _ := listed(t, s, c, ""); len(ids) != 0 {
		t.Errorf("listed %v", ids)
	}
}

func TestListOfAnotherKind(t *testing.T) {
	s := New(sampleCredentials)
	start := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	for id := range int64(3) {
		s.Add(Checks, id+1, Document{Created: start.Add(time.Duration(id) * time.Second), Body: fmt.Appendf(nil, `{"id": %d, "meta": {"external_id": "e%[1]d"}}`, id+1)})
	}
	s.Put(W2s, 4, W2(4))
	for query, want := range map[string]string{
		"":                                      "3 [3 2 1]",
		"created_date__gte=2026-01-01+10:00:01": "2 [3 2]",
		"created_date__lt=2026-01-01+10:00:01":  "1 [1]",
		"meta.external_id=e2":                   "1 [2]",
		"page_size=2&page=1":                    "3 [3 2]",
		"page_size=2&page=2":                    "3 [1]",
		"page_size=2&page=3":                    "3 []",
	} {
		_, text := ask(t, s, http.MethodGet, "checks/?"+query, "")
		var answer struct {
			Count          int
			Next, Previous string
			Results        []struct {
				ID      int
				Created string `json:"created_date"`
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(err)
		}
		ids := []int{}
		for _, result := range answer.Results {
			if result.Created != start.Add(time.Duration(result.ID-1)*time.Second).Format(time.DateTime) {
				t.Errorf("%d was created %s", result.ID, result.Created)
			}
			ids = append(ids, result.ID)
		}
		if got := fmt.Sprint(answer.Count, ids); got != want || answer.Next != "" || answer.Previous != "" {
			t.Errorf("%s: %s, not %s", query, got, want)
		}
	}
	if status, _ := ask(t, s, http.MethodGet, "checks?created_date__gte=yesterday", ""); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
}

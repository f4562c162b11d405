package veryfi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/failure"
)

func TestListAsksForAPageOfAWindow(t *testing.T) {
	var asked []url.Values
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v8/partner/documents" || r.Header.Get("Client-Id") != older.ClientID {
			t.Errorf("asked for %s as %s", r.URL, r.Header.Get("Client-Id"))
		}
		asked = append(asked, r.URL.Query())
		fmt.Fprint(w, `{"documents": [{"id": 7, "created": "2026-01-02 03:04:05", "status": "processed"}], "meta": {"total_pages": 4}}`)
	})
	zone := time.FixedZone("", 2*60*60)
	page, _, err := newClient(t, base).List(t.Context(), Documents, time.Date(2026, 1, 2, 3, 0, 0, 0, zone), time.Date(2026, 1, 2, 4, 0, 0, 999, zone), 3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Page{Documents: []Listed{{ID: 7, Created: "2026-01-02 03:04:05", Status: "processed"}}}, page); diff != "" {
		t.Error(diff)
	}
	want := []url.Values{{
		"created__gte": {"2026-01-02 01:00:00"}, "created__lt": {"2026-01-02 02:00:00"},
		"order_by": {"created"}, "page": {"3"}, "page_size": {"50"},
	}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestOtherKindsAreListedByTheirOwnNames(t *testing.T) {
	t.Parallel()
	var asked []string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+"?"+r.URL.RawQuery)
		fmt.Fprint(w, `{"count": 120, "next": "https://api.example.com/?page=3", "previous": null, "results": [{"id": 9, "created_date": "2026-01-02 03:04:05"}]}`)
	})
	page, answers, err := newClient(t, base).List(t.Context(), "bank-statements", time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), time.Date(2026, 1, 2, 4, 0, 0, 999, time.UTC), 2)
	if err != nil || len(answers) != 1 {
		t.Fatal(answers, err)
	}
	if diff := cmp.Diff(Page{Documents: []Listed{{ID: 9, Created: "2026-01-02 03:04:05"}}}, page); diff != "" {
		t.Error(diff)
	}
	want := []string{"/api/v8/partner/bank-statements?created_date__gte=2026-01-02+03%3A00%3A00&created_date__lt=2026-01-02+04%3A00%3A00&page=2&page_size=50"}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestPageBehindTheLastOneIsEmpty(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"detail": "Invalid page."}`)
	})
	for _, test := range []struct {
		resource Resource
		page     int
		want     failure.Class
	}{{"checks", 2, ""}, {"checks", 1, failure.NotFound}, {Documents, 2, failure.NotFound}} {
		page, answers, err := newClient(t, base).List(t.Context(), test.resource, time.Now(), time.Now(), test.page)
		if got := failure.ClassOf(err); err == nil && test.want != "" || err != nil && got != test.want {
			t.Errorf("%s, page %d: %v", test.resource, test.page, err)
		}
		if page.IsLast != (err == nil) || len(page.Documents) > 0 || len(answers) != 1 {
			t.Errorf("%s, page %d: %+v, %v", test.resource, test.page, page, answers)
		}
	}
}

func TestPagesAreReadInEveryForm(t *testing.T) {
	tests := map[string]struct {
		body string
		want Page
	}{
		"empty":              {`{"documents": [], "meta": {"total_pages": 0}}`, Page{IsLast: true}},
		"no meta":            {`{"documents": [{"id": 1}]}`, Page{Documents: []Listed{{ID: 1}}}},
		"the last one":       {`{"meta": {"total_pages": 3}, "documents": [{"id": 1}]}`, Page{Documents: []Listed{{ID: 1}}, IsLast: true}},
		"an empty one":       {`{"documents": [], "meta": {"total_pages": 9}}`, Page{IsLast: true}},
		"ids as strings":     {`{"documents": [{"id": "9223372036854775807"}]}`, Page{Documents: []Listed{{ID: 9223372036854775807}}}},
		"detailed answers":   {`{"documents": [{"id": {"value": 8, "score": 1}, "status": {"value": "in_progress"}, "created": {"score": 1, "value": "c"}}]}`, Page{Documents: []Listed{{ID: 8, Status: "in_progress", Created: "c"}}}},
		"ids of no use":      {`{"documents": [{"id": 1}, {"id": 0}, {"id": 1.5}, {"id": null}, {}, {"id": {"value": {}}}, 7, null, "x"]}`, Page{Documents: []Listed{{ID: 1}}, Unusable: 8}},
		"another kind":       {`{"count": 2, "next": null, "previous": null, "results": [{"id": 1, "created_date": "c"}, {"id": 2}]}`, Page{Documents: []Listed{{ID: 1, Created: "c"}, {ID: 2}}, IsLast: true}},
		"more of it":         {`{"next": "https://x", "results": [{"id": 1}]}`, Page{Documents: []Listed{{ID: 1}}}},
		"nothing of it":      {`{"next": "https://x", "results": []}`, Page{IsLast: true}},
		"next is not told":   {`{"results": [{"id": 1}]}`, Page{Documents: []Listed{{ID: 1}}, IsLast: true}},
		"next is empty":      {`{"count": 300, "next": "", "results": [{"id": 1}]}`, Page{Documents: []Listed{{ID: 1}}, IsLast: true}},
		"and the page full":  {`{"next": "", "results": [{"id": 7}` + strings.Repeat(`, {}`, PageSize-1) + `]}`, Page{Documents: []Listed{{ID: 7}}, Unusable: PageSize - 1}},
		"two names":          {`{"documents": [{"created": "c", "id": 1, "created_date": "d"}]}`, Page{Documents: []Listed{{ID: 1, Created: "c"}}}},
		"what Python writes": {`{"documents": [{"total": NaN, "id": 1, "x": -Infinity}], "meta": {"total_pages": "4"}}`, Page{Documents: []Listed{{ID: 1}}}},
	}
	for name, test := range tests {
		got, ok := readPage([]byte(test.body), 3)
		if diff := cmp.Diff(test.want, got); !ok || diff != "" {
			t.Errorf("%s: %v, %s", name, ok, diff)
		}
	}
}

func TestWhatIsNoListIsUnexpected(t *testing.T) {
	for _, body := range []string{
		"", "null", "[]", "{}", `{"documents": 7}`, `{"results": null}`, `{"count": 1, "next": null}`, `{"documents": {}}`, `{"documents": [{"id": 1}]} {}`, `{"documents": [{"id": 1}`, "<html>", `{"documents": [1,]}`,
		`{"documents": ` + strings.Repeat("[", 100_000),
	} {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		_, _, err := newClient(t, base).List(t.Context(), Documents, time.Now(), time.Now(), 1)
		if got := answerOf(t, err); got.Class != failure.Unexpected {
			t.Errorf("%.40q: %v", body, err)
		}
	}
}

func TestListTellsWhatIsWrong(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, _, err := newClient(t, base).List(t.Context(), Documents, time.Now(), time.Now(), 1)
	if got := answerOf(t, err); got.Class != failure.Throttled || got.RetryAfter != 7*time.Second {
		t.Errorf("got %+v", got)
	}
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte(`{"documents": [{"id": 7, "created": "2026-01-02 03:04:05", "status": {"value": "x"}}], "meta": {"total_pages": 4}}`))
	f.Add([]byte(`{"documents": [{"id": {"value": {"value": 1}}}, [], ""], "meta": []}`))
	f.Add([]byte(`{"count": 1, "next": "", "previous": null, "results": [{"id": 7, "created_date": "2026-01-02 03:04:05"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, ok := readPage(body, 1)
		for _, d := range page.Documents {
			if ok && d.ID < 1 {
				t.Errorf("id %d", d.ID)
			}
		}
	})
}

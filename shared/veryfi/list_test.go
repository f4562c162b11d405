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
	page, _, err := newClient(t, base).List(t.Context(), time.Date(2026, 1, 2, 3, 0, 0, 0, zone), time.Date(2026, 1, 2, 4, 0, 0, 999, zone), 3)
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
		"", "null", "[]", "{}", `{"documents": 7}`, `{"documents": {}}`, `{"documents": [{"id": 1}]} {}`, `{"documents": [{"id": 1}`, "<html>", `{"documents": [1,]}`,
		`{"documents": ` + strings.Repeat("[", 100_000),
	} {
		base := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		_, _, err := newClient(t, base).List(t.Context(), time.Now(), time.Now(), 1)
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
	_, _, err := newClient(t, base).List(t.Context(), time.Now(), time.Now(), 1)
	if got := answerOf(t, err); got.Class != failure.Throttled || got.RetryAfter != 7*time.Second {
		t.Errorf("got %+v", got)
	}
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte(`{"documents": [{"id": 7, "created": "2026-01-02 03:04:05", "status": {"value": "x"}}], "meta": {"total_pages": 4}}`))
	f.Add([]byte(`{"documents": [{"id": {"value": {"value": 1}}}, [], ""], "meta": []}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, ok := readPage(body, 1)
		for _, d := range page.Documents {
			if ok && d.ID < 1 {
				t.Errorf("id %d", d.ID)
			}
		}
	})
}

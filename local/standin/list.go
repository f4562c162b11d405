package standin

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPageSize is how many documents a page of the list has, at most.
const maxPageSize = 50

// listPath is where the documents are listed.
const listPath = "/api/v8/partner/documents"

// ListRequests returns when the list was asked for, oldest first.
func (s *Server) ListRequests() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.lists...)
}

// ThenList makes the next requests for the list misbehave, one each. A behaviour
// that answers the document has none.
func (s *Server) ThenList(behaviours ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listQueue = append(s.listQueue, behaviours...)
}

func (s *Server) serveList(w http.ResponseWriter, r *http.Request) {
	if problem := s.takeList(); problem != nil {
		problem(w, r, nil)
		return
	}
	if !s.authorized(r.Header) {
		fail(w, http.StatusUnauthorized, "Not Authorized")
		return
	}
	query := r.URL.Query()
	listed, err := s.list(query)
	if err != nil {
		fail(w, http.StatusBadRequest, "Malformed filter")
		return
	}
	number := positive(query.Get("page"), 1)
	size := min(positive(query.Get("page_size"), maxPageSize), maxPageSize)
	pages := slices.Collect(slices.Chunk(listed, size))
	page := []json.RawMessage{}
	if number <= len(pages) {
		for _, e := range pages[number-1] {
			page = append(page, e.asListed())
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"documents": page,
		"meta":      map[string]int{"documents_per_page": size, "page_number": number, "total_pages": len(pages), "total_results": len(listed)},
	})
}

func (s *Server) takeList() (b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists = append(s.lists, time.Now())
	if len(s.listQueue) > 0 {
		b, s.listQueue = s.listQueue[0], s.listQueue[1:]
		return b
	}
	return s.always
}

// An entry is a document in the list.
type entry struct {
	id int64
	Document
}

// list returns the documents that pass the filters external_id and created__gt, gte, lt
// and lte, in the order that is asked for.
func (s *Server) list(query url.Values) (entries []entry, err error) {
	bounds := map[string]time.Time{}
	for name := range query {
		if comparison, ok := strings.CutPrefix(name, "created__"); ok {
			if bounds[comparison], err = time.Parse(time.DateTime, query.Get(name)); err != nil {
				return nil, err
			}
		}
	}
	passes := func(e entry) bool {
		for comparison, bound := range bounds {
			c := e.Created.Compare(bound)
			if c == 0 && !strings.HasSuffix(comparison, "e") || c < 0 && comparison[0] == 'g' || c > 0 && comparison[0] == 'l' {
				return false
			}
		}
		return query.Get("external_id") == "" || e.externalID() == query.Get("external_id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, d := range s.documents {
		d.Created = d.Created.Truncate(time.Second)
		if e := (entry{key.id, d}); key.kind == Documents && d.Body != nil && passes(e) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.id, b.id))
	})
	if query.Get("order_by") == "-created" {
		slices.Reverse(entries)
	}
	return entries, nil
}

func (e entry) externalID() string {
	var members struct {
		ExternalID string `json:"external_id"`
	}
	_ = json.Unmarshal(e.Body, &members) // a body that is no JSON has none
	return members.ExternalID
}

// asListed returns a document with the time that the filters go by. Veryfi's own has it,
// a test's may not.
func (e entry) asListed() json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(e.Body, &members) != nil {
		return []byte("null")
	}
	members["created"] = json.RawMessage(strconv.Quote(e.Created.Format(time.DateTime)))
	text, err := json.Marshal(members)
	if err != nil {
		return []byte("null")
	}
	return text
}

func positive(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return otherwise
}

package standin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPageSize is how many documents a page of the list has, at most.
const maxPageSize = 50

// listPath is where the documents are listed.
const listPath = "/api/v8/partner/documents"

// PutCreated is Put of a document that Veryfi created at that time, which the
// list shows. One of [Server.Put] was created when it was put.
func (s *Server) PutCreated(id int64, created time.Time, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents[key{Documents, id}] = document{body: body, created: created.UTC()}
}

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
		page = pages[number-1]
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

// list returns the documents that pass the filters created__gt, gte, lt and lte,
// in the order that is asked for.
func (s *Server) list(query map[string][]string) ([]json.RawMessage, error) {
	passes := func(time.Time) bool { return true }
	var externalID string
	for name, values := range query {
		if name == "external_id" {
			externalID = values[0]
		}
		comparison, ok := strings.CutPrefix(name, "created__")
		if !ok {
			continue
		}
		bound, err := time.Parse(time.DateTime, values[0])
		if err != nil {
			return nil, err
		}
		before := passes
		passes = func(t time.Time) bool {
			c := t.Compare(bound)
			return before(t) && (c < 0 && comparison[0] == 'l' || c > 0 && comparison[0] == 'g' || c == 0 && strings.HasSuffix(comparison, "te"))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	type entry struct {
		id       int64
		document document
	}
	var entries []entry
	for key, d := range s.documents {
		d.created = d.created.Truncate(time.Second)
		if key.kind == Documents && d.body != nil && passes(d.created) && (externalID == "" || hasExternalID(d, externalID)) {
			entries = append(entries, entry{key.id, d})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if c := a.document.created.Compare(b.document.created); c != 0 {
			return c
		}
		return int(a.id - b.id)
	})
	if order := query["order_by"]; order != nil && order[0] == "-created" {
		slices.Reverse(entries)
	}
	listed := make([]json.RawMessage, 0, len(entries))
	for _, e := range entries {
		listed = append(listed, withCreated(e.document))
	}
	return listed, nil
}

func hasExternalID(d document, id string) bool {
	var members struct {
		ExternalID string `json:"external_id"`
	}
	return json.Unmarshal(d.body, &members) == nil && members.ExternalID == id
}

// withCreated returns a document as the list shows it: with the time that the
// filters go by. Veryfi's own has it, a test's may not.
func withCreated(d document) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(d.body, &members) != nil {
		return []byte("null")
	}
	members["created"] = json.RawMessage(strconv.Quote(d.created.Format(time.DateTime)))
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

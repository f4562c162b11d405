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

// ListRequests returns when a list was asked for, oldest first.
func (s *Server) ListRequests() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.lists...)
}

// ThenList makes the next requests for lists misbehave, one each. A behaviour
// that answers the document has none.
func (s *Server) ThenList(behaviours ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listQueue = append(s.listQueue, behaviours...)
}

func (s *Server) serveList(w http.ResponseWriter, r *http.Request, kind Kind) {
	if problem := s.takeList(); problem != nil {
		problem(w, r, nil)
		return
	}
	if !s.authorized(r.Header) {
		fail(w, http.StatusUnauthorized, "Not Authorized")
		return
	}
	query := r.URL.Query()
	listed, err := s.list(kind, query)
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
			page = append(page, e.asListed(kind))
		}
	}
	// "next" and "previous" say nothing: so it is in what the SDK for Node has recorded,
	// although more pages follow.
	answer := map[string]any{"count": len(listed), "next": "", "previous": "", "results": page}
	if kind == Documents {
		answer = map[string]any{
			"documents": page,
			"meta":      map[string]int{"documents_per_page": size, "page_number": number, "total_pages": len(pages), "total_results": len(listed)},
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
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

// created returns the member with the time that a list's filters go by.
func (k Kind) created() string {
	if k == Documents {
		return "created"
	}
	return "created_date"
}

// list returns the documents that pass the filters created__gt, gte, lt and lte, and
// external_id, in the order that is asked for. Of other kinds these are created_date__gt
// and so on, and meta.external_id; there the latest come first.
func (s *Server) list(kind Kind, query url.Values) (entries []entry, err error) {
	bounds := map[string]time.Time{}
	for name := range query {
		if comparison, ok := strings.CutPrefix(name, kind.created()+"__"); ok {
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
		wanted := query.Get("external_id")
		if kind != Documents {
			wanted = query.Get("meta.external_id")
		}
		return wanted == "" || e.externalID() == wanted
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, d := range s.documents {
		d.Created = d.Created.Truncate(time.Second)
		if e := (entry{key.id, d}); key.kind == kind && d.Body != nil && passes(e) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.id, b.id))
	})
	if kind != Documents || query.Get("order_by") == "-created" {
		slices.Reverse(entries)
	}
	return entries, nil
}

func (e entry) externalID() string {
	var members struct {
		ExternalID string `json:"external_id"`
		Meta       struct {
			ExternalID string `json:"external_id"`
		}
	}
	_ = json.Unmarshal(e.Body, &members) // a body that is no JSON has none
	return cmp.Or(members.ExternalID, members.Meta.ExternalID)
}

// asListed returns a document with the time that the filters go by. Veryfi's own has it,
// a test's may not.
func (e entry) asListed(kind Kind) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(e.Body, &members) != nil {
		return []byte("null")
	}
	members[kind.created()] = json.RawMessage(strconv.Quote(e.Created.Format(time.DateTime)))
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

// Package standin stands in for Veryfi on one machine: a [Server] that serves
// documents as Veryfi's API does and can be told to misbehave, and a [Sender]
// that delivers webhooks signed as Veryfi signs them. Its documents are samples
// of our own, see [Receipt].
package standin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/secret"
)

// Kind says which of Veryfi's collections a document is in. All are served, whatever
// their names; equal numbers in two of them are two documents.
type Kind string

// The collections with samples of their own.
const (
	Documents      Kind = "documents"
	BankStatements Kind = "bank-statements"
	Checks         Kind = "checks"
	W2s            Kind = "w2s"
	AnyDocuments   Kind = "any-documents"
)

// event returns what the names of events about the kind begin with. Of a kind that is not
// known it is the resource, in the singular.
func (k Kind) event() string {
	for _, kind := range (event.Kinds{}).All() {
		if kind.Resource == string(k) {
			return kind.Name
		}
	}
	return strings.ReplaceAll(strings.TrimSuffix(string(k), "s"), "-", "_")
}

// A Request is one GET that was received, whatever it was answered.
type Request struct {
	Kind Kind
	ID   int64
	Time time.Time
}

// A Server answers GET and DELETE of /api/v8/partner/documents/{id}/ and the list
// /api/v8/partner/documents, where documents can also be submitted, and the same for
// every other [Kind]. Its methods may be called by any number of goroutines.
type Server struct {
	mu          sync.Mutex
	credentials secret.Credentials
	documents   map[key]Document
	synthesize  bool
	always      Behaviour
	queue       []Behaviour
	queues      map[int64][]Behaviour
	requests    []Request
	listQueue   []Behaviour
	lists       []time.Time
	submitted   int64
	onReady     func(webhook.Webhook)
}

type key struct {
	kind Kind
	id   int64
}

// A Document is what Veryfi has of one.
type Document struct {
	Body       []byte    // served byte for byte
	Created    time.Time // of a document; zero for now
	AutoDelete bool      // the first answer with status 200 deletes it
	Behaviour  Behaviour // answers all requests for it, unless it is nil
}

// New returns a server without documents.
func New(credentials secret.Credentials) *Server {
	return &Server{credentials: credentials, documents: map[key]Document{}, queues: map[int64][]Behaviour{}}
}

// SetCredentials changes what a request must show.
func (s *Server) SetCredentials(credentials secret.Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credentials = credentials
}

// Add makes a document known, or changes it.
func (s *Server) Add(kind Kind, id int64, d Document) {
	if d.Created.IsZero() {
		d.Created = time.Now()
	}
	d.Created = d.Created.UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents[key{kind, id}] = d
}

// Put is Add of a document that stays.
func (s *Server) Put(kind Kind, id int64, body []byte) { s.Add(kind, id, Document{Body: body}) }

// PutAutoDelete is Add of one that is deleted when it is retrieved.
func (s *Server) PutAutoDelete(kind Kind, id int64, body []byte) {
	s.Add(kind, id, Document{Body: body, AutoDelete: true})
}

// PutCreated is Add of a document that Veryfi created at that time.
func (s *Server) PutCreated(id int64, created time.Time, body []byte) {
	s.Add(Documents, id, Document{Body: body, Created: created})
}

// Synthesize makes the server serve a sample for every id that was not Put.
func (s *Server) Synthesize() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synthesize = true
}

// Then makes the next requests for a document misbehave, one each; after that
// they are answered well. Documents of all kinds with that number count.
func (s *Server) Then(id int64, behaviours ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[id] = append(s.queues[id], behaviours...)
}

// ThenAll is Then for whichever documents are asked for next.
func (s *Server) ThenAll(behaviours ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, behaviours...)
}

// Always makes all requests misbehave that are not under Then or ThenAll, until
// it is called with nil.
func (s *Server) Always(behaviour Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = behaviour
}

// Requests returns the requests received so far, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// RequestsFor returns the requests for one document, oldest first.
func (s *Server) RequestsFor(kind Kind, id int64) (requests []Request) {
	for _, r := range s.Requests() {
		if r.Kind == kind && r.ID == id {
			requests = append(requests, r)
		}
	}
	return requests
}

// ServeHTTP answers 401 to wrong credentials and 404 to what it does not have,
// as Veryfi does. It has no sets.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := append(resourcePath.FindStringSubmatch(r.URL.Path), "", "", "")
	kind, id := Kind(parts[1]), parts[2]
	number, err := strconv.ParseInt(id, 10, 64)
	switch {
	case kind == "" || strings.HasSuffix(parts[1], "-set"):
		fail(w, http.StatusNotFound, "Not found.")
	case id == "" && r.Method == http.MethodGet:
		s.serveList(w, r, kind)
	case id == "" && r.Method == http.MethodPost:
		s.serveSubmission(w, r, kind, false)
	case id == "async" && kind != Documents && r.Method == http.MethodPost:
		s.serveSubmission(w, r, kind, true)
	case id != "" && err != nil:
		fail(w, http.StatusNotFound, "Not found.")
	case id != "" && (r.Method == http.MethodGet || r.Method == http.MethodDelete):
		s.serveDocument(w, r, kind, number)
	default:
		fail(w, http.StatusMethodNotAllowed, "Unexpected HTTP Method")
	}
}

// resourcePath is a kind, and an id or "async" below it.
var resourcePath = regexp.MustCompile(`^/api/v8/partner/([a-z0-9-]+)(?:/(\w*))?/?$`)

func (s *Server) serveDocument(w http.ResponseWriter, r *http.Request, kind Kind, id int64) {
	if r.Method == http.MethodGet {
		if problem := s.take(kind, id); problem != nil {
			problem(w, r, s.find(kind, id, false))
			return
		}
	}
	if !s.authorized(r.Header) {
		fail(w, http.StatusUnauthorized, "Not Authorized")
		return
	}
	body := s.find(kind, id, true)
	if body == nil {
		fail(w, http.StatusNotFound, "Document Not Found")
		return
	}
	if r.Method == http.MethodDelete {
		s.Add(kind, id, Document{})
		body = []byte(`{"status": "ok", "message": "Document has been deleted"}`)
	}
	writeDocument(w, body)
}

// take records the request and returns the behaviour it is under, or nil.
func (s *Server) take(kind Kind, id int64) (b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{kind, id, time.Now()})
	if queue := s.queues[id]; len(queue) > 0 {
		s.queues[id] = queue[1:]
		return queue[0]
	}
	if len(s.queue) > 0 {
		b, s.queue = s.queue[0], s.queue[1:]
		return b
	}
	if own := s.documents[key{kind, id}].Behaviour; own != nil {
		return own
	}
	return s.always
}

func (s *Server) authorized(header http.Header) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := "apikey " + s.credentials.Username + ":" + s.credentials.APIKey
	if strings.HasPrefix(s.credentials.APIKey, "vrfk_") {
		want = "Bearer " + s.credentials.APIKey
	}
	return header.Get("Client-Id") == s.credentials.ClientID && header.Get("Authorization") == want
}

// find returns the document, and deletes what is deleted by being served.
func (s *Server) find(kind Kind, id int64, isServed bool) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.documents[key{kind, id}]
	switch {
	case !ok && s.synthesize:
		return sample(kind, id)
	case isServed && d.AutoDelete:
		s.documents[key{kind, id}] = Document{} // no sample takes its place
	}
	return d.Body
}

// RoundTrip answers a request in this process, as [http.RoundTripper] does. An answer that
// is broken off is an error.
func (s *Server) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if reason := recover(); reason == http.ErrAbortHandler { //nolint:errorlint // it is panicked as it is
			resp, err = nil, io.ErrUnexpectedEOF
		} else if reason != nil {
			panic(reason)
		}
	}()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

// fail answers an error in Veryfi's form.
func fail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "fail", "error": text, "details": []string{}})
}

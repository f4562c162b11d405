package standin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"veryfi-intake/deployment/webhook"
)

const (
	// readyAfter is how long a submitted document takes.
	readyAfter = 300 * time.Millisecond
	// firstSubmitted is below the ids that others are given.
	firstSubmitted = 700_000_001
	// unreadable is in the name of a file that Veryfi cannot process.
	unreadable = "unreadable"
)

// OnReady has f called with the webhook of each submitted document, when it is due.
func (s *Server) OnReady(f func(webhook.Webhook)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onReady = f
}

// A submission is what a client sends to have a document processed.
type submission struct {
	FileURL    string   `json:"file_url"`
	FileURLs   []string `json:"file_urls"`
	FileName   string   `json:"file_name"`
	FileData   []byte   `json:"file_data"`
	ExternalID string   `json:"external_id"`
	Meta       struct {
		ExternalID string `json:"external_id"`
	} `json:"meta"`
	Async         bool   `json:"async"` // of receipts and invoices
	AutoDelete    bool   `json:"auto_delete"`
	BlueprintName string `json:"blueprint_name"`
}

// externalID finds that of a sample, wherever it has one.
var externalID = regexp.MustCompile(`"external_id":"[^"]*"`)

// document returns what becomes of the submission.
func (x submission) document(kind Kind, id int64) []byte {
	quoted, _ := json.Marshal(cmp.Or(x.Meta.ExternalID, x.ExternalID)) // a string
	body := load(cmp.Or(sampleOf[kind], "any_document"), id)
	return externalID.ReplaceAllLiteral(body, append([]byte(`"external_id":`), quoted...))
}

// serveSubmission takes one document. It answers its id and calls the webhook later, or
// answers the document if the client wants to wait. A file whose name has "unreadable" in
// it fails; all others become a sample of their kind, documents a receipt.
func (s *Server) serveSubmission(w http.ResponseWriter, r *http.Request, kind Kind, async bool) {
	if !s.authorized(r.Header) {
		fail(w, http.StatusUnauthorized, "Not Authorized")
		return
	}
	var x submission
	err := json.NewDecoder(io.LimitReader(r.Body, 40<<20)).Decode(&x)
	hasURL, isAsync := x.FileURL != "" || len(x.FileURLs) > 0, async || kind == Documents && x.Async
	fails := strings.Contains(strings.Join(append(x.FileURLs, x.FileURL, x.FileName), " "), unreadable)
	switch {
	case err != nil || hasURL == (x.FileData != nil):
		fail(w, http.StatusBadRequest, "Malformed request: send either file_url, file_urls or file_data")
		return
	case kind == AnyDocuments && x.BlueprintName == "":
		fail(w, http.StatusBadRequest, "Malformed request: send blueprint_name")
		return
	case fails && !isAsync:
		fail(w, http.StatusBadRequest, "Couldn't read the file.")
		return
	}
	s.mu.Lock()
	s.submitted++
	id, created := firstSubmitted+s.submitted-1, time.Now().UTC()
	if !fails {
		s.documents[key{kind, id}] = Document{Body: x.document(kind, id), Created: created, AutoDelete: x.AutoDelete}
	}
	s.mu.Unlock()
	answer := fmt.Appendf(nil, `{"id": %d}`, id)
	if isAsync {
		s.announce(kind, id, created, fails)
	} else {
		answer = s.find(kind, id, true) // which deletes it with auto_delete
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	w.Write(answer)
}

// announce calls the webhook about a document when it is due.
func (s *Server) announce(kind Kind, id int64, created time.Time, fails bool) {
	s.mu.Lock()
	onReady, clientSecret := s.onReady, s.credentials.ClientSecret
	s.mu.Unlock()
	if onReady == nil {
		return
	}
	event, reason := kind.event()+".created", ""
	if fails {
		event, reason = kind.event()+".failed", `, "error": "Couldn't read the file."`
	}
	data := fmt.Sprintf(`{"id": %d, "created": %q%s}`, id, created.Format(time.DateTime), reason)
	if webhook, err := webhook.Sign(event, data, clientSecret); err == nil {
		time.AfterFunc(readyAfter, func() { onReady(webhook) })
	}
}

package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
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

// serveSubmission takes one document and answers its id. A file whose name has
// "unreadable" in it fails; all others become a receipt.
func (s *Server) serveSubmission(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(r.Header) {
		fail(w, http.StatusUnauthorized, "Not Authorized")
		return
	}
	var submission struct {
		FileURL    string `json:"file_url"`
		FileName   string `json:"file_name"`
		FileData   []byte `json:"file_data"`
		ExternalID string `json:"external_id"`
		Async      bool   `json:"async"`
		AutoDelete bool   `json:"auto_delete"`
	}
	err := json.NewDecoder(io.LimitReader(r.Body, 40<<20)).Decode(&submission)
	if err != nil || !submission.Async || (submission.FileURL == "") == (submission.FileData == nil) {
		fail(w, http.StatusBadRequest, "Malformed request: send async and either file_url or file_data")
		return
	}
	s.mu.Lock()
	s.submitted++
	id, created, onReady, clientSecret := firstSubmitted+s.submitted-1, time.Now().UTC(), s.onReady, s.credentials.ClientSecret
	fails := strings.Contains(path.Base(submission.FileURL)+submission.FileName, unreadable)
	if !fails {
		quoted, _ := json.Marshal(submission.ExternalID) // a string
		body := bytes.Replace(Receipt(id), []byte(`"external_id":"tablet-07-000193"`), append([]byte(`"external_id":`), quoted...), 1)
		s.documents[key{Documents, id}] = Document{Body: body, Created: created, AutoDelete: submission.AutoDelete}
	}
	s.mu.Unlock()
	if onReady != nil {
		event, data := "document.created", fmt.Sprintf(`{"id": %d, "created": %q}`, id, created.Format(time.DateTime))
		if fails {
			event, data = "document.failed", fmt.Sprintf(`{"id": %d, "created": %q, "error": "Couldn't read the file."}`, id, created.Format(time.DateTime))
		}
		if webhook, err := webhook.Sign(event, data, clientSecret); err == nil {
			time.AfterFunc(readyAfter, func() { onReady(webhook) })
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id": %d}`, id)
}

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/aws/queue"
	"veryfi-intake/local/aws/secrets"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/secret"
)

// An upstream stands in for AWS and Veryfi, over TLS and HTTP/1.1, and answers at
// once: what is measured is the function.
type upstream struct {
	*httptest.Server

	queue  *queue.Queue
	veryfi *standin.Server
	rows   atomic.Int64 // that were written
	delay  atomic.Int64 // of a document, in nanoseconds
}

const (
	documentSize = 15_000 // bytes
	queueURL     = "queue"
	secretID     = "secret"
)

func startUpstream(credentials secret.Credentials) (*upstream, error) {
	text, err := json.Marshal(credentials)
	if err != nil {
		return nil, err
	}
	u := &upstream{queue: queue.New(queue.Options{}), veryfi: standin.New(credentials)}
	u.serveDocuments(documentSize)
	aws := endpoint.New(map[endpoint.Service]http.Handler{
		endpoint.SQS: u.queue.Handler(), endpoint.SecretsManager: secrets.New(secretID, string(text)), endpoint.DynamoDB: http.HandlerFunc(u.table),
	})
	mux := http.NewServeMux()
	mux.Handle("/", aws)
	mux.Handle("/api/", u.veryfi)
	mux.HandleFunc("/bare/", empty)
	u.Server = httptest.NewUnstartedServer(mux)
	u.Config.ErrorLog = log.New(io.Discard, "", 0)
	u.StartTLS()
	return u, nil
}

// serveDocuments makes Veryfi have a document of about that size, in bytes, for each id.
func (u *upstream) serveDocuments(size int) {
	const start = `{"id":`
	rest := bytes.TrimPrefix(standin.Large(0, size-len(standin.Receipt(0))), []byte(start+"0"))
	u.veryfi.Always(func(w http.ResponseWriter, r *http.Request, _ []byte) {
		time.Sleep(time.Duration(u.delay.Load()))
		fmt.Fprint(w, start, path.Base(r.URL.Path))
		w.Write(rest)
	})
}

// table takes all rows and has none: each document is a new one.
func (u *upstream) table(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutItem") {
		u.rows.Add(1)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	empty(w, r)
}

func empty(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a client that has gone is no error
	io.WriteString(w, `{}`)
}

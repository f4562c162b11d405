package pipeline_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/standin"
	"veryfi-intake/proof/rowcheck"
)

// TestRetrievedDocumentsOutlastTheTable has the table refuse the rows of some
// documents, in different ways, which Veryfi deletes when they are retrieved. No
// other test may set an intercept.
func TestRetrievedDocumentsOutlastTheTable(t *testing.T) {
	t.Parallel()
	refusals := map[string]func(http.ResponseWriter, *http.Request){
		"throttled": func(w http.ResponseWriter, _ *http.Request) { endpoint.Throttle(endpoint.DynamoDB, w) },
		"denied": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "not authorized"}`)
		},
		"down":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}
	ids, bodies := map[string]int64{}, map[string][]byte{}
	for name := range refusals {
		ids[name] = newID()
		bodies[name] = standin.Large(ids[name], 300<<10)
		pipeline.Veryfi.PutAutoDelete(standin.Documents, ids[name], bodies[name])
	}
	var refusing atomic.Bool
	refusing.Store(true)
	pipeline.AWS.SetIntercept(func(service endpoint.Service, next http.Handler, w http.ResponseWriter, r *http.Request) {
		if service == endpoint.DynamoDB && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutItem") && refusing.Load() {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			for name, refuse := range refusals {
				if bytes.Contains(body, fmt.Appendf(nil, `"Item":{"id":{"S":"%d"}`, ids[name])) {
					refuse(w, r)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
	t.Cleanup(func() { pipeline.AWS.SetIntercept(nil) })
	for _, id := range ids {
		announce(t, "document.created", created, id)
	}
	until(func() bool { return len(written.Containing("rescued, the table")) >= len(ids) })
	refusing.Store(false)
	for name, id := range ids {
		if diff := rowcheck.Difference(row(t, id, "processed"), bodies[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if requests := requestsFor(id); requests != 1 {
			t.Errorf("%s: %d requests to Veryfi", name, requests)
		}
	}
}

package pipeline_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/standin"
)

// TestFloodOfForgedWebhooks sends thousands of bad signatures, and a genuine
// webhook among them. It runs before the parallel tests, which read the secret
// too.
func TestFloodOfForgedWebhooks(t *testing.T) {
	const (
		forged  = 3000
		senders = 20
	)
	id := receipt()
	genuine := sign(t, "document.created", fmt.Sprintf(`{"id": %d, "created": %q}`, id, created))
	target := receipt()
	calls, start := pipeline.Secrets.Calls(), time.Now()

	numbers := make(chan int)
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for n := range numbers {
				webhook := genuine
				webhook.Data = fmt.Sprintf(`{"id": %d, "created": "%d"}`, target, n)
				if status := post(t, webhook); status != 401 {
					t.Errorf("status %d", status)
				}
			}
		})
	}
	for n := range forged {
		numbers <- n
		if n == forged/2 {
			if status := post(t, genuine); status != 200 {
				t.Errorf("the genuine one: status %d", status)
			}
		}
	}
	close(numbers)
	group.Wait()
	row(t, id, "processed")
	if get(t, target) != nil || requestsFor(target) != 0 {
		t.Error("the forged id has left a trace")
	}
	// Two calls read both versions: when an environment starts, at the first
	// mismatch, and then once in ten seconds, in each of the ten environments that a
	// new account has.
	const environments = 10
	readings := 3 + int(time.Since(start)/(10*time.Second))
	if got := pipeline.Secrets.Calls() - calls; got > 2*environments*readings {
		t.Errorf("%d forged requests made %d calls of Secrets Manager in %v", forged, got, time.Since(start))
	}
}

// TestReplaysOfAStoredDocumentChangeNothing sends what somebody has caught again,
// under every name: the event is not under the signature.
func TestReplaysOfAStoredDocumentChangeNothing(t *testing.T) {
	t.Parallel()
	document, statement, set := receipt(), newID(), newID()
	pipeline.Veryfi.Put(standin.BankStatements, statement, standin.BankStatement(statement))
	caught := []webhook.Webhook{
		sign(t, "document.created", fmt.Sprintf(`{"id": %d, "created": %q}`, document, created)),
		sign(t, "bank_statement_set.created", fmt.Sprintf(`{"parent_id": %d, "id": [%d], "created": %q}`, set, statement, created)),
	}
	keys := []string{fmt.Sprint(document), fmt.Sprint("bank_statement#", statement)}
	var before []map[string]string
	for i, webhook := range caught {
		if status := post(t, webhook); status != 200 {
			t.Fatalf("status %d", status)
		}
		before = append(before, exactFields(row(t, keys[i], "processed")))
	}
	requests := func() (n int) {
		for _, id := range []int64{document, statement} {
			n += requestsFor(id) + len(pipeline.Veryfi.RequestsFor(standin.BankStatements, id))
		}
		return n
	}
	first := requests()
	for _, webhook := range caught {
		for _, name := range []string{
			"document.created", "document.failed", "bank_statement_set.created", "bank_statement_set.failed",
			"reconciled", "contract.created", "", "DOCUMENT.CREATED",
		} {
			webhook.Event = name
			if status := post(t, webhook); status != 200 {
				t.Errorf("%q: status %d", name, status)
			}
		}
	}
	time.Sleep(4 * time.Second) // longer than a webhook takes to its row
	for i, key := range keys {
		if diff := cmp.Diff(before[i], exactFields(get(t, key))); diff != "" {
			t.Errorf("row %s: %s", key, diff)
		}
	}
	if now := requests(); now != first {
		t.Errorf("%d requests to Veryfi, and %d after the replays", first, now)
	}
}

// TestBodiesThatAreNotPlainJSON sends a genuine webhook in forms that Veryfi does
// not use.
func TestBodiesThatAreNotPlainJSON(t *testing.T) {
	t.Parallel()
	id := newID()
	genuine := sign(t, "document.created", fmt.Sprintf(`{"id": %d}`, id))
	gzipped := func(body []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(body)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, test := range map[string]struct {
		body     []byte
		encoding string
		status   int
	}{
		"compressed":      {gzipped([]byte(genuine.Body())), "gzip", 400},
		"a bomb":          {gzipped(make([]byte, 100<<20)), "gzip", 400},
		"over the limit":  {[]byte(strings.Repeat(" ", 262_144) + genuine.Body()), "", 413},
		"ten megabytes":   {make([]byte, 9<<20), "", 413},
		"nested too deep": {[]byte(`{"data": ` + strings.Repeat("[", 200_000)), "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, pipeline.WebhookURL, bytes.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Veryfi-Signature", genuine.Signature)
			if test.encoding != "" {
				req.Header.Set("Content-Encoding", test.encoding)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
		})
	}
}

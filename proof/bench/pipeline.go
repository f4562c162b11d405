package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
)

const (
	// pipelineTime is how long each figure of the pipeline is taken.
	pipelineTime = 5 * time.Second
	// rowTimeout is when a row is late enough to give up.
	rowTimeout = time.Minute
)

// pipeline measures all of it on the emulators: as deployed, and without the pace
// that Veryfi asks for.
func (b *bench) pipeline(ctx context.Context) error {
	table := &Table{
		Title:   "The whole pipeline, on emulators",
		Headers: []string{"what", "waiting", "a second", "p50", "p99"},
		Notes: []string{
			"An emulator of SQS or DynamoDB takes more CPU than a function; on AWS they are other machines.",
			"As deployed, documents come at 5 x 11 a second at most: one after the other they are 91 ms apart.",
		},
	}
	if err := b.runPipeline(ctx, table, "as deployed", nil); err != nil {
		return err
	}
	if err := b.runPipeline(ctx, table, "without Veryfi's limit", map[string]string{rateVariable: "100000"}); err != nil {
		return err
	}
	b.show(table)
	return nil
}

func (b *bench) runPipeline(ctx context.Context, table *Table, name string, environment map[string]string) error {
	b.Progress("the pipeline, " + name)
	s, err := stack.Start(ctx, stack.Options{Root: b.Root, Credentials: b.Credentials, Environment: environment, Progress: b.Progress})
	if err != nil {
		return err
	}
	defer s.Stop()
	s.Veryfi.Synthesize()
	l := &load{stack: s, sender: standin.NewSender(time.Second), secret: b.Credentials.ClientSecret}
	s.AWS.SetIntercept(l.watch)
	if err := l.document(ctx); err != nil { // the cold starts
		return err
	}
	if err := table.measure(ctx, "webhook to row, "+name, l.document); err != nil || environment != nil {
		return err
	}
	s.StopPoller()
	return table.measure(ctx, "webhook to answer", l.webhook)
}

// measure keeps some going at a time, and adds rows with their number, their rate, and
// how long they take.
func (t *Table) measure(ctx context.Context, what string, one func(context.Context) error) error {
	for _, waiting := range []int{1, 10, 100} {
		ctx, fail := context.WithCancelCause(ctx)
		var mu sync.Mutex
		var times figure
		var all sync.WaitGroup
		begin := time.Now()
		for range waiting {
			all.Go(func() {
				for ctx.Err() == nil && time.Since(begin) < pipelineTime {
					start := time.Now()
					if err := one(ctx); err != nil {
						fail(err)
						return
					}
					took := time.Since(start)
					mu.Lock()
					times.add(took)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		rate := float64(len(times.values)) / time.Since(begin).Seconds()
		t.Rows = append(t.Rows, []string{
			what, fmt.Sprint(waiting), fmt.Sprintf("%.0f", rate), times.String(), duration(times.percentile(0.99)),
		})
		err := context.Cause(ctx)
		fail(nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// A load sends webhooks and waits for their results.
type load struct {
	stack   *stack.Stack
	sender  *standin.Sender
	secret  string
	ids     atomic.Int64
	waiting sync.Map // channels that are closed when a row is there, by its id
}

var storedID = regexp.MustCompile(`"Item":\{"id":\{"S":"(\d+)"`)

// watch is an [endpoint.Intercept] that tells those who wait for a row when the table has it.
func (l *load) watch(service endpoint.Service, next http.Handler, w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if service == endpoint.DynamoDB && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutItem") {
		r.Body = io.NopCloser(io.TeeReader(r.Body, &body))
	}
	next.ServeHTTP(w, r)
	if id := storedID.FindSubmatch(body.Bytes()); id != nil {
		if stored, ok := l.waiting.LoadAndDelete(string(id[1])); ok {
			close(stored.(chan struct{})) //nolint:errcheck // it holds nothing else
		}
	}
}

var errLate = errors.New("a document was not stored in time")

// document sends a webhook and waits until its document is in the table.
func (l *load) document(ctx context.Context) error {
	id, stored := l.ids.Add(1), make(chan struct{})
	l.waiting.Store(fmt.Sprint(id), stored)
	if err := l.post(ctx, id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, rowTimeout, errLate)
	defer cancel()
	select {
	case <-stored:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// webhook sends a webhook and waits for its answer.
func (l *load) webhook(ctx context.Context) error { return l.post(ctx, l.ids.Add(1)) }

func (l *load) post(ctx context.Context, id int64) error {
	webhook, err := webhook.Sign("document.created", fmt.Sprintf(`{"id": %d, "created": "2026-06-25 14:03:04"}`, id), l.secret)
	if err != nil {
		return err
	}
	if answer := l.sender.Post(ctx, l.stack.WebhookURL, webhook); answer.Status != http.StatusOK {
		return fmt.Errorf("the webhook was answered %d: %w", answer.Status, answer.Err)
	}
	return nil
}

package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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
func (b *bench) pipeline(ctx context.Context) ([]Table, error) {
	table := Table{
		Title:   "The whole pipeline, on emulators",
		Headers: []string{"what", "waiting", "a second", "p50", "p99"},
		Notes: []string{
			"An emulator of SQS or DynamoDB takes more CPU than a function; on AWS they are other machines.",
			"As deployed, documents come at 5 x 11 a second at most: one after the other they are 91 ms apart.",
		},
	}
	for _, kind := range []struct {
		name        string
		environment map[string]string
	}{
		{"as deployed", nil},
		{"without Veryfi's limit", map[string]string{rateVariable: "100000"}},
	} {
		b.Progress("the pipeline, " + kind.name)
		rows, err := b.runPipeline(ctx, kind.name, kind.environment)
		if err != nil {
			return nil, err
		}
		table.Rows = append(table.Rows, rows...)
	}
	return []Table{table}, nil
}

func (b *bench) runPipeline(ctx context.Context, name string, environment map[string]string) (rows [][]string, err error) {
	s, err := stack.Start(ctx, stack.Options{Root: b.Root, Credentials: b.Credentials, Environment: environment, Progress: b.Progress})
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	s.Veryfi.Synthesize()
	load := &load{stack: s, sender: standin.NewSender(time.Second), secret: b.Credentials.ClientSecret, waiting: map[string]chan<- struct{}{}}
	s.AWS.SetIntercept(load.watch)
	if _, err := load.document(ctx); err != nil { // the cold starts
		return nil, err
	}
	for _, waiting := range []int{1, 10, 100} {
		row, err := measure(ctx, waiting, load.document)
		if err != nil {
			return nil, err
		}
		rows = append(rows, append([]string{"webhook to row, " + name}, row...))
	}
	if environment != nil {
		return rows, nil
	}
	s.StopPoller() //nolint:contextcheck // it waits for the batches that run
	for _, waiting := range []int{1, 10, 100} {
		row, err := measure(ctx, waiting, load.webhook)
		if err != nil {
			return nil, err
		}
		rows = append(rows, append([]string{"webhook to answer"}, row...))
	}
	return rows, nil
}

// measure keeps so many going at a time, and returns their number, their rate, and
// how long they take.
func measure(ctx context.Context, waiting int, one func(context.Context) (time.Duration, error)) ([]string, error) {
	var mu sync.Mutex
	var times []float64
	var failed error
	var all sync.WaitGroup
	begin := time.Now()
	for range waiting {
		all.Go(func() {
			for time.Since(begin) < pipelineTime {
				took, err := one(ctx)
				mu.Lock()
				if err != nil {
					failed = err
				}
				times = append(times, float64(took))
				done := failed != nil
				mu.Unlock()
				if done {
					return
				}
			}
		})
	}
	all.Wait()
	if failed != nil {
		return nil, failed
	}
	rate := float64(len(times)) / time.Since(begin).Seconds()
	return []string{
		fmt.Sprint(waiting), fmt.Sprintf("%.0f", rate), duration(percentile(times, 0.5)), duration(percentile(times, 0.99)),
	}, nil
}

// A load sends webhooks and waits for what becomes of them.
type load struct {
	stack  *stack.Stack
	sender *standin.Sender
	secret string
	ids    atomic.Int64

	mu      sync.Mutex
	waiting map[string]chan<- struct{} // for rows, by id
}

var storedID = regexp.MustCompile(`"Item":\{"id":\{"S":"(\d+)"`)

// watch tells those who wait for a row when the table has it.
func (l *load) watch(service endpoint.Service, next http.Handler, w http.ResponseWriter, r *http.Request) {
	if service != endpoint.DynamoDB || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutItem") {
		next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	next.ServeHTTP(w, r)
	if id := storedID.FindSubmatch(body); id != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if stored, ok := l.waiting[string(id[1])]; ok {
			delete(l.waiting, string(id[1]))
			close(stored)
		}
	}
}

// document sends a webhook and waits until its document is in the table.
func (l *load) document(ctx context.Context) (time.Duration, error) {
	id := l.ids.Add(1)
	stored := make(chan struct{})
	l.mu.Lock()
	l.waiting[fmt.Sprint(id)] = stored
	l.mu.Unlock()
	begin := time.Now()
	if err := l.post(ctx, id); err != nil {
		return 0, err
	}
	select {
	case <-stored:
		return time.Since(begin), nil
	case <-time.After(rowTimeout):
		return 0, fmt.Errorf("document %d was not stored within %v", id, rowTimeout)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// webhook sends a webhook and waits for its answer.
func (l *load) webhook(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	err := l.post(ctx, l.ids.Add(1))
	return time.Since(begin), err
}

func (l *load) post(ctx context.Context, id int64) error {
	data := fmt.Sprintf(`{"id": %d, "created": "2026-06-25 14:03:04"}`, id)
	webhook, err := standin.Sign("document.created", data, l.secret)
	if err != nil {
		return err
	}
	if answer := l.sender.Post(ctx, l.stack.WebhookURL, webhook); answer.Status != http.StatusOK {
		return fmt.Errorf("the webhook was answered %d: %w", answer.Status, answer.Err)
	}
	return nil
}

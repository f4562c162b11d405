// Package demo shows the pipeline at work: it lets the stand-in for Veryfi
// deliver a dozen webhooks of every kind to a stack, and the reconciler find a
// document whose webhook never came; it waits until they are through, prints what
// became of them, and compares it with what must.
package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/deployment/console"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/secret"
)

const (
	// throughWithin bounds each of the two parts.
	throughWithin = 60 * time.Second
	// lookEvery is the time between two looks at the table.
	lookEvery = 100 * time.Millisecond
	// redelivery stands for Veryfi's wait between attempts.
	redelivery = 50 * time.Millisecond
)

// Logs keeps what the functions wrote, to look for secrets in it. It may be
// used by several goroutines at once.
type Logs struct {
	mu    sync.Mutex
	lines []string
}

// Add keeps a line of a function or of the stack.
func (l *Logs) Add(source, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, source+": "+line)
}

// Containing returns the lines that hold a text.
func (l *Logs) Containing(text string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// A delivery is a step and the answers it got.
type delivery struct {
	step
	answers []standin.Answer
}

func (d delivery) last() standin.Answer { return d.answers[len(d.answers)-1] }

// Run runs the demo on a fresh stack and returns what is wrong, a sentence
// each. An error means that the demo itself could not go on.
func Run(ctx context.Context, s *stack.Stack, credentials secret.Credentials, logs *Logs, out *console.Console) (problems []string, err error) {
	prepare(s.Veryfi)
	steps, err := webhooks(credentials.ClientSecret)
	if err != nil {
		return nil, err
	}
	out.Step("delivering %d webhooks to %s", len(steps), s.WebhookURL)
	deliveries := deliver(ctx, s, steps)
	late, err := waitThrough(ctx, s, steps)
	if err != nil {
		return nil, err
	}
	out.Step("running the reconciler")
	if _, err := s.Reconciler.Invoke(ctx, []byte("{}")); err != nil {
		return nil, fmt.Errorf("run the reconciler: %w", err)
	}
	again := replays(steps[0])
	steps = append(steps, neverCame)
	out.Step("delivering %d of them again", len(again))
	deliveries = append(deliveries, deliver(ctx, s, again)...)
	lateAgain, err := waitThrough(ctx, s, steps)
	if err != nil {
		return nil, err
	}
	rows, err := s.Rows(ctx)
	if err != nil {
		return nil, err
	}
	printDeliveries(out, deliveries)
	printRows(out, rows)
	problems = slices.Concat(late, lateAgain, checkAnswers(deliveries), checkRows(steps, rows), checkLarge(rows), checkRequests(s), checkLogs(logs, credentials))
	dead, err := s.Messages(ctx, s.DeadLetterQueueURL)
	if err == nil && dead > 0 {
		problems = append(problems, fmt.Sprintf("the dead-letter queue holds %d messages, not 0", dead))
	}
	return problems, err
}

func deliver(ctx context.Context, s *stack.Stack, steps []step) (deliveries []delivery) {
	sender := standin.NewSender(redelivery)
	for _, step := range steps {
		deliveries = append(deliveries, delivery{step, sender.Deliver(ctx, s.WebhookURL, step.webhook)})
	}
	return deliveries
}

// waitThrough waits until the queue is empty and no expected row is missing or
// will be tried again. It returns a problem when that takes too long.
func waitThrough(ctx context.Context, s *stack.Stack, steps []step) (problems []string, err error) {
	for end := time.Now().Add(throughWithin); ; {
		rows, err := s.Rows(ctx)
		if err != nil {
			return nil, err
		}
		waiting, err := s.Messages(ctx, s.QueueURL)
		if err != nil {
			return nil, err
		}
		if waiting == 0 && allDone(steps, rows) {
			return nil, nil
		}
		if time.Now().After(end) {
			return []string{fmt.Sprintf("not all is through after %v: the queue holds %d messages", throughWithin, waiting)}, nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func allDone(steps []step, rows map[string]stack.Row) bool {
	for _, step := range steps {
		for _, want := range step.rows {
			if row, ok := find(rows, want.id); !ok || row.Status == "retrying" {
				return false
			}
		}
	}
	return true
}

func find(rows map[string]stack.Row, id string) (stack.Row, bool) {
	if !strings.HasSuffix(id, "#") {
		row, ok := rows[id]
		return row, ok
	}
	for key, row := range rows {
		if strings.HasPrefix(key, id) {
			return row, true
		}
	}
	return stack.Row{}, false
}

func checkAnswers(deliveries []delivery) (problems []string) {
	for _, d := range deliveries {
		if got := d.last(); got.Err != nil {
			problems = append(problems, fmt.Sprintf("webhook %q: no answer: %v", d.name, got.Err))
		} else if got.Status != d.status {
			problems = append(problems, fmt.Sprintf("webhook %q was answered %d, not %d: %s", d.name, got.Status, d.status, got.Body))
		}
	}
	return problems
}

// checkRows compares all rows; one that nothing announces is a problem too.
func checkRows(steps []step, rows map[string]stack.Row) (problems []string) {
	expected := map[string]bool{}
	for _, step := range steps {
		for _, want := range step.rows {
			row, ok := find(rows, want.id)
			if !ok {
				problems = append(problems, fmt.Sprintf("row %s is missing", want.id))
				continue
			}
			expected[row.ID] = true
			problems = append(problems, want.problemsOf(row)...)
		}
	}
	for id, row := range rows {
		if !expected[id] {
			problems = append(problems, fmt.Sprintf("row %s (%s) must not be there", id, row.Status))
		}
	}
	return problems
}

// checkLarge compares the gzipped document with what Veryfi served.
func checkLarge(rows map[string]stack.Row) []string {
	value, ok := rows[strconv.Itoa(largeID)].Item["document_gzip"].(*types.AttributeValueMemberB)
	if !ok {
		return nil // told already
	}
	reader, err := gzip.NewReader(bytes.NewReader(value.Value))
	if err == nil {
		var text []byte
		text, err = io.ReadAll(reader)
		if err == nil && !bytes.Equal(text, standin.Large(largeID, largeSize)) {
			err = errors.New("it is not what Veryfi served")
		}
	}
	if err != nil {
		return []string{fmt.Sprintf("row %d: document_gzip: %v", largeID, err)}
	}
	return nil
}

// checkRequests makes sure that replays cost no GET.
func checkRequests(s *stack.Stack) []string {
	if n := len(s.Veryfi.RequestsFor(standin.Documents, receiptID)); n != 1 {
		return []string{fmt.Sprintf("document %d was retrieved %d times, not once", receiptID, n)}
	}
	return nil
}

func checkLogs(logs *Logs, credentials secret.Credentials) (problems []string) {
	for name, secret := range map[string]string{"client secret": credentials.ClientSecret, "API key": credentials.APIKey} {
		if lines := logs.Containing(secret); len(lines) > 0 {
			problems = append(problems, fmt.Sprintf("%d log lines hold the %s", len(lines), name))
		}
	}
	return problems
}

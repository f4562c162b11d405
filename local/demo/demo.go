// Package demo shows the pipeline at work: it lets the stand-in for Veryfi
// deliver a dozen webhooks of every kind to a stack, and the reconciler find a
// document without a webhook; it waits until they are through, prints what became
// of them, and compares it with what is expected.
package demo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"time"

	"veryfi-intake/deployment/console"
	"veryfi-intake/deployment/webhook"
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
// used by any number of goroutines.
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
	answers []webhook.Answer
}

func (d delivery) last() webhook.Answer { return d.answers[len(d.answers)-1] }

// A demo is one on its way.
type demo struct {
	stack       *stack.Stack
	credentials secret.Credentials
	steps       []step // whose rows must be there
	deliveries  []delivery
	problems    []string
}

// Run runs the demo on a fresh stack and returns what is wrong, a sentence
// each. An error means that the demo itself could not continue.
func Run(ctx context.Context, s *stack.Stack, credentials secret.Credentials, logs *Logs, out *console.Console) (problems []string, err error) {
	d := &demo{stack: s, credentials: credentials, steps: webhooks()}
	prepare(s.Veryfi)
	out.Step("delivering %d webhooks to %s", len(d.steps), s.WebhookURL)
	if err := d.deliver(ctx, d.steps); err != nil {
		return nil, err
	}
	out.Step("running the reconciler")
	if _, err := s.Reconciler.Invoke(ctx, []byte("{}")); err != nil {
		return nil, fmt.Errorf("run the reconciler: %w", err)
	}
	again := replays(d.steps[0])
	d.steps = append(d.steps, neverCame)
	out.Step("delivering %d of them again", len(again))
	if err := d.deliver(ctx, again); err != nil {
		return nil, err
	}
	rows, err := s.Rows(ctx)
	if err != nil {
		return nil, err
	}
	dead, err := s.Messages(ctx, s.DeadLetterQueueURL)
	if err != nil {
		return nil, err
	}
	printDeliveries(out, d.deliveries)
	printRows(out, rows)
	d.checkAnswers()
	d.checkRows(rows)
	d.checkLogs(logs)
	if n := len(s.Veryfi.RequestsFor(standin.Documents, receiptID)); n != 1 { // replays cost none
		d.problem("document %d was retrieved %d times, not once", receiptID, n)
	}
	if dead > 0 {
		d.problem("the dead-letter queue holds %d messages, not 0", dead)
	}
	return d.problems, nil
}

func (d *demo) problem(format string, values ...any) {
	d.problems = append(d.problems, fmt.Sprintf(format, values...))
}

// deliver sends the webhooks of steps, and waits until the queue is empty and no
// expected row is missing or will be tried again. It is a problem when that takes too
// long.
func (d *demo) deliver(ctx context.Context, steps []step) error {
	sender := standin.NewSender(redelivery)
	for _, step := range steps {
		webhook, err := webhook.Sign(step.event, step.data, cmp.Or(step.secret, d.credentials.ClientSecret))
		if err != nil {
			return err
		}
		d.deliveries = append(d.deliveries, delivery{step, sender.Deliver(ctx, d.stack.WebhookURL, webhook)})
	}
	for end := time.Now().Add(throughWithin); ; {
		rows, err := d.stack.Rows(ctx)
		if err != nil {
			return err
		}
		waiting, err := d.stack.Messages(ctx, d.stack.QueueURL)
		if err != nil {
			return err
		}
		if waiting == 0 && d.isThrough(rows) {
			return nil
		}
		if time.Now().After(end) {
			d.problem("not all is through after %v: the queue holds %d messages", throughWithin, waiting)
			return nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (d *demo) isThrough(rows map[string]stack.Row) bool {
	for _, step := range d.steps {
		for _, want := range step.rows {
			if row, ok := find(rows, want.id); !ok || row.Status == "retrying" {
				return false
			}
		}
	}
	return true
}

func find(rows map[string]stack.Row, id string) (stack.Row, bool) {
	for key, row := range rows {
		if key == id || strings.HasSuffix(id, "#") && strings.HasPrefix(key, id) {
			return row, true
		}
	}
	return stack.Row{}, false
}

func (d *demo) checkAnswers() {
	for _, delivery := range d.deliveries {
		if got := delivery.last(); got.Err != nil {
			d.problem("webhook %q: no answer: %v", delivery.name, got.Err)
		} else if got.Status != delivery.status {
			d.problem("webhook %q was answered %d, not %d: %s", delivery.name, got.Status, delivery.status, got.Body)
		}
	}
}

// checkRows compares all rows; one that nothing announces is a problem too.
func (d *demo) checkRows(rows map[string]stack.Row) {
	expected := map[string]bool{}
	for _, step := range d.steps {
		for _, want := range step.rows {
			row, ok := find(rows, want.id)
			if !ok {
				d.problem("row %s is missing", want.id)
				continue
			}
			expected[row.ID] = true
			d.checkRow(row, want)
		}
	}
	for id, row := range rows {
		if !expected[id] {
			d.problem("row %s (%s) must not be there", id, row.Status)
		}
	}
}

func (d *demo) checkRow(row stack.Row, want expectation) {
	if want.status != "" && row.Status != want.status {
		d.problem("row %s: status is %q, not %q", row.ID, row.Status, want.status)
	}
	if form := formOf(row.Item); want.form != "" && form != want.form {
		d.problem("row %s: form is %q, not %q", row.ID, form, want.form)
	}
	if want.attempts != 0 && row.Attempts != want.attempts {
		d.problem("row %s: %d attempts, not %d", row.ID, row.Attempts, want.attempts)
	}
	if !strings.Contains(row.Error, want.error) {
		d.problem("row %s: error is %q, not %q", row.ID, row.Error, want.error)
	}
	if want.document == nil {
		return
	}
	got, err := row.Item.Document()
	isSame := reflect.DeepEqual(valueOf(got), valueOf(want.document))
	if want.form == gzipped {
		isSame = bytes.Equal(got, want.document)
	}
	switch {
	case err != nil:
		d.problem("row %s: %v", row.ID, err)
	case !isSame:
		d.problem("row %s: the document is not what Veryfi served", row.ID)
	}
}

// valueOf returns the value of a JSON text, in which 12.10 and 12.1 are the same.
func valueOf(text []byte) (value any) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return string(text)
	}
	return exact(value)
}

func exact(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = exact(member)
		}
	case []any:
		for i, member := range v {
			v[i] = exact(member)
		}
	case json.Number:
		number, _ := new(big.Rat).SetString(v.String())
		return number.RatString()
	}
	return value
}

func (d *demo) checkLogs(logs *Logs) {
	for name, secret := range map[string]string{"client secret": d.credentials.ClientSecret, "API key": d.credentials.APIKey} {
		if lines := logs.Containing(secret); len(lines) > 0 {
			d.problem("%d log lines hold the %s", len(lines), name)
		}
	}
}

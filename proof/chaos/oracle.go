package chaos

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/stack"
	"veryfi-intake/proof/rowcheck"
	"veryfi-intake/shared/event"
)

// check compares the rows with what was acknowledged. Before the redrive a document
// may be given up.
func (r *run) check(ctx context.Context, mayBeGivenUp bool) error {
	rows, err := r.stack.Rows(ctx)
	if err != nil {
		return err
	}
	dead, err := r.deadLetters(ctx)
	if err != nil {
		return err
	}
	r.judge(rows, dead, mayBeGivenUp)
	return nil
}

func (r *run) judge(rows map[string]stack.Row, dead map[string]bool, mayBeGivenUp bool) {
	r.report.Rows, r.report.Deleted = map[string]int{}, 0
	expected := map[string]bool{}
	for _, x := range r.traffic.subjects {
		expected[x.key] = true
		broken := len(r.report.Violations)
		row, exists := rows[x.key]
		isLost := x.autoDelete && (r.front.wasConsumed(x.path) || len(r.logs.Containing("it is lost")) > 0 || r.wasKilled())
		switch {
		case x.forged && exists:
			r.violate("row %s comes from a forged call", x.key)
		case !x.accepted:
			continue
		case !exists:
			r.violate("%s was acknowledged and has no row", x.key)
		case row.Status == "error" && !dead[x.key]:
			r.violate("row %s is given up and has no dead letter: %s", x.key, row.Error)
		case row.Status == "processed" && x.status == "processed":
			if diff := rowcheck.Difference(row.Item, x.body); diff != "" {
				r.violate("row %s does not hold the document: %s", x.key, diff)
			}
		case row.Status == "error" && isLost:
			r.report.Deleted++
		case row.Status != x.status && mayBeGivenUp && dead[x.key]: // it will be moved back
		case row.Status == "error" && x.status == "failed" && slices.Contains(r.traffic.swapped[x.key], "error"):
		case row.Status != x.status:
			r.violate("row %s is %s, not %s: %s", x.key, row.Status, x.status, row.Error)
		}
		r.report.Rows[row.Status]++
		if len(r.report.Violations) > broken {
			r.report.Lost++
		}
	}
	for key, row := range rows {
		allowed := r.traffic.swapped[key]
		switch {
		case row.Status == "retrying" && (!mayBeGivenUp || !dead[key]):
			r.violate("row %s is left retrying: %s", key, row.Error)
		case expected[key]:
		case len(allowed) == 0:
			r.violate("row %s comes from nothing", key)
		case row.Status != "retrying" && !slices.Contains(allowed, row.Status):
			r.violate("row %s of a caught call is %s: %s", key, row.Status, row.Error)
		}
	}
}

// replays is how many caught calls are sent again at the end, under each name.
const replays = 50

// replay sends caught calls again when all is quiet: about what is stored under all
// names, about what is known to be missing under those of documents. It must change
// nothing, and cost no request.
func (r *run) replay(ctx context.Context) error {
	before, err := r.stack.Rows(ctx)
	if err != nil {
		return err
	}
	requests := r.front.requests()
	r.options.Progress("sending caught calls again, under all names")
	for _, i := range r.random.Perm(len(r.traffic.caught))[:min(replays, len(r.traffic.caught))] {
		r.sendAgain(ctx, settled(r.traffic.caught[i], before))
	}
	if err := r.quiet(ctx, "the replay"); err != nil {
		return err
	}
	after, err := r.stack.Rows(ctx)
	if err != nil {
		return err
	}
	r.judgeReplay(before, after, r.front.requests()-requests)
	return nil
}

// sendAgain sends calls whose signature is genuine.
func (r *run) sendAgain(ctx context.Context, calls []webhook.Webhook) {
	for _, webhook := range calls {
		if answer := r.traffic.sender.Post(ctx, r.traffic.url, webhook); answer.Status != http.StatusOK {
			r.violate("a caught call is answered %d, %v", answer.Status, answer.Err)
		}
	}
}

// settled returns a caught call under all names that must change nothing, except that
// its data is kept.
func settled(c caught, rows map[string]stack.Row) (again []webhook.Webhook) {
	isMissing := func(x *subject) bool {
		row := rows[x.key]
		return x.id != 0 && row.Status == "error" && strings.HasPrefix(row.Error, "not found: ")
	}
	isOther := func(x *subject) bool { return rows[x.key].Status != "processed" && !isMissing(x) }
	if slices.ContainsFunc(c.about, isOther) {
		return nil
	}
	for _, name := range names {
		if strings.HasPrefix(name, "document.") && c.webhook.Event == "document.created" || !slices.ContainsFunc(c.about, isMissing) {
			webhook := c.webhook
			webhook.Event = name
			again = append(again, webhook)
		}
	}
	return again
}

// judgeReplay compares the rows with what they were before the replay.
func (r *run) judgeReplay(before, after map[string]stack.Row, requests int) {
	for key, row := range after {
		if !strings.HasPrefix(key, "unsupported#") && !row.UpdatedAt.Equal(before[key].UpdatedAt) {
			r.violate("a replay has written row %s: %s %s", key, row.Status, row.Error)
		}
	}
	if requests > 0 {
		r.violate("a replay has cost %d requests to Veryfi", requests)
	}
}

// wasKilled reports whether a function was killed: then a document that was just
// retrieved may have died with it.
func (r *run) wasKilled() bool {
	r.injector.mu.Lock()
	defer r.injector.mu.Unlock()
	return r.injector.counts["ProcessorFunction"][killed]+r.injector.counts["all functions"][killed] > 0
}

// deadLetters returns the keys of the rows whose messages are in the dead-letter
// queue. It leaves them there.
func (r *run) deadLetters(ctx context.Context) (map[string]bool, error) {
	keys := map[string]bool{}
	for {
		out, err := r.stack.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &r.stack.DeadLetterQueueURL, MaxNumberOfMessages: 10, VisibilityTimeout: 5})
		if err != nil {
			return nil, err
		}
		if len(out.Messages) == 0 {
			return keys, nil
		}
		for _, m := range out.Messages {
			keys[r.keyOf(aws.ToString(m.Body))] = true
		}
	}
}

// keyOf returns the key of the row of a dead letter.
func (r *run) keyOf(body string) string {
	message, err := event.DecodeMessage(body)
	if err != nil {
		r.violate("a dead letter cannot be read: %v", err)
	}
	return message.Key()
}

// redrive moves the dead letters back, as an operator does when all goes well again.
func (r *run) redrive(ctx context.Context) error {
	time.Sleep(6 * time.Second) // until deadLetters' receives are over
	operator, err := deployment.Find(ctx, deployment.Options{Name: stack.Name, LocalEndpoint: r.stack.AWSURL, Now: time.Now})
	if err != nil {
		return err
	}
	redrive, err := operator.RedriveAll(ctx, func(int, int) {})
	if r.report.Redriven = redrive.Moved; err != nil || redrive.Moved == 0 {
		return err
	}
	if err := r.quiet(ctx, "the redrive"); err != nil {
		return err
	}
	return r.check(ctx, false)
}

// finish adds what is not in the rows to the report.
func (r *run) finish() {
	r.report.Faults, r.report.Webhooks, r.report.Busiest = r.injector.counts, r.traffic.sent, r.front.busiest()
	if r.report.Busiest > 60 {
		r.violate("%d requests to Veryfi in a second", r.report.Busiest)
	}
	for _, line := range r.logs.Containing(private) {
		r.violate("a log line tells a secret: %s", line)
	}
}

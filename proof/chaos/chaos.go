// Package chaos runs the stack, with the real functions, amid faults: services
// that refuse, break off, lie or are throttled, functions that are killed, calls
// that are repeated, forged and reordered. When all is quiet again it holds the
// rows against what was acknowledged.
package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/local/demo"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
	"veryfi-intake/proof/rowcheck"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/secret"
)

// Options of a run.
type Options struct {
	Root     string
	Seed     uint64
	Duration time.Duration // of the faults
	Patience time.Duration // until all is quiet afterwards
	Progress func(string)
}

// A Report says what was done and what has come of it.
type Report struct {
	Faults   map[string]map[string]int // by place and kind
	Webhooks int
	// Rows counts what was acknowledged, by what became of it.
	Rows map[string]int
	// Redriven is how many dead letters were moved back, Deleted how many documents
	// nobody has any more, because Veryfi deleted them with an answer that did not
	// arrive, or arrived at a function that was killed. Lost is how many others are
	// neither stored nor accounted for.
	Redriven, Deleted, Lost int
	Busiest                 int      // requests to Veryfi in any second
	Violations              []string // of what is promised
}

const (
	// visibility replaces the queue's visibility time-out: what a dead function has
	// received comes again after so long.
	visibility = 12 * time.Second
	senders    = 6
	faultRate  = 0.12
)

// credentials are those before and after the rotation.
func credentials(word string) secret.Credentials {
	return secret.Credentials{ClientID: "id-" + word, ClientSecret: private + "-secret-" + word, Username: "user-" + word, APIKey: private + "-key-" + word}
}

// run is one run.
type run struct {
	options  Options
	random   *rand.Rand
	injector *injector
	front    *front
	stack    *stack.Stack
	traffic  *traffic
	logs     demo.Logs
	gates    [2]*gate // of AWS and of Veryfi
	report   Report

	left func(context.Context) (int, error) // messages in the queue

	mu  sync.Mutex
	now secret.Credentials
}

// Run runs the stack amid faults. The error says that the run itself could not be
// made; what is broken is in the report.
func Run(ctx context.Context, options Options) (Report, error) {
	r := &run{options: options, random: rand.New(rand.NewPCG(options.Seed, 0)), now: credentials("first")}
	r.injector = newInjector(rand.New(rand.NewPCG(options.Seed, 1)), faultRate)
	r.front = &front{injector: r.injector, veryfi: func() *standin.Server { return r.stack.Veryfi }, consumed: map[string]bool{}}
	stop, err := r.start(ctx)
	defer stop()
	if err != nil {
		return Report{}, err
	}
	r.faults(ctx)
	if err := r.quiet(ctx, "the faults"); err != nil {
		return Report{}, err
	}
	if err := r.check(ctx, true); err != nil {
		return Report{}, err
	}
	if err := r.redrive(ctx); err != nil {
		return Report{}, err
	}
	if err := r.replay(ctx); err != nil {
		return Report{}, err
	}
	r.finish()
	return r.report, nil
}

// start starts the stack behind the gates.
func (r *run) start(ctx context.Context) (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	for i := range r.gates {
		if r.gates[i], err = newGate(); err != nil {
			return stop, err
		}
		stops = append(stops, r.gates[i].stop)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return stop, err
	}
	r.stack, err = stack.Start(ctx, stack.Options{
		Root: r.options.Root, Credentials: r.now, Log: r.logs.Add, Progress: r.options.Progress,
		FrontOfAWS: "http://" + r.gates[0].address, FrontOfVeryfi: "http://" + r.gates[1].address,
	})
	if err != nil {
		listener.Close()
		return stop, err
	}
	stops = append(stops, r.stack.Stop)
	server := &http.Server{Handler: r.front}
	go func() { _ = server.Serve(listener) }()
	stops = append(stops, func() { server.Close() })
	r.gates[0].setBackend(strings.TrimPrefix(r.stack.AWSURL, "http://"))
	r.gates[1].setBackend(listener.Addr().String())
	_, err = r.stack.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &r.stack.QueueURL, Attributes: map[string]string{"VisibilityTimeout": strconv.Itoa(int(visibility.Seconds()))},
	})
	r.traffic = &traffic{
		random: rand.New(rand.NewPCG(r.options.Seed, 2)), url: r.stack.WebhookURL, veryfi: r.stack.Veryfi,
		sender: standin.NewSender(500 * time.Millisecond), nextID: 1_000_000, secrets: r.credentials, swapped: map[string][]string{},
	}
	r.left = func(ctx context.Context) (int, error) { return r.stack.Messages(ctx, r.stack.QueueURL) }
	return stop, err
}

func (r *run) credentials() secret.Credentials {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// faults lets webhooks come for the duration of the run while things fail.
func (r *run) faults(ctx context.Context) {
	r.options.Progress(fmt.Sprintf("faults for %v, seed %d", r.options.Duration, r.options.Seed))
	ctx, cancel := context.WithTimeout(ctx, r.options.Duration)
	defer cancel()
	r.stack.AWS.SetIntercept(r.injector.aws)
	var group sync.WaitGroup
	group.Go(func() { r.traffic.run(ctx, senders) })
	group.Go(func() { r.disturb(ctx) })
	group.Go(func() {
		select {
		case <-time.After(r.options.Duration / 2):
			r.rotate()
		case <-ctx.Done():
		}
	})
	group.Wait()
	r.injector.stop()
}

// disturb kills functions and closes gates, now and then.
func (r *run) disturb(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(300+r.random.IntN(1700)) * time.Millisecond):
		}
		switch r.random.IntN(8) {
		case 0, 1, 2:
			if r.stack.Processor.KillOne() {
				r.injector.count("ProcessorFunction", killed)
			}
		case 3, 4:
			if r.stack.Webhook.KillOne() {
				r.injector.count("WebhookFunction", killed)
			}
		case 5:
			r.injector.count("AWS", refused)
			r.gates[0].refuse(time.Duration(200+r.random.IntN(1500)) * time.Millisecond)
		case 6:
			r.injector.count("Veryfi", refused)
			r.gates[1].refuse(time.Duration(200+r.random.IntN(1500)) * time.Millisecond)
		case 7:
			r.injector.count("all functions", killed)
			r.stack.Processor.Kill()
			r.stack.Webhook.Kill()
		}
	}
}

// rotate replaces the credentials, at Veryfi first.
func (r *run) rotate() {
	next := credentials("second")
	r.stack.Veryfi.SetCredentials(next)
	r.mu.Lock()
	r.now = next
	r.mu.Unlock()
	time.Sleep(time.Second)
	if text, err := json.Marshal(next); err == nil { // four strings
		r.stack.Secrets.Put(string(text))
	}
	r.injector.count("Secrets Manager", "rotated")
}

// quiet waits until the queue is empty.
func (r *run) quiet(ctx context.Context, after string) error {
	r.options.Progress("waiting until all is quiet after " + after)
	for end := time.Now().Add(r.options.Patience); ; {
		waiting, err := r.left(ctx)
		if err != nil {
			return err
		}
		if waiting == 0 {
			return nil
		}
		if time.Now().After(end) {
			r.violate("%v after %s the queue still holds %d messages", r.options.Patience, after, waiting)
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (r *run) violate(format string, arguments ...any) {
	r.report.Violations = append(r.report.Violations, fmt.Sprintf(format, arguments...))
}

// check holds the rows against what was acknowledged. Before the redrive a document
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

// replays is how many caught calls are sent again in the end, under each name.
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
func (r *run) sendAgain(ctx context.Context, calls []standin.Webhook) {
	for _, webhook := range calls {
		if answer := r.traffic.sender.Post(ctx, r.traffic.url, webhook); answer.Status != http.StatusOK {
			r.violate("a caught call is answered %d, %v", answer.Status, answer.Err)
		}
	}
}

// settled returns a caught call under all names under which nothing may come of it,
// but that its data is kept.
func settled(c caught, rows map[string]stack.Row) (again []standin.Webhook) {
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

// judgeReplay holds the rows against what they were before the replay.
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

// redrive moves the dead letters back, now that all goes well.
func (r *run) redrive(ctx context.Context) error {
	time.Sleep(6 * time.Second) // until deadLetters' receives are over
	count, err := r.stack.Messages(ctx, r.stack.DeadLetterQueueURL)
	if err != nil {
		return err
	}
	if r.report.Redriven = count; count == 0 {
		return nil
	}
	arn := func(name string) *string { return aws.String("arn:aws:sqs:elasticmq:000000000000:" + name) }
	if _, err := r.stack.SQS.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{
		SourceArn: arn("DeadLetterQueue"), DestinationArn: arn("DocumentQueue"),
	}); err != nil {
		return err
	}
	if err := r.moved(ctx, arn("DeadLetterQueue")); err != nil {
		return err
	}
	if err := r.quiet(ctx, "the redrive"); err != nil {
		return err
	}
	return r.check(ctx, false)
}

// moved waits until no dead letter is on its way: the queue may be empty before.
func (r *run) moved(ctx context.Context, source *string) error {
	for {
		out, err := r.stack.SQS.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: source})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(out.Results, func(t types.ListMessageMoveTasksResultEntry) bool { return aws.ToString(t.Status) == "RUNNING" }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
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

// unsupportedKey is the key of the row of an event that is not known.
func unsupportedKey(name, data string) string {
	return event.Message{Event: name, Data: event.Text(data)}.Key()
}

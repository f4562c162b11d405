// Package chaos runs the stack, with the real functions, while things fail: services
// refuse, break off, lie or throttle, functions are killed, calls are repeated, forged
// and reordered. When all is quiet again it compares the rows with what was
// acknowledged.
package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/local/demo"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
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

// A Report says what was done, and the result.
type Report struct {
	Faults   map[string]map[string]int // by place and kind
	Webhooks int
	Rows     map[string]int // of what was acknowledged, by status
	// Redriven is how many dead letters were moved back, Deleted how many documents
	// nobody has any more, because Veryfi deleted them with an answer that did not
	// arrive, or arrived at a function that was killed. Lost is how many others are
	// neither stored nor accounted for.
	Redriven, Deleted, Lost int
	Busiest                 int      // requests to Veryfi in any second
	Violations              []string // of what is promised
}

const (
	// visibility replaces the queue's visibility timeout: what a dead function has
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
}

// Run runs the stack with faults. The error says that the run itself could not be
// made; what is broken is in the report.
func Run(ctx context.Context, options Options) (Report, error) {
	r := &run{options: options, random: rand.New(rand.NewPCG(options.Seed, 0))}
	r.injector = newInjector(rand.New(rand.NewPCG(options.Seed, 1)), faultRate)
	r.front = &front{injector: r.injector, consumed: map[string]bool{}}
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
	r.stack, err = stack.Start(ctx, stack.Options{
		Root: r.options.Root, Credentials: credentials("first"), Log: r.logs.Add, Progress: r.options.Progress,
		FrontOfAWS: "http://" + r.gates[0].address, FrontOfVeryfi: "http://" + r.gates[1].address,
	})
	if err != nil {
		return stop, err
	}
	stops = append(stops, r.stack.Stop)
	r.gates[0].Handle("/", r.stack.AWS)
	r.front.veryfi = r.stack.Veryfi
	r.gates[1].Handle("/", r.front)
	_, err = r.stack.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: &r.stack.QueueURL, Attributes: map[string]string{"VisibilityTimeout": strconv.Itoa(int(visibility.Seconds()))},
	})
	r.traffic = &traffic{
		random: rand.New(rand.NewPCG(r.options.Seed, 2)), url: r.stack.WebhookURL, veryfi: r.stack.Veryfi,
		sender: standin.NewSender(500 * time.Millisecond), nextID: 1_000_000, secret: credentials("first").ClientSecret, swapped: map[string][]string{},
	}
	r.left = func(ctx context.Context) (int, error) { return r.stack.Messages(ctx, r.stack.QueueURL) }
	return stop, err
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
	r.traffic.mu.Lock()
	r.traffic.secret = next.ClientSecret
	r.traffic.mu.Unlock()
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

package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	processor "veryfi-intake/functions/processor/retrieve"
	reconciler "veryfi-intake/functions/reconciler/reconcile"
	webhook "veryfi-intake/functions/webhook/receive"
	sqs "veryfi-intake/local/aws/queue"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

const (
	documentQueue = "DocumentQueue"
	tableName     = "DocumentTable"
	secretID      = "VeryfiSecret"
)

// An environment is one process of a function. Dead, it does nothing any more.
type environment struct {
	w    *World
	name string
	born time.Time
	life context.Context //nolint:containedctx // it ends with the process
	die  func()

	receiver    *webhook.Handler // of an environment of the webhook
	rounds      atomic.Int64     // of the messages that it processes
	secretReads atomic.Int64
}

func (w *World) newEnvironment(name string) *environment {
	life, die := context.WithCancel(context.Background())
	return &environment{w: w, name: name, born: time.Now(), life: life, die: die}
}

func (e *environment) isDead() bool { return e.life.Err() != nil }

// answerTimeout is how long the SDK waits for a service that hangs, with all its
// repetitions.
const answerTimeout = 12 * time.Second

// call is one call of a service. It reports whether the call has an effect, and what
// the caller gets: both, an effect without an answer, or neither. The environment may die
// of it.
func (e *environment) call(ctx context.Context, s service, about string) (effect bool, err error) {
	if e.isDead() {
		return false, errDead
	}
	w := e.w
	d := w.draw(e.name + " " + about)
	if outage := w.plan().outage(s); outage != nil && (!outage.writes || !strings.HasPrefix(about, "read")) {
		wait := d.latency()
		if outage.hangs {
			wait += answerTimeout
		}
		if sleep(ctx, wait) {
			return false, errRefused
		}
		return false, ctx.Err()
	}
	if !sleep(ctx, d.latency()) {
		return false, ctx.Err()
	}
	if e.isDead() {
		return false, errDead
	}
	deaths := w.plan().deaths
	switch chance, way := d.part(whether), d.part(whichWay) < 0.5; {
	case chance < deaths:
		w.story("%s dies, %s %s", e.name, map[bool]string{true: "after", false: "before"}[way], about)
		e.die()
		return way, errDead
	case chance >= deaths+w.plan().failures[s]:
		return true, nil
	case way:
		w.story("%s: %s fails, and is done all the same", e.name, about)
		return true, errLost
	default:
		w.story("%s: %s fails", e.name, about)
		return false, errRefused
	}
}

func (e *environment) secrets() orderedSecrets {
	return orderedSecrets{secret.New(secretsClient{e}, secretID, time.Now), e}
}

// orderedSecrets keeps the order of those who waited for the same reading of the
// secret: they came at different times, and would go at the same instant.
type orderedSecrets struct {
	*secret.Source
	e *environment
}

// Get is [secret.Source.Get].
func (s orderedSecrets) Get(ctx context.Context) (*secret.Secret, error) {
	return s.ordered(ctx, s.Source.Get)
}

// Reload is [secret.Source.Reload].
func (s orderedSecrets) Reload(ctx context.Context) (*secret.Secret, error) {
	return s.ordered(ctx, s.Source.Reload)
}

func (s orderedSecrets) ordered(ctx context.Context, get func(context.Context) (*secret.Secret, error)) (*secret.Secret, error) {
	came := time.Now()
	known, err := get(ctx)
	if !time.Now().Equal(came) {
		sleep(ctx, s.e.w.draw(fmt.Sprint(s.e.name, " has waited since ", came.Sub(s.e.w.start))).latency())
	}
	return known, err
}

// orderedClient sets those apart who ask at the same instant: the records of a
// batch do, whose rows were read together.
type orderedClient struct {
	*veryfi.Client
	e *environment
}

// Get is [veryfi.Client.Get].
func (c orderedClient) Get(ctx context.Context, resource veryfi.Resource, id int64) ([]byte, []veryfi.Answer, error) {
	sleep(ctx, c.e.w.draw(fmt.Sprint(c.e.name, " turns to Veryfi for ", resource, " ", id)).latency())
	return c.Client.Get(ctx, resource, id)
}

func (e *environment) client(rate float64) *veryfi.Client {
	client, err := veryfi.NewClient(veryfi.Config{
		BaseURL: "https://veryfi.example", RequestsPerSecond: rate, Secrets: e.secrets(), Transport: veryfiClient{e}, Now: time.Now,
	})
	if err != nil {
		panic(err) // fixed arguments
	}
	return client
}

func (e *environment) queue(url string) *queue.Queue { return queue.New(sqsClient{e}, url) }

func (e *environment) log() *slog.Logger { return slog.New(slog.NewTextHandler(e, nil)) }

// private is in each document, secret and key.
const private = "confidential"

// Write takes a line of the log, which must not disclose what is private.
func (e *environment) Write(line []byte) (int, error) {
	if e.isDead() {
		return len(line), nil
	}
	text := string(line[:len(line)-1])
	if strings.Contains(text, private) {
		e.w.violate("a log line tells a secret: %s", text)
	}
	if strings.Contains(text, "it is lost") {
		e.w.givenUp(text)
	}
	e.w.story("%s logs: %s", e.name, text)
	return len(line), nil
}

func (e *environment) webhook() *webhook.Handler {
	return &webhook.Handler{Secrets: e.secrets(), Queue: e.queue(documentQueue), Now: time.Now, Log: e.log()}
}

func (e *environment) processor() *processor.Handler {
	return &processor.Handler{
		Veryfi: orderedClient{e.client(e.w.plan().rate), e}, Table: store.New(tableClient{e}, tableName),
		Queue: e.queue(documentQueue), DeadLetters: e.queue(sqs.DeadLetterURL),
		MaxTries: e.w.plan().maxTries, GiveUpAfter: e.w.plan().giveUpAfter, Now: time.Now, Log: e.log(),
		Random: func() float64 { return e.w.draw(e.name + " random").part(whether) },
	}
}

func (e *environment) reconciler() *reconciler.Handler {
	return &reconciler.Handler{
		Lists: event.Kinds{}.All()[:1], Veryfi: e.client(2), Queue: e.queue(documentQueue),
		Table: store.NewReader(tableClient{e}, tableName), Kept: store.NewKept(tableClient{e}, tableName),
		Window: 12 * time.Hour, Grace: time.Hour, Now: time.Now, Log: e.log(),
	}
}

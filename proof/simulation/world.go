// Package simulation runs the real handlers in one process and in virtual time,
// between the models that local/ has of SQS, DynamoDB, Secrets Manager and Veryfi. A
// seed decides what happens: what arrives, which calls fail, which function dies in the
// middle of what, which service is out for hours. Afterwards nothing may be lost, forged
// or disclosed.
//
// The tests of this package are the runs: virtual time is that of
// [testing/synctest].
//
// A seed replays exactly. Goroutines are not scheduled in the same order each
// time, so nothing depends on that order: what happens in a call, and how long it
// takes, is drawn from the seed, from what the call is about, and from the time. So
// no two calls end at the same instant, and what follows them has an order.
package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"veryfi-intake/local/aws/queue"
	"veryfi-intake/local/aws/secrets"
	"veryfi-intake/local/aws/table"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/secret"
)

// A service is something that can fail.
type service int

const (
	atSQS service = iota
	atDynamoDB
	atSecretsManager
	atVeryfi
	numServices
)

func (s service) String() string {
	return [...]string{"SQS", "DynamoDB", "Secrets Manager", "Veryfi"}[s]
}

// What a call of a model may end with.
var (
	errDead    = errors.New("the function is dead")
	errRefused = errors.New("refused, as the schedule says")
	errLost    = errors.New("the answer was lost, as the schedule says")
)

// A World is one run of the simulation.
type World struct {
	seed  uint64
	start time.Time
	plans atomic.Pointer[plan] // what goes wrong now
	tell  func(string)         // gets the story, unless it is nil

	sqs     *queue.Queue
	table   *table.Table
	secrets *secrets.Server
	veryfi  *standin.Server
	lambda  *lambda

	mu          sync.Mutex
	violations  []string
	credentials secret.Credentials // Veryfi's
	documents   map[string]*stored // that Veryfi has or had, by path
	requests    []time.Time        // to Veryfi, of the last second

	schedule *schedule
}

// visibility is the queue's visibility timeout.
const visibility = 360 * time.Second

// newWorld returns a world in which nothing has happened yet.
func newWorld(seed uint64, p plan, tell func(string)) *World {
	w := &World{
		seed: seed, start: time.Now(), tell: tell, documents: map[string]*stored{}, credentials: credentials(0),
		table:   table.New(map[string]string{"problems": "updated_at"}),
		secrets: secrets.New(secretID, asJSON(secret.Credentials{ClientID: "unset", ClientSecret: "unset", Username: "unset", APIKey: "unset"})),
		veryfi:  standin.New(credentials(0)),
	}
	w.plans.Store(&p)
	w.sqs = queue.New(queue.Options{
		Visibility: visibility, MaxReceives: p.maxReceives, InFlight: p.ceiling,
		Choose:  func(about string, n int) int { return w.draw(about).below(whichOne, n) },
		Again:   func() bool { return w.draw("again").part(whether) < w.plan().duplicates },
		Subject: subjectOf, Note: w.story,
	})
	w.table.Wrote = w.wrote
	w.secrets.Put(asJSON(credentials(0)))
	w.lambda = &lambda{w: w}
	return w
}

func credentials(n int) secret.Credentials {
	word := fmt.Sprint(private, n)
	return secret.Credentials{ClientID: "id " + word, ClientSecret: "secret " + word, Username: "user " + word, APIKey: "key " + word}
}

func asJSON(c secret.Credentials) string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // four strings
	}
	return string(text)
}

// subjectOf returns what the messages about one document have in common.
func subjectOf(body string) string {
	if m, err := event.DecodeMessage(body); err == nil {
		return strconv.FormatInt(m.ID, 10)
	}
	return body
}

func (w *World) plan() *plan { return w.plans.Load() }

// story tells what happens, when somebody listens.
func (w *World) story(format string, arguments ...any) {
	if w.tell != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.tell(fmt.Sprintf("%12v  %s", time.Since(w.start).Round(time.Microsecond), fmt.Sprintf(format, arguments...)))
	}
}

// violate notes that a promise was broken.
func (w *World) violate(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	w.story("VIOLATION: %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violations = append(w.violations, text)
}

// A draw is a number that the seed, the time and what it is about decide.
type draw uint64

func (w *World) draw(about string) draw {
	hash := fnv.New64a()
	hash.Write([]byte(about))
	return draw(mix(hash.Sum64() ^ mix(w.seed) + mix(uint64(time.Since(w.start)))))
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// part returns a number from 0 to below 1 for one of several questions.
func (d draw) part(question uint64) float64 {
	return float64(mix(uint64(d)+question*0x9e3779b97f4a7c15)>>11) / (1 << 53)
}

// below returns a number from 0 to below n.
func (d draw) below(question uint64, n int) int { return int(d.part(question) * float64(n)) }

// Questions that are asked of a draw.
const (
	howLong uint64 = iota
	whether
	whichWay
	whichOne
)

// latency is how long a call takes: some milliseconds, and nanoseconds of its own.
func (d draw) latency() time.Duration {
	return time.Millisecond + time.Duration(d.part(howLong)*float64(20*time.Millisecond))
}

// sleep returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

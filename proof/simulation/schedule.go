package simulation

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"veryfi-intake/local/standin"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/signature"
	"veryfi-intake/shared/store"
)

// A subject is something that a webhook is about, and the row that must result.
type subject struct {
	key      string
	document *stored // nil when there is none to retrieve
	want     store.Status
	// bodies are what may be stored in the end. The last one must be once the last
	// webhook about it was accepted.
	bodies []string
	// accepted is true when a webhook about it was; updated when the last one was.
	accepted, updated bool
	forged            bool
	givenUp           bool // table and queue were both out when it was retrieved
}

// A delivery is a webhook that Veryfi sends, at most three times.
type delivery struct {
	at       time.Duration
	name     string
	data     string
	subjects []*subject
	isUpdate bool // the document gets its last body first
	forged   bool
	secret   string // that signs it; Veryfi's own when empty
	accepted bool
}

// unsigned stands for the secret of a webhook that has no signature.
const unsigned = "unsigned"

// A schedule is all that arrives.
type schedule struct {
	w          *World
	random     *rand.Rand
	subjects   []*subject
	deliveries []*delivery
	nextID     int64
	rotation   time.Duration // 0 when there is none
	late       time.Duration // how much later than Veryfi the secret is replaced
	reconciles bool
}

// Run runs the schedule of a seed and returns the promises that were broken. The
// story goes to tell, unless that is nil. It must be called in a bubble of
// testing/synctest.
func Run(seed uint64, tell func(string)) (violations []string) {
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(seed, newPlan(random, time.Now()), tell)
	s := &schedule{w: w, random: random, nextID: 100}
	s.fill()
	w.schedule = s
	w.story("plan: %+v", *w.plan())
	s.run()
	return w.violations
}

// fill draws what arrives.
func (s *schedule) fill() {
	for range 1 + s.random.IntN(6) {
		at := time.Duration(s.random.Float64() * float64(40*time.Minute))
		if s.random.IntN(3) == 0 {
			at = 10 * time.Minute // together
		}
		s.arrival(at)
	}
	if s.random.IntN(4) == 0 {
		s.rotation = time.Duration(s.random.Float64() * float64(40*time.Minute))
		s.late = time.Duration(s.random.Float64() * float64(4*time.Minute))
	}
	s.reconciles = s.random.IntN(2) == 0
}

// arrival draws one webhook, or some that belong together.
func (s *schedule) arrival(at time.Duration) {
	switch s.random.IntN(14) {
	case 0, 1, 2: // a document
		s.deliver(at, event.DocumentCreated, s.document(at))
	case 3: // a PDF that was split
		s.deliver(at, event.DocumentCreated, s.document(at), s.document(at), s.document(at))
	case 4: // a set of bank statements
		a, b := s.document(at), s.document(at)
		for _, x := range []*subject{a, b} {
			x.document.kind = standin.BankStatements
			x.key = fmt.Sprint("bank_statement#", x.document.id)
		}
		s.deliver(at, event.BankStatementSetCreated, a, b)
	case 5:
		s.deliver(at, event.DocumentFailed, s.failed(""))
	case 6:
		s.deliver(at, event.BankStatementSetFailed, s.failed("bank_statement_set#"))
	case 7:
		s.unsupported(at)
	case 8, 9: // one that is deleted when it is retrieved
		x := s.document(at)
		x.document.autoDelete = true
		s.deliver(at, event.DocumentCreated, x)
		if s.random.IntN(2) == 0 { // and its webhook is sent twice
			s.deliver(at+time.Duration(s.random.IntN(1000))*time.Millisecond, event.DocumentCreated, x)
		}
	case 10: // one that is updated
		x := s.document(at)
		s.deliver(at, event.DocumentCreated, x)
		s.update(at+time.Duration(1+s.random.IntN(1200))*time.Second, x)
	case 11: // one that Veryfi will not give, or does not have
		x := s.document(at)
		x.want = store.Error
		if s.random.IntN(2) == 0 {
			x.document.refused = true
		} else {
			x.document.body = nil
		}
		s.deliver(at, event.DocumentCreated, x)
	case 12:
		x := s.document(at)
		if s.random.IntN(3) == 0 { // one that kills, among others
			x.document.poison, x.want = true, store.Error
			s.deliver(at, event.DocumentCreated, s.document(at), x, s.document(at), s.document(at))
			return
		}
		x.document.inProgress = 1 + s.random.IntN(3)
		s.w.veryfi.Then(x.document.id, slices.Repeat([]standin.Behaviour{standin.InProgress()}, x.document.inProgress)...)
		s.deliver(at, event.DocumentCreated, x)
	case 13:
		s.forge(at)
	}
}

func (s *schedule) id() int64 {
	s.nextID++
	return s.nextID
}

// created is how Veryfi writes a time.
func (s *schedule) created(at time.Duration) time.Time {
	return s.w.start.Add(at).UTC().Truncate(time.Second)
}

func body(id int64, version int) string {
	return fmt.Sprintf(`{"id": %d, "status": "processed", "version": %d, "total": 12.10, "vendor": "%s \u00e9"}`, id, version, private)
}

func (s *schedule) document(at time.Duration) *subject {
	id := s.id()
	d := &stored{id: id, kind: standin.Documents, body: []byte(body(id, 1)), created: s.created(at)}
	x := &subject{key: fmt.Sprint(id), document: d, want: store.Processed, bodies: []string{body(id, 1)}}
	s.subjects = append(s.subjects, x)
	return x
}

func (s *schedule) failed(prefix string) *subject {
	id := s.id()
	x := &subject{key: prefix + fmt.Sprint(id), want: store.Failed}
	s.subjects = append(s.subjects, x)
	return x
}

// deliver plans a webhook about subjects.
func (s *schedule) deliver(at time.Duration, name string, about ...*subject) *delivery {
	var ids []string
	for _, x := range about {
		ids = append(ids, x.key[strings.LastIndexByte(x.key, '#')+1:])
	}
	list := "[" + strings.Join(ids, ", ") + "]"
	if len(ids) == 1 && name != event.BankStatementSetCreated {
		list = ids[0]
	}
	data := fmt.Sprintf(`{"id": %s, "created": %q}`, list, s.created(at).Format(time.DateTime))
	switch name {
	case event.BankStatementSetCreated:
		data = fmt.Sprintf(`{"parent_id": %d, "id": %s, "created": %q}`, s.id(), list, s.created(at).Format(time.DateTime))
	case event.BankStatementSetFailed:
		data = fmt.Sprintf(`{"parent_id": %s, "id": [], "created": %q}`, ids[0], s.created(at).Format(time.DateTime))
	}
	d := &delivery{at: at, name: name, data: data, subjects: about}
	s.deliveries = append(s.deliveries, d)
	return d
}

// update plans that a document changes, and a webhook that says so.
func (s *schedule) update(at time.Duration, x *subject) {
	x.bodies = append(x.bodies, body(x.document.id, 2))
	s.deliver(at, event.DocumentCreated, x).isUpdate = true
}

func (s *schedule) unsupported(at time.Duration) {
	name := pick(s.random, "contract.created", "document.created", "reconciled", "")
	x := &subject{want: store.Unsupported}
	data := fmt.Sprintf(`{"id": "x%d", "note": "it's \u00e9"}`, s.id())
	s.subjects = append(s.subjects, x)
	s.deliveries = append(s.deliveries, &delivery{at: at, name: name, data: data, subjects: []*subject{x}})
	x.key = event.Message{Event: name, Data: event.Text(data)}.Key()
}

// forge plans requests that nobody may believe.
func (s *schedule) forge(at time.Duration) {
	x := s.document(at)
	x.forged = true
	x.document.created = s.w.start.AddDate(-1, 0, 0) // the list is not asked for it
	d := s.deliver(at, event.DocumentCreated, x)
	d.forged, d.secret = true, pick(s.random, "guessed", "unset", "secret "+private+"9", unsigned)
	for n := range s.random.IntN(40) {
		again := *d
		again.at += time.Duration(n) * 300 * time.Millisecond
		s.deliveries = append(s.deliveries, &again)
	}
}

// run lets all arrive, waits until it is quiet, and checks the result.
func (s *schedule) run() {
	w := s.w
	w.lambda.startPollers()
	var senders sync.WaitGroup
	for i, d := range s.deliveries {
		senders.Go(func() { s.send(i, d) })
	}
	if s.rotation > 0 {
		senders.Go(s.rotate)
	}
	if s.reconciles {
		senders.Go(func() {
			for time.Now().Before(w.plan().over) {
				time.Sleep(time.Hour + 17*time.Nanosecond)
				w.lambda.reconcile(`{"source": "aws.events"}`)
			}
		})
	}
	senders.Wait()
	time.Sleep(time.Until(w.plan().over))
	w.story("from here on nothing goes wrong")
	w.plans.Store(w.plan().ended())
	s.quiet()
	s.check()
	s.redrive()
	s.reconcile()
	s.replay()
	w.lambda.stop()
}

// send delivers a webhook as Veryfi does.
func (s *schedule) send(number int, d *delivery) {
	time.Sleep(d.at + time.Duration(number)) // no two at the same instant
	for _, x := range d.subjects {
		switch {
		case d.isUpdate:
			s.w.putDocument(x.document, []byte(x.bodies[len(x.bodies)-1]))
		case x.document != nil:
			s.w.putDocument(x.document, nil)
		}
	}
	wait := 30 * time.Second
	for try := 1; ; try++ {
		status := s.post(fmt.Sprint("r", number), d)
		if accepted := status != 0 && status < 400; accepted {
			if d.forged {
				s.w.violate("a forged request is answered %d", status)
			}
			s.accept(d)
			return
		}
		if try == 3 {
			return
		}
		time.Sleep(wait)
		wait *= 10
	}
}

func (s *schedule) post(requestID string, d *delivery) int {
	s.w.mu.Lock()
	key := cmp.Or(d.secret, s.w.credentials.ClientSecret)
	s.w.mu.Unlock()
	signed, err := signature.Sign([]byte(d.data), key)
	if err != nil {
		panic(err) // our own data
	}
	if key == unsigned {
		signed = ""
	}
	status := s.w.lambda.post(context.Background(), fmt.Sprintf(`{"event": %q, "data": %s}`, d.name, d.data), signed, requestID)
	s.w.story("webhook %s %s is answered %d", d.name, d.data, status)
	return status
}

func (s *schedule) accept(d *delivery) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	d.accepted = true
	for _, x := range d.subjects {
		x.accepted = true
		x.updated = x.updated || d.isUpdate
	}
}

// rotate replaces the secret, at Veryfi first and here some time later.
func (s *schedule) rotate() {
	time.Sleep(s.rotation + 7*time.Nanosecond)
	s.w.story("Veryfi's credentials change")
	s.w.mu.Lock()
	s.w.credentials = credentials(1)
	s.w.mu.Unlock()
	s.w.veryfi.SetCredentials(credentials(1))
	time.Sleep(s.late)
	s.w.story("the secret is replaced")
	s.w.secrets.Put(asJSON(credentials(1)))
}

package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	processor "veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/signature"
	"veryfi-intake/shared/store"
)

// A subject is something that Veryfi tells about, and the row that must come of
// it.
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
	isUpdate bool
	before   func() // what happens at Veryfi first
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

func credentials(n int) secret.Credentials {
	word := fmt.Sprint(private, n)
	return secret.Credentials{ClientID: "id " + word, ClientSecret: "secret " + word, Username: "user " + word, APIKey: "key " + word}
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

// visibility is the queue's visibility time-out.
const visibility = 360 * time.Second

// newWorld returns a world in which nothing has happened yet.
func newWorld(seed uint64, p plan, tell func(string)) *World {
	w := &World{seed: seed, start: time.Now(), tell: tell}
	w.plans.Store(&p)
	w.sqs = newSQS(visibility, p.maxReceives, p.ceiling)
	w.sqs.choose = func(about string, n int) int { return w.draw(about).below(whichOne, n) }
	w.sqs.again = func() bool { return w.draw("again").part(whether) < w.plan().duplicates }
	w.sqs.note = w.story
	w.table = newTable()
	w.veryfi = &veryfiModel{w: w, credentials: credentials(0), documents: map[string]*stored{}}
	w.secrets = &secretsModel{}
	w.secrets.put(secret.Credentials{ClientID: "unset", ClientSecret: "unset", Username: "unset", APIKey: "unset"})
	w.secrets.put(credentials(0))
	w.lambda = &lambdaModel{w: w}
	return w
}

// fill draws what arrives.
func (s *schedule) fill() {
	for range 1 + s.random.IntN(6) {
		at := time.Duration(s.random.Float64() * float64(40*time.Minute))
		if s.random.IntN(3) == 0 {
			at = 10 * time.Minute // at once
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
			x.document.statement = true
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
	d := &stored{id: id, body: []byte(body(id, 1)), created: s.created(at)}
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
	d.before = func() {
		for _, x := range about {
			if x.document != nil {
				s.w.veryfi.put(x.document)
			}
		}
	}
	s.deliveries = append(s.deliveries, d)
	return d
}

// update plans that a document changes, and a webhook that says so.
func (s *schedule) update(at time.Duration, x *subject) {
	newer := body(x.document.id, 2)
	x.bodies = append(x.bodies, newer)
	d := s.deliver(at, event.DocumentCreated, x)
	d.isUpdate = true
	d.before = func() {
		s.w.veryfi.mu.Lock()
		defer s.w.veryfi.mu.Unlock()
		x.document.body = []byte(newer)
	}
}

func (s *schedule) unsupported(at time.Duration) {
	name := pick(s.random, "check.created", "document.created", "reconciled", "")
	x := &subject{want: store.Unsupported}
	data := fmt.Sprintf(`{"id": "x%d", "note": "it's \u00e9"}`, s.id())
	s.subjects = append(s.subjects, x)
	s.deliveries = append(s.deliveries, &delivery{at: at, name: name, data: data, subjects: []*subject{x}, before: func() {}})
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

// run lets all arrive, waits until it is quiet, and looks at what has become of
// it.
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
	d.before()
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
	key := d.secret
	if key == "" {
		s.w.veryfi.mu.Lock()
		key = s.w.veryfi.credentials.ClientSecret
		s.w.veryfi.mu.Unlock()
	}
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
	s.w.veryfi.mu.Lock()
	s.w.veryfi.credentials = credentials(1)
	s.w.veryfi.mu.Unlock()
	time.Sleep(s.late)
	s.w.story("the secret is replaced")
	s.w.secrets.put(credentials(1))
}

// longest is how long it may take until all is quiet: the age at which the processor
// gives up whatever else holds, and the wait before.
const longest = processor.MaxAge + 24*time.Hour

// quiet waits until the queue is empty.
func (s *schedule) quiet() {
	for end := time.Now().Add(longest); s.w.sqs.left() > 0; time.Sleep(time.Minute + 13*time.Nanosecond) {
		if time.Now().After(end) {
			s.w.violate("after %v the queue still holds %d messages", longest, s.w.sqs.left())
			return
		}
	}
}

// deadLetters returns the keys of the rows whose messages were given up.
func (s *schedule) deadLetters() (keys []string) {
	for _, m := range s.w.sqs.dead {
		message, err := event.DecodeMessage(m.body)
		if err != nil {
			s.w.violate("a dead letter cannot be read: %v", err)
		}
		keys = append(keys, message.Key())
	}
	return keys
}

// check holds the rows against what was promised for each webhook that was
// accepted.
func (s *schedule) check() {
	rows, dead := s.w.table.all(), s.deadLetters()
	for _, x := range s.subjects {
		row, exists := rows[x.key]
		switch isDead := slices.Contains(dead, x.key); {
		case x.forged && exists:
			s.w.violate("row %s comes from a forged request", x.key)
		case !x.accepted:
			// Nobody has promised anything; the queue may have it all the same.
		case !exists:
			s.w.violate("%s was accepted and has no row", x.key)
		case row.Status == store.Processed && isDead && s.mayBeGivenUp(x):
			// It is the older version; the newer one was given up.
		case row.Status == store.Processed && x.want == store.Processed:
			s.checkDocument(x, row)
		case (row.Status == store.Error || row.Status == store.Retrying) && isDead && s.mayBeGivenUp(x):
		case row.Status != x.want:
			s.w.violate("row %s is %s, not %s: %s", x.key, row.Status, x.want, row.Error)
		case row.Status == store.Error && !isDead:
			s.w.violate("row %s is given up without a dead letter: %s", x.key, row.Error)
		}
	}
	for key, row := range rows {
		if !s.isExpected(key) {
			s.w.violate("row %s comes from nothing", key)
		}
		if strings.Contains(row.Error, private) {
			s.w.violate("the error of row %s tells a secret: %s", row.ID, row.Error)
		}
	}
}

// isExpected reports whether a row is about something that Veryfi tells about.
func (s *schedule) isExpected(key string) bool {
	return slices.ContainsFunc(s.subjects, func(x *subject) bool { return x.key == key })
}

func (s *schedule) checkDocument(x *subject, row store.Row) {
	wanted := x.bodies
	if x.updated {
		wanted = x.bodies[len(x.bodies)-1:]
	}
	if row.Document == nil || !slices.Contains(wanted, string(row.Document.JSON)) {
		s.w.violate("row %s does not hold the document", x.key)
	}
}

// mayBeGivenUp reports whether a document may be lost, or its tries used up.
func (s *schedule) mayBeGivenUp(x *subject) bool {
	d := x.document
	switch {
	case d == nil || s.w.plan().maxTries < 60:
		return true
	case d.poison, x.want == store.Error:
		return true
	}
	return s.isLost(x)
}

// isLost reports whether nobody has the document any more: it was deleted by a
// request whose answer did not arrive, or to a function that died, or that neither
// table nor queue has served.
func (s *schedule) isLost(x *subject) bool {
	d := x.document
	return d != nil && d.gone && (!d.delivered || d.to.isDead() || x.givenUp)
}

// givenUp takes note of a log line that says so.
func (w *World) givenUp(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.schedule.subjects {
		if strings.Contains(line, "document_id="+x.key+" ") {
			x.givenUp = true
		}
	}
}

// redrive moves the dead letters back. Now all goes well.
func (s *schedule) redrive() {
	attempts := map[string]int{}
	for _, key := range s.deadLetters() {
		attempts[key] = s.w.table.get(key).Attempts
	}
	for _, x := range s.subjects {
		if x.document != nil && x.document.poison {
			x.document.poison, x.want = false, store.Processed // the mistake is mended
		}
	}
	s.w.story("%d dead letters are moved back", s.w.sqs.redrive())
	s.quiet()
	s.checkRedriven(attempts)
}

// checkRedriven holds the rows against what they were, by their attempts, when they
// had dead letters.
func (s *schedule) checkRedriven(attempts map[string]int) {
	rows, dead := s.w.table.all(), s.deadLetters()
	for _, x := range s.subjects {
		row := rows[x.key]
		before, wasDead := attempts[x.key]
		switch {
		case !wasDead:
		case s.isLost(x) && row.Status == store.Error && slices.Contains(dead, x.key):
		case row.Status != x.want:
			s.w.violate("after the redrive row %s is %s, not %s: %s", x.key, row.Status, x.want, row.Error)
		case row.Attempts < before:
			s.w.violate("after the redrive row %s has %d attempts, and had %d", x.key, row.Attempts, before)
		case row.Status == store.Processed:
			s.checkDocument(x, row)
		}
	}
}

// reconcile finds what was never accepted.
func (s *schedule) reconcile() {
	time.Sleep(2 * time.Hour) // older than the grace period
	result, ok := s.w.lambda.reconcile(fmt.Sprintf(`{"since": %q}`, s.w.start.Add(-time.Hour).UTC().Format(time.DateTime)))
	if !ok || result.Next != nil {
		s.w.violate("the reconciler has failed: %+v", result)
	}
	s.quiet()
	s.checkReconciled()
}

func (s *schedule) checkReconciled() {
	rows := s.w.table.all()
	for _, x := range s.subjects {
		if d := x.document; d != nil && !d.statement && !x.forged && x.want == store.Processed && d.body != nil && rows[x.key].Status != store.Processed {
			s.w.violate("the reconciler has not found document %d: row %s %s", d.id, rows[x.key].Status, rows[x.key].Error)
		}
	}
}

// replay sends every webhook again, under each name. Nothing may come of those of
// stored documents.
func (s *schedule) replay() {
	before, requests := s.w.table.all(), s.requests()
	for number, d := range s.deliveries {
		if d.forged {
			continue
		}
		for _, name := range []string{event.DocumentCreated, event.DocumentFailed, event.BankStatementSetCreated, event.BankStatementSetFailed, event.Reconciled} {
			again := *d
			again.name = name
			if status := s.post(fmt.Sprint("again", number, name), &again); status != 200 {
				s.w.violate("a genuine webhook is answered %d", status)
			}
		}
	}
	s.quiet()
	s.checkReplayed(before, requests)
}

// requests returns how often each document was asked for, by the key of its row.
func (s *schedule) requests() map[string]int {
	requests := map[string]int{}
	for _, x := range s.subjects {
		if x.document != nil {
			requests[x.key] = x.document.requests
		}
	}
	return requests
}

// checkReplayed holds the rows, and how often documents were asked for, against what
// they were before the replay.
func (s *schedule) checkReplayed(before map[string]store.Row, requests map[string]int) {
	after := s.w.table.all()
	for key, row := range after {
		_, known := before[key]
		if !known && (row.Status == store.Retrying || row.Status == store.Processed && !s.isExpected(key)) {
			s.w.violate("a replay has made row %s, which is %s", key, row.Status)
		}
	}
	for _, x := range s.subjects {
		row := before[x.key]
		isMissing := row.Status == store.Error && row.NotFound >= 5
		if row.Status != store.Processed && !isMissing || x.forged {
			continue
		}
		if x.pending(s) || x.document.gone {
			continue // a later notification asks for what is not there any more
		}
		if after[x.key].UpdatedAt != row.UpdatedAt {
			s.w.violate("a replay has changed row %s", x.key)
		}
		if x.document.requests != requests[x.key] {
			s.w.violate("a replay has made somebody ask Veryfi for document %d again", x.document.id)
		}
	}
}

// pending reports whether a later notification of the document was never accepted:
// then its replay is news.
func (x *subject) pending(s *schedule) bool {
	return slices.ContainsFunc(s.deliveries, func(d *delivery) bool { return !d.accepted && slices.Contains(d.subjects, x) })
}

package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/local/aws/queue"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/document"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
)

// An oracle that never finds anything proves nothing. Here each rule gets a world that
// breaks it, and must say so, and worlds that keep it, and must be silent.

// A world is a run in which all has happened already: one document, accepted and
// stored, until a test says otherwise.
type world struct {
	*schedule
	t   *testing.T
	x   *subject
	row store.Row
}

func newStoredWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(1, plan{rate: 10, maxTries: 60, maxReceives: 1000, ceiling: inFlightLimit}, nil)
	s := &schedule{w: w, nextID: 100}
	w.schedule = s
	x := s.document(0)
	x.accepted = true
	w.putDocument(x.document, nil)
	return &world{s, t, x, store.Row{ID: x.key, Status: store.Processed, Created: "2026-01-02 03:04:05", Document: read(t, x), Attempts: 1, UpdatedAt: w.start}}
}

func read(t *testing.T, x *subject) *document.Document {
	t.Helper()
	d, err := document.Read([]byte(x.bodies[0]), x.document.id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// put writes a row into the table, whatever was there.
func (w *world) put(row store.Row) {
	w.t.Helper()
	wrote := w.w.table.Wrote
	w.w.table.Wrote = nil
	rows := store.New(w.w.table, tableName)
	seen, err := rows.Get(w.t.Context(), row.ID)
	if err == nil {
		err = rows.Put(w.t.Context(), row, seen)
	}
	if err != nil {
		w.t.Error(err)
	}
	w.w.table.Wrote = wrote
}

func (w *world) hasStatus(status store.Status, text string) {
	w.row.Status, w.row.Error, w.row.Document = status, text, nil
}

// buries puts a message about the subject into the dead-letter queue.
func (w *world) buries() {
	w.w.sqs.Send(queue.DeadLetterURL, event.Message{Version: 1, Event: event.DocumentCreated, ID: w.x.document.id}.Encode(), 0)
}

// ask asks Veryfi for the document.
func (w *world) ask() {
	resp, err := w.w.veryfi.RoundTrip(httptest.NewRequest(http.MethodGet, w.x.document.path(), nil))
	if err != nil {
		w.t.Error(err)
		return
	}
	resp.Body.Close()
}

// isMissing makes the document one that Veryfi does not have.
func (w *world) isMissing() {
	w.x.want, w.x.document.body = store.Error, nil
	w.hasStatus(store.Error, "not found: 404")
	w.row.NotFound = 5
}

// judged gives a world to an oracle, and sees that it says that and nothing else.
func judged(t *testing.T, oracle func(*world), change func(*world), want string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newStoredWorld(t)
		change(w)
		if w.row.ID != "" {
			w.put(w.row)
		}
		oracle(w)
		switch got := w.w.violations; {
		case want == "" && len(got) > 0:
			t.Errorf("a good world is found bad: %q", got)
		case want != "" && (len(got) != 1 || !strings.Contains(got[0], want)):
			t.Errorf("%q, not %q", got, want)
		}
	})
}

func TestRowsAreHeldAgainstWhatWasAccepted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*world)
		want   string
	}{
		"stored":                    {func(*world) {}, ""},
		"forged":                    {func(w *world) { w.x.forged, w.x.accepted = true, false }, "comes from a forged request"},
		"forged and no row":         {func(w *world) { w.x.forged, w.x.accepted, w.row.ID = true, false, "" }, ""},
		"no row":                    {func(w *world) { w.row.ID = "" }, "was accepted and has no row"},
		"no row, never accepted":    {func(w *world) { w.x.accepted, w.row.ID = false, "" }, ""},
		"row of nothing":            {func(w *world) { w.put(store.Row{ID: "7", Status: store.Failed}) }, "row 7 comes from nothing"},
		"no document":               {func(w *world) { w.row.Document = nil }, "does not hold the document"},
		"another document":          {func(w *world) { w.x.bodies = []string{body(w.x.document.id, 2)} }, "does not hold the document"},
		"the version before":        {func(w *world) { w.x.bodies = append(w.x.bodies, "newer") }, ""},
		"not the update":            {func(w *world) { w.x.bodies, w.x.updated = append(w.x.bodies, "newer"), true }, "does not hold the document"},
		"still retrying":            {func(w *world) { w.hasStatus(store.Retrying, "unavailable: 503") }, "is retrying, not processed"},
		"failed":                    {func(w *world) { w.hasStatus(store.Failed, "bad scan") }, "is failed, not processed"},
		"given up":                  {func(w *world) { w.hasStatus(store.Error, "unavailable: 503"); w.buries() }, "is error, not processed"},
		"given up when tries ended": {func(w *world) { w.w.plan().maxTries = 6; w.hasStatus(store.Error, "table: 500"); w.buries() }, ""},
		"given up with no letter":   {func(w *world) { w.w.plan().maxTries = 6; w.hasStatus(store.Error, "table: 500") }, "is error, not processed"},
		"missing":                   {func(w *world) { w.isMissing(); w.buries() }, ""},
		"missing with no letter":    {func(w *world) { w.isMissing() }, "given up without a dead letter"},
		"missing and stored":        {func(w *world) { w.x.want = store.Error }, "is processed, not error"},
		"lost on the way": {func(w *world) {
			w.x.document.gone = true
			w.hasStatus(store.Error, "not found: 404")
			w.buries()
		}, ""},
		"lost by the function": {func(w *world) {
			w.x.document.gone, w.x.document.delivered, w.x.document.to = true, true, w.w.newEnvironment("e")
			w.hasStatus(store.Error, "not found: 404")
			w.buries()
		}, "is error, not processed"},
		"told": {func(w *world) {
			w.isMissing()
			w.row.Error = "not found: " + private
			w.buries()
		}, "tells a secret"},
		"letter of nobody": {func(w *world) { w.w.sqs.Send(queue.DeadLetterURL, "?", 0) }, "a dead letter cannot be read"},
	} {
		t.Run(name, func(t *testing.T) { judged(t, func(w *world) { w.check() }, test.change, test.want) })
	}
}

func TestRowsAreHeldAgainstTheRedrive(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*world)
		want   string
	}{
		"stored":         {func(*world) {}, ""},
		"given up again": {func(w *world) { w.hasStatus(store.Error, "unavailable: 503"); w.buries() }, "after the redrive row 101 is error, not processed"},
		"retrying":       {func(w *world) { w.hasStatus(store.Retrying, "unavailable: 503") }, "is retrying, not processed"},
		"counts anew":    {func(w *world) { w.row.Attempts = 0 }, "has 0 attempts, and had 1"},
		"not stored":     {func(w *world) { w.row.Document = nil }, "does not hold the document"},
		"lost":           {func(w *world) { w.x.document.gone = true; w.hasStatus(store.Error, "not found: 404"); w.buries() }, ""},
		"lost, unburied": {func(w *world) { w.x.document.gone = true; w.hasStatus(store.Error, "not found: 404") }, "is error, not processed"},
		"was not dead":   {func(w *world) { w.x.key, w.row.Status = "7", store.Retrying }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			judged(t, func(w *world) { w.checkRedriven(map[string]int{"101": 1}) }, test.change, test.want)
		})
	}
}

func TestRowsAreHeldAgainstTheList(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*world)
		want   string
	}{
		"stored":      {func(*world) {}, ""},
		"not found":   {func(w *world) { w.row.ID = "" }, "the reconciler has not found document 101"},
		"given up":    {func(w *world) { w.hasStatus(store.Error, "table: 500") }, "the reconciler has not found document 101"},
		"statement":   {func(w *world) { w.x.document.kind, w.row.ID = standin.BankStatements, "" }, ""},
		"forged":      {func(w *world) { w.x.forged, w.row.ID = true, "" }, ""},
		"not Veryfis": {func(w *world) { w.x.document.body, w.row.ID = nil, "" }, ""},
	} {
		t.Run(name, func(t *testing.T) { judged(t, func(w *world) { w.checkReconciled() }, test.change, test.want) })
	}
}

func TestRowsAreHeldAgainstTheReplay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, after func(*world)
		want          string
	}{
		"stored":                  {func(*world) {}, func(*world) {}, ""},
		"changed":                 {func(*world) {}, func(w *world) { w.row.UpdatedAt = w.row.UpdatedAt.Add(time.Millisecond) }, "a replay has changed row 101"},
		"asked for":               {func(*world) {}, (*world).ask, "ask Veryfi for document 101 again"},
		"missing":                 {(*world).isMissing, func(*world) {}, ""},
		"missing, and changed":    {(*world).isMissing, func(w *world) { w.row.UpdatedAt = w.row.UpdatedAt.Add(time.Millisecond) }, "a replay has changed row 101"},
		"missing, and asked for":  {(*world).isMissing, (*world).ask, "ask Veryfi for document 101 again"},
		"gone":                    {func(w *world) { w.x.document.gone = true }, (*world).ask, ""},
		"failed, and asked for":   {func(w *world) { w.hasStatus(store.Failed, "bad scan") }, (*world).ask, ""},
		"forged":                  {func(w *world) { w.x.forged = true }, (*world).ask, ""},
		"a later call was lost":   {func(w *world) { w.deliveries[0].accepted = false }, (*world).ask, ""},
		"another row":             {func(*world) {}, func(w *world) { w.put(store.Row{ID: "7", Status: store.Unsupported}) }, ""},
		"another row that waits":  {func(*world) {}, func(w *world) { w.put(store.Row{ID: "7", Status: store.Retrying}) }, "has made row 7, which is retrying"},
		"another row with it too": {func(*world) {}, func(w *world) { w.put(store.Row{ID: "7", Status: store.Processed}) }, "has made row 7, which is processed"},
	} {
		t.Run(name, func(t *testing.T) {
			judged(t, func(w *world) {
				before, asked := w.w.rows(), w.w.asked()
				test.after(w)
				w.put(w.row)
				w.checkReplayed(before, asked)
			}, func(w *world) {
				w.deliver(0, event.DocumentCreated, w.x).accepted = true
				test.before(w)
			}, test.want)
		})
	}
}

// TestRunsAreWatched sees that what happens on the way is judged too.
func TestRunsAreWatched(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pollers int
		run     func(*world)
		want    string
	}{
		"quiet":          {0, (*world).quiet, ""},
		"never quiet":    {0, func(w *world) { w.w.sqs.Send(documentQueue, "?", 0); w.quiet() }, "the queue still holds 1 messages"},
		"genuine":        {1, func(w *world) { w.send(0, w.deliver(0, event.DocumentCreated, w.x)); w.replay() }, ""},
		"forged":         {1, func(w *world) { d := w.deliver(0, event.DocumentCreated, w.x); d.forged = true; w.send(0, d) }, "a forged request is answered 200"},
		"not replayed":   {1, func(w *world) { w.deliver(0, event.DocumentCreated, w.x).secret = unsigned; w.replay() }, "a genuine webhook is answered 401"},
		"reconciled":     {1, func(w *world) { w.reconcile() }, ""},
		"no reconciler":  {1, func(w *world) { w.w.veryfi.SetCredentials(credentials(7)); w.reconcile() }, "the reconciler has failed"},
		"redriven":       {1, func(w *world) { w.buries(); w.redrive() }, ""},
		"never redriven": {0, func(w *world) { w.buries(); w.redrive() }, "the queue still holds 1 messages"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newStoredWorld(t)
				w.w.plan().concurrency = test.pollers
				w.row.Created = w.created(0).Format(time.DateTime)
				w.put(w.row)
				w.w.lambda.startPollers()
				test.run(w)
				w.w.lambda.stop()
				got := slices.Compact(w.w.violations)
				if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
					t.Errorf("%q, not %q", got, test.want)
				}
			})
		})
	}
}

func TestCallsOfFunctionsAreWatched(t *testing.T) {
	t.Parallel()
	answer := func(failures ...string) processing {
		return func(context.Context, events.SQSEvent) (r events.SQSEventResponse, err error) {
			for _, id := range failures {
				r.BatchItemFailures = append(r.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
			}
			return r, nil
		}
	}
	send := func(url string, size int) func(*world, *environment) {
		return func(w *world, e *environment) {
			_, err := sqsClient{e}.SendMessageBatch(w.t.Context(), &sqs.SendMessageBatchInput{
				QueueUrl: &url, Entries: []types.SendMessageBatchRequestEntry{{Id: aws.String("0"), MessageBody: aws.String(strings.Repeat("x", size))}},
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	hide := func(seconds int32) func(*world, *environment) {
		return func(w *world, e *environment) {
			w.w.sqs.Send(documentQueue, "x", 0)
			receipt := w.w.sqs.Receive(1)[0].Receipt
			if _, err := (sqsClient{e}).ChangeMessageVisibility(w.t.Context(), &sqs.ChangeMessageVisibilityInput{ReceiptHandle: &receipt, VisibilityTimeout: seconds}); err != nil {
				t.Error(err)
			}
		}
	}
	put := func(status store.Status, created string) func(*world, *environment) {
		return func(w *world, e *environment) {
			row := w.row
			row.Status, row.Created = status, created
			if err := store.New(tableClient{e}, tableName).Put(w.t.Context(), row, w.row.State()); err != nil {
				t.Error(err)
			}
		}
	}
	ask := func(requests int) func(*world, *environment) {
		return func(w *world, e *environment) {
			w.w.requests = slices.Repeat([]time.Time{time.Now()}, requests-1)
			resp, err := veryfiClient{e}.RoundTrip(httptest.NewRequest(http.MethodGet, "https://veryfi.example/", nil))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		}
	}
	for name, test := range map[string]struct {
		run  func(*world, *environment)
		want string
	}{
		"answers":       {func(w *world, e *environment) { w.w.lambda.process(e, answer("m1"), []queue.Message{{ID: "m1"}}) }, ""},
		"names another": {func(w *world, e *environment) { w.w.lambda.process(e, answer("m2"), []queue.Message{{ID: "m1"}}) }, `a failure names "m2"`},
		"fifteenth round": {func(w *world, e *environment) {
			w.w.lambda.process(e, answer(), []queue.Message{{ID: "m1", Rounds: maxRounds - 1}})
		}, ""},
		"sixteenth round": {func(w *world, e *environment) {
			w.w.lambda.process(e, answer(), []queue.Message{{ID: "m1", Rounds: maxRounds}})
		}, "message m1 is dropped in its round 16"},
		"does not end": {func(w *world, e *environment) {
			w.w.lambda.process(e, func(ctx context.Context, _ events.SQSEvent) (r events.SQSEventResponse, err error) {
				time.Sleep(processorTimeout + 1)
				return r, ctx.Err()
			}, []queue.Message{{ID: "m1"}})
			time.Sleep(time.Second)
		}, "e does not answer before its timeout"},
		"logs":                 {func(_ *world, e *environment) { e.log().Info("stored") }, ""},
		"tells":                {func(_ *world, e *environment) { e.log().Info("stored", slog.String("error", private)) }, "a log line tells a secret"},
		"tells each time":      {func(_ *world, e *environment) { e.log().With(slog.String("error", private)).Info("stored") }, "a log line tells a secret"},
		"largest message":      {send(documentQueue, 1<<20), ""},
		"too large":            {send(documentQueue, 1<<20+1), "a message of 1048577 bytes is sent"},
		"too large, dead":      {send(queue.DeadLetterURL, 1<<20+1), "a message of 1048577 bytes is sent"},
		"twelve hours":         {hide(43_200), ""},
		"too long":             {hide(43_201), "hidden for more than twelve hours"},
		"a later one":          {put(store.Processed, "2026-01-02 03:04:06"), ""},
		"the same":             {put(store.Processed, "2026-01-02 03:04:05"), "row 101 of 2026-01-02 03:04:05 is replaced"},
		"no document":          {put(store.Failed, "2026-01-02 03:04:06"), "is failed"},
		"reads the secret":     {func(_ *world, e *environment) { reads(e, 3) }, ""},
		"reads it too often":   {func(_ *world, e *environment) { reads(e, 4) }, "e has read the secret 4 times in 0s"},
		"reads it each second": {func(_ *world, e *environment) { reads(e, 3); time.Sleep(time.Second); reads(e, 1) }, ""},
		"sixty a second":       {ask(limit), ""},
		"sixty-one":            {ask(limit + 1), fmt.Sprintf("more than %d requests in a second", 60)},
	} {
		t.Run(name, func(t *testing.T) {
			judged(t, func(w *world) { test.run(w, w.w.newEnvironment("e")) }, func(*world) {}, test.want)
		})
	}
}

func reads(e *environment, times int) {
	for range times {
		e.readsSecret()
	}
}

// TestRequestsAreCountedBySecond sees that the limit is that of any second, and not of
// a longer or shorter time.
func TestRequestsAreCountedBySecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &World{}
		for range limit {
			w.isWithinLimit()
		}
		time.Sleep(time.Second - 1)
		if w.isWithinLimit() {
			t.Error("61 requests within a second are allowed")
		}
		time.Sleep(time.Nanosecond)
		if !w.isWithinLimit() {
			t.Error("a second later there is no request left")
		}
	})
}

// TestSchedulesHaveAll sees that all that can arrive, and all that can go wrong, is
// drawn: an oracle cannot judge what never happens.
func TestSchedulesHaveAll(t *testing.T) {
	t.Parallel()
	drawn := map[string]bool{}
	note := func(what string, is bool) {
		if is {
			drawn[what] = true
		}
	}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		p := newPlan(random, time.Now())
		s := &schedule{w: newWorld(seed, p, nil), random: random, nextID: 100}
		s.fill()
		for _, d := range s.deliveries {
			note(d.name, true)
			note("forged", d.forged)
			note("unsigned", d.secret == unsigned)
			note("update", d.isUpdate)
		}
		for _, x := range s.subjects {
			note(string(x.want), true)
			if d := x.document; d != nil {
				note("deleted on retrieval", d.autoDelete)
				note("refused", d.refused)
				note("missing", d.body == nil)
				note("poison", d.poison)
				note("in progress", d.inProgress > 0)
				note("statement", d.kind == standin.BankStatements)
			}
		}
		note("rotation", s.rotation > 0)
		note("reconciler", s.reconciles)
		note("deaths", p.deaths > 0)
		note("duplicates", p.duplicates > 0)
		note("few in flight", p.ceiling < 10)
		note("few tries", p.maxTries < 60)
		for i, rate := range p.failures {
			note(fmt.Sprint(service(i), " fails"), rate > 0)
		}
		for _, o := range p.outages {
			note(fmt.Sprint(o.service, " is out"), true)
			note("hangs", o.hangs)
			note("writes are refused", o.writes)
			note("429", o.status == http.StatusTooManyRequests)
		}
	}
	want := []string{
		event.DocumentCreated, event.DocumentFailed, event.BankStatementSetCreated, event.BankStatementSetFailed, event.Reconciled, "contract.created", "",
		"forged", "unsigned", "update", "processed", "failed", "error", "unsupported",
		"deleted on retrieval", "refused", "missing", "poison", "in progress", "statement",
		"rotation", "reconciler", "deaths", "duplicates", "few in flight", "few tries", "hangs", "writes are refused", "429",
	}
	for s := range numServices {
		want = append(want, fmt.Sprint(s, " fails"), fmt.Sprint(s, " is out"))
	}
	for _, what := range want {
		if !drawn[what] {
			t.Errorf("never drawn: %q", what)
		}
	}
}

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/event"
)

// A world is a run that is over: a document was acknowledged and stored, until a test
// says otherwise. The oracles must find nothing in it, and each change that they are
// there for.
type world struct {
	*run
	x    *subject
	row  stack.Row
	rows map[string]stack.Row
	dead map[string]bool
}

func newStoredWorld() *world {
	r := &run{
		injector: newInjector(rand.New(rand.NewPCG(1, 1)), 0), front: &front{consumed: map[string]bool{}},
		traffic: &traffic{swapped: map[string][]string{}}, options: Options{Patience: time.Minute, Progress: func(string) {}},
	}
	x := r.traffic.add(&subject{id: 7, key: "7", path: "/7", status: "processed", body: []byte(`{"id": 7}`), accepted: true})
	r.traffic.caught = []caught{{webhook.Webhook{Event: event.DocumentCreated, Data: `{"id": 7}`}, r.traffic.subjects}}
	item := map[string]types.AttributeValue{"document": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"id": &types.AttributeValueMemberN{Value: "7"}}}}
	return &world{run: r, x: x, row: stack.Row{ID: "7", Status: "processed", Item: item}, rows: map[string]stack.Row{}, dead: map[string]bool{}}
}

// is gives the row a status.
func (w *world) is(status, text string) { w.row.Status, w.row.Error = status, text }

// ends gives the row a status, and its message to the dead-letter queue.
func (w *world) ends(status, text string) { w.is(status, text); w.dead[w.row.ID] = true }

// replayed notes a replay of the call under a name, and what row it has left.
func (w *world) replayed(name, key, status string) {
	w.traffic.swap(w.traffic.caught[0], name)
	w.rows[key] = stack.Row{ID: key, Status: status}
	w.dead[key] = status == "error"
}

func (w *world) says(t *testing.T, want string) {
	t.Helper()
	switch got := w.report.Violations; {
	case want == "" && len(got) > 0:
		t.Errorf("a good world is found bad: %q", got)
	case want != "" && (len(got) != 1 || !strings.Contains(got[0], want)):
		t.Errorf("%q, not %q", got, want)
	}
}

func TestRowsAreJudged(t *testing.T) {
	junk := unsupportedKey("junk.created", `{"id": 7}`)
	for name, test := range map[string]struct {
		change       func(*world)
		before, want string // before the redrive, and after it
	}{
		"stored":         {func(*world) {}, "", ""},
		"forged":         {func(w *world) { w.x.forged, w.x.accepted = true, false }, "comes from a forged call", "comes from a forged call"},
		"not accepted":   {func(w *world) { w.x.accepted, w.row.ID = false, "" }, "", ""},
		"no row":         {func(w *world) { w.row.ID = "" }, "has no row", "has no row"},
		"other document": {func(w *world) { w.x.body = []byte(`{"id": 8}`) }, "does not hold the document", "does not hold the document"},
		"given up":       {func(w *world) { w.ends("error", "table: 500") }, "", "is error, not processed"},
		"no dead letter": {func(w *world) { w.is("error", "table: 500") }, "has no dead letter", "has no dead letter"},
		"failed":         {func(w *world) { w.is("failed", "") }, "is failed, not processed", "is failed, not processed"},
		"failed by a caught call when it was given up": {func(w *world) { w.ends("failed", "") }, "", "is failed, not processed"},
		"missing":           {func(w *world) { w.x.status = "error"; w.ends("error", "not found: 404") }, "", ""},
		"missing as failed": {func(w *world) { w.x.status = "error"; w.is("failed", "") }, "is failed, not error", "is failed, not error"},
		"lost on the way": {func(w *world) {
			w.x.autoDelete, w.front.consumed["/7"] = true, true
			w.ends("error", "not found: 404")
		}, "", ""},
		"lost by a function": {func(w *world) {
			w.x.autoDelete = true
			w.injector.count("ProcessorFunction", killed)
			w.ends("error", "not found: 404")
		}, "", ""},
		"told to be lost": {func(w *world) {
			w.x.autoDelete = true
			w.logs.Add("x", "it is lost")
			w.ends("error", "not found: 404")
		}, "", ""},
		"lost by nobody": {func(w *world) { w.x.autoDelete = true; w.ends("error", "not found: 404") }, "", "is error, not processed"},
		"failed, asked for": {func(w *world) {
			w.x.status = "failed"
			w.traffic.swap(w.traffic.caught[0], event.DocumentCreated)
			w.ends("error", "not found: 404")
		}, "", ""},
		"failed, asked for by nobody": {func(w *world) { w.x.status = "failed"; w.ends("error", "not found: 404") }, "", "is error, not failed"},
		"row of nothing":              {func(w *world) { w.rows["8"] = stack.Row{ID: "8", Status: "failed"} }, "row 8 comes from nothing", "row 8 comes from nothing"},
		"row of another name":         {func(w *world) { w.rows["bank_statement#7"] = stack.Row{Status: "error"} }, "comes from nothing", "comes from nothing"},
		"other kind":                  {func(w *world) { w.replayed("bank_statement_set.created", "bank_statement#7", "error") }, "", ""},
		"other kind, stored":          {func(w *world) { w.replayed("bank_statement_set.created", "bank_statement#7", "processed") }, "of a caught call is processed", "of a caught call is processed"},
		"other kind, waiting":         {func(w *world) { w.replayed("bank_statement_set.created", "bank_statement#7", "retrying") }, "is left retrying", "is left retrying"},
		"unknown name":                {func(w *world) { w.replayed("junk.created", junk, "unsupported") }, "", ""},
		"name of another":             {func(w *world) { w.replayed("bank_statement_set.failed", junk, "unsupported") }, "", ""},
		"unknown name, failed":        {func(w *world) { w.replayed("junk.created", junk, "failed") }, "of a caught call is failed", "of a caught call is failed"},
	} {
		for i, want := range []string{test.before, test.want} {
			t.Run(fmt.Sprintf("%s, redriven %v", name, i == 1), func(t *testing.T) {
				w := newStoredWorld()
				test.change(w)
				if w.row.ID != "" {
					w.rows[w.row.ID] = w.row
				}
				w.judge(w.rows, w.dead, i == 0)
				w.says(t, want)
			})
		}
	}
}

// TestRowThatIsLeftRetryingIsTold has one whose message is gone: of what was
// acknowledged, that is reported twice.
func TestRowThatIsLeftRetryingIsTold(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		for _, dead := range []bool{true, false} {
			w := newStoredWorld()
			w.x.accepted = accepted
			w.judge(map[string]stack.Row{"7": {ID: "7", Status: "retrying"}}, map[string]bool{"7": dead}, true)
			told := strings.Contains(strings.Join(w.report.Violations, "\n"), "row 7 is left retrying")
			if told == dead {
				t.Errorf("accepted %v, dead letter %v: %q", accepted, dead, w.report.Violations)
			}
		}
	}
}

func TestWhatBecameOfRowsIsCounted(t *testing.T) {
	w := newStoredWorld()
	w.traffic.add(&subject{key: "8", status: "processed", accepted: true})
	w.traffic.add(&subject{key: "9", path: "/9", status: "processed", accepted: true, autoDelete: true})
	w.front.consumed["/9"] = true
	w.judge(map[string]stack.Row{"7": w.row, "8": {Status: "failed"}, "9": {Status: "error"}}, map[string]bool{"9": true}, false)
	if r := w.report; fmt.Sprint(r.Rows) != "map[error:1 failed:1 processed:1]" || r.Lost != 1 || r.Deleted != 1 {
		t.Errorf("%+v", r)
	}
}

func TestReplayIsJudged(t *testing.T) {
	for name, test := range map[string]struct {
		change func(after map[string]stack.Row, requests *int)
		want   string
	}{
		"nothing":     {func(map[string]stack.Row, *int) {}, ""},
		"written":     {func(after map[string]stack.Row, _ *int) { after["7"] = stack.Row{UpdatedAt: time.Unix(2, 0)} }, "a replay has written row 7"},
		"another row": {func(after map[string]stack.Row, _ *int) { after["8"] = stack.Row{UpdatedAt: time.Unix(2, 0)} }, "a replay has written row 8"},
		"kept as unknown": {func(after map[string]stack.Row, _ *int) {
			after["unsupported#1"] = stack.Row{UpdatedAt: time.Unix(2, 0)}
		}, ""},
		"asked for": {func(_ map[string]stack.Row, requests *int) { *requests = 1 }, "has cost 1 requests"},
	} {
		t.Run(name, func(t *testing.T) {
			w, requests := newStoredWorld(), 0
			after := map[string]stack.Row{"7": {UpdatedAt: time.Unix(1, 0)}}
			test.change(after, &requests)
			w.judgeReplay(map[string]stack.Row{"7": {UpdatedAt: time.Unix(1, 0)}}, after, requests)
			w.says(t, test.want)
		})
	}
}

// TestOnlyWhatMayChangeNothingIsReplayed sees which names a call is sent again under.
func TestOnlyWhatMayChangeNothingIsReplayed(t *testing.T) {
	for _, test := range []struct {
		event string
		row   stack.Row
		want  int
	}{
		{event.DocumentCreated, stack.Row{Status: "processed"}, len(names)},
		{event.DocumentCreated, stack.Row{Status: "error", Error: "not found: 404"}, 2},
		{event.DocumentCreated, stack.Row{Status: "error", Error: "table: 500"}, 0},
		{event.DocumentFailed, stack.Row{Status: "error", Error: "not found: 404"}, 0},
		{event.DocumentFailed, stack.Row{Status: "failed"}, 0},
		{event.DocumentCreated, stack.Row{}, 0},
	} {
		w := newStoredWorld()
		w.traffic.caught[0].webhook.Event = test.event
		again := settled(w.traffic.caught[0], map[string]stack.Row{"7": test.row})
		if len(again) != test.want {
			t.Errorf("%s, row %+v: %+v", test.event, test.row, again)
		}
	}
}

func TestAnswersToCaughtCallsAreJudged(t *testing.T) {
	for status, want := range map[int]string{200: "", 401: "a caught call is answered 401", 503: "a caught call is answered 503"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		w := newStoredWorld()
		w.traffic.url, w.traffic.sender = server.URL, standin.NewSender(time.Second)
		w.sendAgain(t.Context(), []webhook.Webhook{w.traffic.caught[0].webhook})
		server.Close()
		w.says(t, want)
	}
}

func TestEndIsJudged(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world)
		want   string
	}{
		"quiet":       {func(*world) {}, ""},
		"sixty":       {func(w *world) { w.front.times = make([]time.Time, 60) }, ""},
		"sixty-one":   {func(w *world) { w.front.times = make([]time.Time, 61) }, "61 requests to Veryfi in a second"},
		"telling":     {func(w *world) { w.logs.Add("ProcessorFunction", "vendor "+private) }, "a log line tells a secret"},
		"not telling": {func(w *world) { w.logs.Add("ProcessorFunction", "stored") }, ""},
		"dead letter": {func(w *world) {
			w.keyOf(event.Message{Version: 1, Event: event.DocumentCreated, ID: 7}.Encode())
		}, ""},
		"letter of nobody": {func(w *world) { w.keyOf("?") }, "a dead letter cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newStoredWorld()
			test.change(w)
			w.finish()
			w.says(t, test.want)
		})
	}
}

func TestQueueThatIsNeverEmptyIsTold(t *testing.T) {
	for left, want := range map[time.Duration]string{time.Second: "", time.Hour: "the queue still holds 3 messages"} {
		synctest.Test(t, func(t *testing.T) {
			w, start := newStoredWorld(), time.Now()
			w.left = func(context.Context) (int, error) {
				if time.Since(start) < left {
					return 3, nil
				}
				return 0, nil
			}
			if err := w.quiet(t.Context(), "a test"); err != nil {
				t.Error(err)
			}
			w.says(t, want)
		})
	}
}

// TestTrafficHasAll sees that all that the oracles judge is drawn, each with the row
// that the webhook asks for.
func TestTrafficHasAll(t *testing.T) {
	traffic := &traffic{
		random: rand.New(rand.NewPCG(1, 2)), veryfi: standin.New(credentials("first")), nextID: 100, swapped: map[string][]string{},
		secret: credentials("first").ClientSecret,
	}
	drawn := map[string]bool{}
	for range 300 {
		webhook, about := traffic.draw()
		drawn[webhook.Event] = true
		for _, x := range about {
			drawn[x.status] = true
			drawn["forged"] = drawn["forged"] || x.forged
			drawn["unsigned"] = drawn["unsigned"] || x.forged && webhook.Signature == ""
			drawn["deleted on retrieval"] = drawn["deleted on retrieval"] || x.autoDelete
			if key, _ := x.under(webhook.Event, webhook.Data); key != x.key && webhook.Event != "bank_statement_set.failed" {
				t.Errorf("%+v asks for row %s, not %s", webhook, key, x.key)
			}
		}
	}
	for _, what := range []string{
		"document.created", "document.failed", "bank_statement_set.created", "bank_statement_set.failed", "contract.created",
		"processed", "failed", "error", "unsupported", "forged", "unsigned", "deleted on retrieval",
	} {
		if !drawn[what] {
			t.Errorf("never drawn: %s", what)
		}
	}
}

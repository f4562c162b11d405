package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/console"
	"veryfi-intake/deployment/doctor"
	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/document"
	"veryfi-intake/shared/secret"
)

// hostile is a text of each character that acts on a terminal.
var hostile = func() string {
	text := "\x1b]52;c;aGk=\a \xff"
	for _, table := range []*unicode.RangeTable{unicode.Cc, unicode.Bidi_Control} {
		for _, r := range table.R16 {
			for c := r.Lo; c <= r.Hi; c += r.Stride {
				text += string(rune(c))
			}
		}
	}
	return text
}()

// inXML is what of it XML can hold.
var inXML = strings.Map(func(r rune) rune {
	if r < ' ' || r == utf8.RuneError {
		return -1
	}
	return r
}, hostile)

// acts returns what of an output acts on a terminal.
func acts(output string) string {
	if !utf8.ValidString(output) {
		return "bytes that are not UTF-8"
	}
	i := strings.IndexFunc(output, func(r rune) bool { return r != '\n' && unicode.In(r, unicode.Cc, unicode.Bidi_Control) })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%.20q", output[i:])
}

// file writes a file for one test, and returns its path.
func (c *cloud) file(name, content string) string {
	path := filepath.Join(c.t.TempDir(), name)
	c.check(os.WriteFile(path, []byte(content), 0o600))
	return path
}

// log adds a line to a function's log group, an age ago.
func (c *cloud) log(output string, age time.Duration, line string) {
	c.logs.Add(c.stack.Outputs[output], line, time.Now().Add(-age))
}

func quoted(text string) string {
	q, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string
	}
	return string(q)
}

func TestNothingForeignReachesTheTerminal(t *testing.T) {
	c := newCloud(t)
	everything := row{}
	for _, name := range []string{"id", "status", "problem", "error", "external_id", "document_type", "vendor", "date", "total", "currency_code", "is_duplicate", "event", "created", "received_at", "retrieved_at", "updated_at", "request_id", "data", "parent_id", "other"} {
		everything[name] = text(hostile)
	}
	everything["document"] = &types.AttributeValueMemberM{Value: row{hostile: text(hostile)}}
	everything["id"] = text("7")
	zipped := row{"id": text("8"), "status": text("processed")}
	read, err := document.Read([]byte("{\"id\": 8, \"a\u009b\": [NaN, \"\u202e\x7f\xff\xed\xa0\x80\"]}"), 8)
	c.check(err)
	gzipped, err := read.Gzip()
	c.check(err)
	zipped["document_gzip"] = &types.AttributeValueMemberB{Value: gzipped}
	c.rows = []row{everything, zipped, problemRow(hostile, "error", hostile+": "+hostile, time.Now()), problemRow("9", "failed", hostile, time.Now())}
	q := quoted(hostile)
	member := `":` + q + `,"`
	lines := []string{
		`{"level":"INFO","message` + member + `event` + member + `document_id` + member + `status` + member + `error` + member + `request_id` + member + `verification_code":` + q + `}`,
		`{"message":"raw ` + inXML + `","` + inXML + `":1}`,
		hostile,
		`{"level":"ERROR","message":"the function cannot start","error":` + q + `}`,
	}
	for _, line := range lines {
		c.log(deployment.WebhookLog, time.Second, line)
	}
	c.attributes["DocumentQueue"]["VisibilityTimeout"] = hostile
	c.mapping["State"], c.mapping["UUID"] = hostile, hostile
	c.stack.Parameters["KmsKeyArn"], c.stack.Outputs["WebhookUrl"] = inXML, "http://127.0.0.1:9/"+inXML
	c.alarms.Alarms[0].Statistic = hostile
	c.answers["DescribeTable"] = map[string]any{"Table": map[string]any{"TableStatus": hostile}}
	c.answers["GetKeyPolicy"] = map[string]any{"Policy": hostile}
	c.answers["GetTopicAttributes"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<R><GetTopicAttributesResult><Attributes><entry><key>SubscriptionsPending</key><value>0</value></entry><entry><key>SubscriptionsConfirmed</key><value>%s</value></entry></Attributes></GetTopicAttributesResult></R>`, inXML)
	})
	c.answers["ListMessageMoveTasks"] = map[string]any{"Results": []any{map[string]any{"Status": "FAILED", "FailureReason": hostile}}}
	c.queues["DeadLetterQueue"].Send("", hostile, 0)
	c.runs = []invocation{{`{"errorMessage":` + q + `}`, true}}
	c.veryfi.Always(standin.Body(http.StatusBadRequest, hostile, `{"status":"fail","error":`+q+`}`))
	bare := strings.ReplaceAll(hostile, "\x00", "") // as an argument can be
	webhook := c.file("event.json", `{"event":`+q+`,"data":{"id":1}}`)
	large := c.file("receipt.jpg", strings.Repeat("x", 300))

	look := func(name string, arguments []string, printed ...string) {
		t.Helper()
		for _, output := range printed {
			if found := acts(output); found != "" {
				t.Errorf("%s %q prints %s", name, arguments, found)
			}
		}
	}
	for _, arguments := range [][]string{
		{"doctor"}, {"url"}, {"verification-code", "--timeout=0s"}, {"secret", "set"}, {"secret", "revoke"}, {"submit", large}, {"submit", bare}, {"submit", "https://" + bare},
		{"get", "7"}, {"get", "8"}, {"get", bare}, {"get", "8", "--document"}, {"get", "7", "--document"}, {"problems"}, {"problems", "--class", bare},
		{"tail", "--no-follow"}, {"tail", "--no-follow", "--document", bare}, {"redrive", "--all"}, {"redrive", bare}, {"redrive", "--class", bare},
		{"reconcile"}, {"reconcile", bare}, {"reconcile", "--since", bare}, {"replay", webhook}, {"replay", webhook, "--url", "http://127.0.0.1:9/" + bare}, {"replay", bare}, {bare}, {"problems", "--" + bare},
	} {
		_, out, notes := c.intake(arguments...)
		look("intake", arguments, out, notes)
		if out+notes == "" {
			t.Errorf("%q prints nothing", arguments)
		}
		status, out, notes := c.intake(append(arguments, "--json")...)
		look("intake --json", arguments, out, notes)
		for line := range strings.Lines(out) {
			if arguments[0] != "tail" {
				line = out
			}
			if !json.Valid([]byte(line)) {
				t.Errorf("%q --json ends with %d and prints no JSON: %s", arguments, status, line)
				break
			}
		}
	}
	if _, out, _ := c.intake("tail", "--no-follow"); strings.Count(out, "\n") != len(lines) {
		t.Errorf("%d lines are printed as\n%s", len(lines), out)
	}
	// What AWS says, of each call.
	for _, command := range everyCommand(c) {
		c.answers = map[string]any{}
		c.intake(command...)
		for _, call := range slices.Compact(slices.Sorted(slices.Values(c.calls))) {
			c.answers = map[string]any{call: refusal("AccessDeniedException", inXML)}
			_, out, notes := c.intake(command...)
			look("without "+call, command, out, notes)
		}
	}
}

// everyCommand has each command's calls in it.
func everyCommand(c *cloud) [][]string {
	webhook := c.file("event.json", `{"event":"document.created","data":{"id":1}}`)
	file := c.file("receipt.jpg", strings.Repeat("x", 300))
	return [][]string{
		{"url"}, {"doctor"}, {"verification-code", "--timeout=0s"}, {"secret", "set", "--yes"}, {"secret", "revoke", "--yes"}, {"submit", file, "--wait", "--timeout=0s"}, {"get", "7"}, {"get", "an-external-id"},
		{"problems"}, {"tail", "--no-follow"}, {"tail", "--no-follow", "--document=7"}, {"redrive", "--all"}, {"redrive", "70"}, {"redrive", "--class", "refused"}, {"reconcile"}, {"replay", webhook},
	}
}

// well is a cloud in which every command succeeds, and has something to do.
func well(t *testing.T) *cloud {
	t.Helper()
	c := newCloud(t)
	c.stdin = `{"client_id":"rotated-client","client_secret":"rotated-client-secret","username":"","api_key":"vrfk_rotated"}`
	c.veryfi.SetCredentials(secret.Credentials{ClientID: "rotated-client", ClientSecret: "rotated-client-secret", APIKey: "vrfk_rotated"})
	c.secrets.Put(`{"client_id":"rotated-client","client_secret":"before","username":"","api_key":"vrfk_rotated"}`)
	c.veryfi.PutCreated(7, time.Now(), []byte(`{"id":7,"external_id":"an-external-id"}`))
	c.rows = []row{{"id": text("7"), "status": text("processed"), "document": &types.AttributeValueMemberM{Value: row{}}, "received_at": text("2026-01-02T03:04:05Z")}}
	for id := 700_000_001; id < 700_000_100; id++ {
		c.rows = append(c.rows, row{"id": text(fmt.Sprint(id)), "status": text("processed")})
	}
	c.rows = append(c.rows, row{"id": text("70"), "status": text("error"), "error": text("refused: no")}, row{"id": text("71"), "status": text("error"), "error": text("refused: no")})
	c.log(deployment.WebhookLog, time.Second, `{"level":"INFO","message":"type this code","verification_code":"code-1"}`)
	c.die("70", "71")
	c.forged = http.StatusOK
	return c
}

func TestCommandSaysInOneSentenceWhatAWSRefuses(t *testing.T) {
	world := func(command string) *cloud {
		c := well(t)
		if command == "doctor" {
			c.stack.Parameters["KmsKeyArn"] = "arn:aws:kms:us-east-1:0:key/k"
		}
		return c
	}
	for i, command := range everyCommand(well(t)) {
		c := world(command[0])
		if status, out, notes := c.intake(command...); status != 0 && command[0] != "doctor" {
			t.Fatalf("%q ends with %d: %s%s", command, status, out, notes)
		}
		for _, call := range slices.Compact(slices.Sorted(slices.Values(c.calls))) {
			for says, failure := range map[string]smithy.GenericAPIError{
				"AWS does not let you do this: User x is not authorized to perform this. Use a --profile that may": denied,
				call + ".*500": {Code: "InternalFailure", Message: "try later", Fault: smithy.FaultServer},
			} {
				for _, flags := range [][]string{nil, {"--json"}} {
					c := world(command[0])
					arguments := slices.Concat(everyCommand(c)[i], flags)
					c.answers[call] = failure
					status, out, notes := c.intake(arguments...)
					want, said := 1, notes
					if command[0] == "doctor" && call != "DescribeStacks" {
						said = out
					}
					switch {
					case call == "ChangeMessageVisibilityBatch": // what was asked for is done
						want = 0
					case call == "GetKeyPolicy" && failure == denied: // it may be another account's
						says = "you may not read the policy"
					}
					if status != want || !regexp.MustCompile(says).MatchString(said) || strings.Contains(said, "goroutine") {
						t.Errorf("%q without %s ends with %d and says\n%s%s", arguments, call, status, out, notes)
					}
				}
			}
		}
	}
}

// A trial is a command, what is different from a cloud where all is well, and what
// comes of it.
type trial struct {
	name      string
	arguments []string
	change    func(*cloud)
	status    int
	out       string // a regular expression, "" for nothing at all
	notes     string
}

func (tr trial) run(t *testing.T, c *cloud) {
	t.Helper()
	if tr.change != nil {
		tr.change(c)
	}
	status, out, notes := c.intake(tr.arguments...)
	if status != tr.status {
		t.Errorf("%s: %q ends with %d, not %d", tr.name, tr.arguments, status, tr.status)
	}
	for _, printed := range []struct{ what, is, want string }{{"prints", out, tr.out}, {"notes", notes, tr.notes}} {
		if printed.want == "" && printed.is != "" || !regexp.MustCompile(printed.want).MatchString(printed.is) {
			t.Errorf("%s: %q %s\n%s\nnot %s", tr.name, tr.arguments, printed.what, printed.is, printed.want)
		}
	}
}

// otherKinds has the stack, Veryfi and the table know more than documents. Veryfi takes no
// contracts, and has trouble with its list of checks when it looks for trouble.
func otherKinds(c *cloud) {
	veryfi := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/contracts"):
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"Not found."}`)
		case strings.Contains(r.URL.Path, "/checks") && r.URL.Query().Get("meta.external_id") == "trouble":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			c.veryfi.ServeHTTP(w, r)
		}
	}))
	c.t.Cleanup(veryfi.Close)
	c.stack.Parameters["VeryfiBaseUrl"], c.stack.Parameters["MoreKinds"] = veryfi.URL, "parse=parse,contract=contracts"
	c.veryfi.Put(standin.Checks, 5, []byte(`{"id":5,"meta":{"external_id":"of-a-check"}}`))
	for _, id := range []string{"w2#5", "w2_set#5", "check#5", "parse#5", "check#700000001"} {
		c.rows = append(c.rows, row{"id": text(id), "status": text("processed")})
	}
}

// pdf returns a PDF with so many empty pages. Its last object, which is not used, says that
// no password is the right one.
func pdf(pages int) string {
	objects := []string{"<</Type/Catalog/Pages 2 0 R>>", fmt.Sprintf("<</Type/Pages/Count %d/Kids[%s]>>", pages, strings.Repeat("3 0 R ", pages)), "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>", fmt.Sprintf("<</Filter/Standard/V 1/R 2/P -4/O<%064d>/U<%064d>>>", 1, 2)}
	text, table := "%PDF-1.4\n", "0000000000 65535 f \n"
	for i, object := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", len(text))
		text += fmt.Sprintf("%d 0 obj %s endobj\n", i+1, object)
	}
	return fmt.Sprintf("%sxref\n0 5\n%strailer <</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", text, table, len(text))
}

func TestExitStatusAndWhatIsSaid(t *testing.T) {
	webhook, noWebhook := `{"event":"document.created","data":{"id":1}}`, `{"data":{}}`
	file := strings.Repeat("x", 300)
	stdin := func(text string) func(*cloud) { return func(c *cloud) { c.stdin = text } }
	for _, tr := range []trial{
		{name: "no such command", arguments: []string{"docter"}, status: 2, notes: "^intake: unexpected argument docter"},
		{name: "no such stack", arguments: []string{"url"}, change: func(c *cloud) { c.stack.Name = "other" }, status: 1, notes: "there is no stack"},
		{name: "of another version", arguments: []string{"url"}, change: func(c *cloud) { delete(c.stack.Outputs, deployment.TableName) }, status: 1, notes: "has no output TableName"},
		{name: "url", arguments: []string{"url"}, out: "^http://127.0.0.1:[0-9]+\n$", notes: "Paste it into"},
		{name: "url for machines", arguments: []string{"url", "--json"}, out: `"url": "http`},

		{name: "a code", arguments: []string{"verification-code"}, out: `(?m)^code-1  \d{4}-.*, 1 seconds ago$`, notes: "Type the newest"},
		{name: "no code", arguments: []string{"verification-code", "--since=1ms", "--timeout=0s"}, status: 1, notes: "no code has come"},

		{name: "get", arguments: []string{"get", "7"}, out: `status +processed\n`},
		{name: "get for machines", arguments: []string{"get", "7", "--json"}, out: `"status": "processed"`},
		{name: "get by external id", arguments: []string{"get", "an-external-id"}, out: `id +7\n`},
		{name: "get a bank statement", arguments: []string{"get", "690001"}, change: func(c *cloud) {
			c.rows = []row{{"id": text("bank_statement#690001"), "status": text("processed")}}
		}, out: `id +bank_statement#690001`},
		{name: "get a failed set", arguments: []string{"get", "42000"}, change: func(c *cloud) {
			c.rows = []row{{"id": text("bank_statement_set#42000"), "status": text("failed")}}
		}, out: `id +bank_statement_set#42000`},
		{name: "get what several kinds have", arguments: []string{"get", "5"}, change: otherKinds, out: `(?s)id +w2#5\n.*id +w2_set#5\n.*id +check#5\n.*id +parse#5\n`},
		{name: "get one of them", arguments: []string{"get", "check#5", "--json"}, change: otherKinds, out: `(?s)^\{.*"id": "check#5"`},
		{name: "get a document before other kinds", arguments: []string{"get", "7", "--json"}, change: func(c *cloud) {
			c.rows = append(c.rows, row{"id": text("check#7"), "status": text("failed")})
		}, out: `(?s)^\{.*"id": "7"`},
		{name: "get another kind by external id", arguments: []string{"get", "of-a-check"}, change: otherKinds, out: `id +check#5\n`},
		{name: "get another kind that has no row yet", arguments: []string{"get", "of-a-check"}, change: func(c *cloud) {
			otherKinds(c)
			c.rows = nil
		}, status: 1, notes: "has of-a-check as .check#5., and there is no row of it yet: `intake reconcile check#5`"},
		{name: "get while Veryfi's list of a kind is down", arguments: []string{"get", "trouble"}, change: otherKinds, status: 1, notes: "cannot ask Veryfi .* answered 500"},
		{name: "get what is not there", arguments: []string{"get", "8"}, status: 1, notes: "there is no row 8: if that is"},
		{name: "get the document of none", arguments: []string{"get", "70", "--document"}, status: 1, notes: "its status is error"},
		{name: "get nothing", arguments: []string{"get", ""}, status: 2, notes: "1 to 2000"},
		{name: "get a key that DynamoDB refuses", arguments: []string{"get", strings.Repeat("x", 2001)}, status: 2, notes: "1 to 2000"},
		{name: "get while Veryfi is down", arguments: []string{"get", "8"}, change: func(c *cloud) { c.veryfi.Always(standin.Status(500)) }, status: 1, notes: "cannot ask Veryfi"},
		{name: "get what has no row yet", arguments: []string{"get", "an-external-id"}, change: func(c *cloud) { c.rows = nil }, status: 1, notes: "reconcile 7` fetches it"},
		{name: "get several", arguments: []string{"get", "an-external-id", "--json"}, change: func(c *cloud) {
			c.veryfi.PutCreated(70, time.Now(), []byte(`{"id":70,"external_id":"an-external-id"}`))
		}, out: `(?s)^\[.*"id": "7.*"id": "7`},

		{name: "no problems", arguments: []string{"problems"}, out: "no row needs attention"},
		{name: "no problems for machines", arguments: []string{"problems", "--json"}, out: `^\[\]\n$`},
		{name: "none of a class", arguments: []string{"problems", "--class=x"}, out: "No such row"},
		{name: "none of a status", arguments: []string{"problems", "--status=failed"}, out: "No such row"},
		{name: "a limit that is none", arguments: []string{"problems", "--limit=0"}, status: 2, notes: "from 1 to 10000"},
		{name: "a limit too large", arguments: []string{"problems", "--limit=10001"}, status: 2, notes: "from 1 to 10000"},

		{name: "nothing in the logs", arguments: []string{"tail", "--no-follow", "--since=1ms"}, notes: "no such lines since"},

		{name: "redrive one", arguments: []string{"redrive", "70"}, out: "^1 moved into the queue, 1 left"},
		{name: "redrive by class for machines", arguments: []string{"redrive", "--class=refused", "--json"}, out: `"left": 0,\s+"moved": 2`},
		{name: "redrive what is not there", arguments: []string{"redrive", "72"}, status: 1, out: "^0 moved", notes: "72 is not among"},
		{name: "redrive some of what is asked for", arguments: []string{"redrive", "70", "72"}, status: 1, out: "^1 moved", notes: "^72 is not among"},
		{name: "redrive nothing", arguments: []string{"redrive"}, status: 2, notes: "say which"},
		{name: "redrive two ways", arguments: []string{"redrive", "--all", "--class=x"}, status: 2, notes: "say which"},
		{name: "redrive an empty id", arguments: []string{"redrive", ""}, status: 2, notes: "say which"},
		{name: "redrive all", arguments: []string{"redrive", "--all"}, out: "^2 moved into the queue, 0 left"},
		{name: "redrive all of none", arguments: []string{"redrive", "--all"}, change: func(c *cloud) { c.queues["DeadLetterQueue"] = newQueue() }, out: "^0 moved into the queue, 0 left"},
		{name: "SQS fails", arguments: []string{"redrive", "--all"}, change: func(c *cloud) {
			c.answers["ListMessageMoveTasks"] = map[string]any{"Results": []any{map[string]any{"Status": "FAILED", "ApproximateNumberOfMessagesMoved": 1, "FailureReason": "why"}}}
		}, status: 1, notes: "SQS has moved 1 messages and then failed: why"},
		{name: "somebody cancels", arguments: []string{"redrive", "--all"}, change: func(c *cloud) {
			c.answers["ListMessageMoveTasks"] = map[string]any{"Results": []any{map[string]any{"Status": "CANCELLED", "ApproximateNumberOfMessagesMoved": 1}}}
		}, out: "^1 moved into the queue, 2 left"},
		{name: "others are hidden", arguments: []string{"redrive", "--all"}, change: func(c *cloud) {
			c.queues["DeadLetterQueue"].Receive(1)
			c.answers["ListMessageMoveTasks"] = map[string]any{"Results": []any{map[string]any{"Status": "COMPLETED"}}}
		}, out: "^0 moved into the queue, 2 left", notes: "^1 of those that are left are hidden"},

		{name: "reconcile", arguments: []string{"reconcile"}, out: "^2 documents listed, 1 of them enqueued; 0 rows"},
		{name: "reconcile in several runs", arguments: []string{"reconcile", "--since=24h", "--json"}, change: func(c *cloud) {
			c.runs = []invocation{
				{payload: `{"listed":50,"enqueued":2,"stale":1,"next":{"since":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z","page":2}}`},
				{payload: `{"listed":7,"enqueued":3,"stale":4}`},
			}
		}, out: `"listed": 57,\s+"enqueued": 5,\s+"stale": 5`},
		{name: "reconcile ids", arguments: []string{"reconcile", "7", "8"}, out: "^1 of 2 documents enqueued; the others are stored"},
		{name: "reconcile ids again", arguments: []string{"reconcile", "7", "check#8", "--again"}, change: func(c *cloud) { c.runs = []invocation{{payload: `{"enqueued":2}`}} }, out: "^2 documents enqueued, to be fetched again"},
		{name: "reconcile unsupported events", arguments: []string{"reconcile", "--unsupported"}, change: func(c *cloud) {
			c.runs = []invocation{{payload: `{"taken_up":2,"removed":1,"next":{"unsupported":true}}`}, {payload: `{"taken_up":1}`}}
		}, out: "^3 unsupported events are known by now, and their documents enqueued; 1 row.* removed. A later run"},
		{name: "no unsupported events", arguments: []string{"reconcile", "--unsupported"}, change: func(c *cloud) { c.runs = []invocation{{payload: `{}`}} }, out: "^0 unsupported events are known by now, .* removed.\n$"},
		{name: "unsupported events by the way", arguments: []string{"reconcile"}, change: func(c *cloud) { c.runs = []invocation{{payload: `{"listed":1,"removed":2}`}} }, out: "^1 documents listed, .*, too. 0 unsupported events .* 2 rows"},
		{name: "the reconciler fails", arguments: []string{"reconcile"}, change: func(c *cloud) { c.runs = []invocation{{`{"errorMessage":"why"}`, true}} }, status: 1, notes: "^intake: the reconciler has failed: why"},
		{name: "the reconciler dies", arguments: []string{"reconcile"}, change: func(c *cloud) { c.runs = []invocation{{`{}`, true}} }, status: 1, notes: "failed: `intake tail` shows why"},
		{name: "its second run fails", arguments: []string{"reconcile", "--json"}, change: func(c *cloud) {
			c.runs = []invocation{{payload: `{"listed":50,"next":{"page":2}}`}, {`{"listed":1}`, true}}
		}, status: 1, notes: "has failed"},
		{name: "its answer is nothing", arguments: []string{"reconcile"}, change: func(c *cloud) { c.runs = []invocation{{payload: `<`}} }, status: 1, notes: "cannot read the reconciler"},
		{name: "reconcile what is no id", arguments: []string{"reconcile", "0"}, status: 2, notes: "\"0\" is not a document's id: a whole number from 1 on, or a kind"},

		{name: "secret set", arguments: []string{"secret", "set"}, change: func(c *cloud) { c.secrets.Remove("AWSPREVIOUS") }, out: "^Written.*\nVeryfi cannot check.*\nWebhooks that were signed"},
		{name: "secret set for machines", arguments: []string{"secret", "set", "--json", "--yes"}, out: `"written": true`},
		{name: "secret set again", arguments: []string{"secret", "set"}, change: func(c *cloud) { c.secrets.Put(c.stdin) }, out: "^Nothing has changed"},
		{name: "secret set, refused", arguments: []string{"secret", "set"}, change: stdin(`{"api_key":"vrfk_x"}`), status: 1, notes: "Veryfi refuses .*Nothing was written"},
		{name: "secret set, unasked", arguments: []string{"secret", "set", "--no-check"}, change: stdin(`{"api_key":"vrfk_x"}`), out: "^Written"},
		{name: "secret set, Veryfi is down", arguments: []string{"secret", "set"}, change: func(c *cloud) { c.veryfi.Always(standin.Status(500)) }, status: 1, notes: "cannot ask Veryfi .*Nothing was written"},
		{name: "secret set with a control character", arguments: []string{"secret", "set"}, change: stdin(`{"api_key":"a\nb"}`), status: 1, notes: "holds a line break"},
		{name: "secret set without a username", arguments: []string{"secret", "set"}, change: stdin(`{"api_key":"x"}`), status: 1, notes: "a value is missing: username"},
		{name: "secret set with another name", arguments: []string{"secret", "set"}, change: stdin(`{"token":"x"}`), status: 1, notes: "the input is not JSON of the form"},
		{name: "secret set twice", arguments: []string{"secret", "set"}, change: stdin(`{"api_key":"x"}{}`), status: 1, notes: "the input is not JSON of the form"},
		{name: "secret set within a day", arguments: []string{"secret", "set", "--no-check"}, change: changedTwice, status: 1, notes: "confirm it with --yes. Nothing was changed"},
		{name: "secret set within a day, confirmed", arguments: []string{"secret", "set", "--no-check", "--yes"}, change: changedTwice, out: "^Written"},
		{name: "revoke", arguments: []string{"secret", "revoke", "--yes"}, out: "^Revoked"},
		{name: "revoke for machines", arguments: []string{"secret", "revoke", "--yes", "--json"}, out: `"revoked": true`},
		{name: "revoke, and nobody is there", arguments: []string{"secret", "revoke"}, status: 1, notes: "confirm it with --yes"},
		{name: "revoke nothing", arguments: []string{"secret", "revoke", "--json"}, change: func(c *cloud) { c.secrets.Remove("AWSPREVIOUS") }, out: `"revoked": false`},

		{name: "submit", arguments: []string{"submit", "FILE:" + file}, out: `^700000001  .*file\n$`},
		{name: "submit for machines", arguments: []string{"submit", "FILE:" + file, "FILE:" + file, "--external-id=x", "--json"}, out: `(?s)700000001,\s+"external_id": "x-1".*700000002,\s+"external_id": "x-2"`},
		{name: "submit and wait", arguments: []string{"submit", "FILE:" + file, "--wait", "--external-id=x"}, out: `external_id x  processed\n$`},
		{name: "submit what fails", arguments: []string{"submit", "FILE:" + file, "--wait"}, change: func(c *cloud) {
			c.rows = []row{problemRow("700000001", "failed", "unreadable", time.Now())}
		}, status: 1, out: "failed: unreadable"},
		{name: "submit and wait too long", arguments: []string{"submit", "FILE:" + file, "--wait", "--timeout=0s"}, change: func(c *cloud) { c.rows = nil }, status: 1, out: "700000001", notes: "after 0s 1 document without a final row"},
		{name: "retrying is not final", arguments: []string{"submit", "FILE:" + file, "--wait", "--timeout=0s"}, change: func(c *cloud) {
			c.rows = []row{problemRow("700000001", "retrying", "unavailable: 500", time.Now())}
		}, status: 1, out: "retrying: unavailable", notes: "without a final row"},
		{name: "submit, refused", arguments: []string{"submit", "FILE:" + file}, change: func(c *cloud) { c.veryfi.SetCredentials(sample) }, status: 1, notes: "was refused, and what follows it was not sent"},
		{name: "submit, refused, for machines", arguments: []string{"submit", "FILE:" + file, "--json"}, change: func(c *cloud) { c.veryfi.SetCredentials(sample) }, status: 1, out: `^\[\]\n$`, notes: "was refused"},
		{name: "submit what is too short", arguments: []string{"submit", "FILE:" + file[:249]}, status: 1, notes: "has 249 bytes"},
		{name: "submit what is just long enough", arguments: []string{"submit", "FILE:" + file[:250]}, out: "700000001"},
		{name: "submit what is too long", arguments: []string{"submit", "FILE:" + strings.Repeat("x", 20<<20+1)}, status: 1, notes: "has 20971521 bytes"},
		{name: "submit too many pages", arguments: []string{"submit", "FILE:" + pdf(15), "FILE:" + pdf(16)}, status: 1, notes: "file has 16 pages: Veryfi takes 15 in a file of this kind. Split it"},
		{name: "submit just as many pages", arguments: []string{"submit", "FILE:" + pdf(15)}, out: "700000001"},
		{name: "submit more, by agreement", arguments: []string{"submit", "FILE:" + pdf(16), "--max-pages=16"}, out: "700000001"},
		{name: "submit too many pages of a W-2", arguments: []string{"submit", "--kind=w2", "FILE:" + pdf(3)}, status: 1, notes: "has 3 pages: Veryfi takes 2"},
		{name: "submit too many pages of a statement", arguments: []string{"submit", "--kind=bank-statement", "FILE:" + pdf(51)}, status: 1, notes: "has 51 pages: Veryfi takes 50"},
		{name: "submit a PDF that begins late", arguments: []string{"submit", "FILE:\n\n" + pdf(16)}, status: 1, notes: "has 16 pages"},
		{name: "submit half a PDF", arguments: []string{"submit", "FILE:" + pdf(16)[:350]}, status: 1, notes: "has 16 pages"},
		{name: "submit a PDF that pdfcpu cannot read", arguments: []string{"submit", "FILE:%PDF-1.4" + file}, out: "700000001"},
		{name: "submit one that it fails on", arguments: []string{"submit", "FILE:" + strings.Replace(pdf(16), "/Pages 2 0 R", "/Pears 2 0 R", 1)}, out: "700000001"},
		{name: "submit what asks for a password", arguments: []string{"submit", "FILE:" + strings.Replace(pdf(1), "trailer <<", "trailer <</ID[<00><00>]/Encrypt 4 0 R", 1)}, status: 1, notes: "asks for a password"},
		{name: "submit a check", arguments: []string{"submit", "FILE:" + pdf(100), "--kind=check", "--wait", "--json"}, change: otherKinds, out: `(?s)"id": 700000001,\s+"key": "check#700000001",\s+"status": "processed"`},
		{name: "submit an any-document", arguments: []string{"submit", "FILE:" + file, "--kind=any-document", "--blueprint=us_passport"}, change: otherKinds, out: `^anydocument#700000001  .*file\n$`},
		{name: "submit one without a blueprint", arguments: []string{"submit", "FILE:" + file, "--kind=any-document"}, change: otherKinds, status: 1, notes: "any-document needs --blueprint NAME"},
		{name: "submit a check with one", arguments: []string{"submit", "FILE:" + file, "--kind=check", "--blueprint=x"}, change: otherKinds, status: 1, notes: "check has no blueprints"},
		{name: "submit a kind of the stack", arguments: []string{"submit", "FILE:" + file, "--kind=parse"}, change: otherKinds, out: `^parse#700000001  `},
		{name: "submit a kind of none", arguments: []string{"submit", "FILE:" + file, "--kind=checks"}, change: otherKinds, status: 1, notes: "checks is not a kind of document: this stack knows document, bank-statement, w2, check, any-document, parse, contract\n$"},
		{name: "submit what has no route", arguments: []string{"submit", "FILE:" + file, "--kind=contract"}, change: otherKinds, status: 1, notes: "was refused, .* 404, it will not serve this request .Not found"},
		{name: "submit a folder", arguments: []string{"submit", "."}, status: 1, notes: "is not a file"},
		{name: "submit no address", arguments: []string{"submit", "https://"}, status: 1, notes: "is not an address"},

		{name: "replay", arguments: []string{"replay", "FILE:" + webhook}, out: "^document.created was answered with 200"},
		{name: "replay for machines", arguments: []string{"replay", "FILE:" + webhook, "--json"}, out: `"status": 200`},
		{name: "replay, refused", arguments: []string{"replay", "FILE:" + webhook}, change: func(c *cloud) { c.forged = 401 }, status: 1, out: "answered with 401", notes: "did not take it"},
		{name: "replay what is none", arguments: []string{"replay", "FILE:" + noWebhook}, status: 1, notes: "is not a webhook"},
		{name: "replay null", arguments: []string{"replay", `FILE:{"event":"document.created","data":null}`}, status: 1, notes: "is not a webhook"},
		{name: "replay without a secret", arguments: []string{"replay", "FILE:" + webhook}, change: func(c *cloud) { c.secrets.Put(`{"client_secret":"unset"}`) }, status: 1, notes: "the secret is not filled"},
	} {
		c := well(t)
		for i, argument := range tr.arguments {
			if content, ok := strings.CutPrefix(argument, "FILE:"); ok {
				tr.arguments[i] = c.file("file", content)
			}
		}
		tr.run(t, c)
	}
}

func TestPreviousClientSecretStaysUntilTheClientSecretChanges(t *testing.T) {
	for stdin, moved := range map[string]bool{`{"api_key":"vrfk_other"}`: true, `{"client_secret":"third"}`: false} {
		c := well(t)
		changedTwice(c)
		c.stdin = stdin
		if status, out, notes := c.intake("secret", "set", "--no-check", "--yes"); status != 0 || slices.Contains(c.calls, "UpdateSecretVersionStage") != moved {
			t.Errorf("%s: exit status %d, %v\n%s%s", stdin, status, c.calls, out, notes)
		}
	}
}

// changedTwice has the client secret changed a moment ago, and somebody change it again.
func changedTwice(c *cloud) {
	c.secrets.Put(`{"client_id":"rotated-client","client_secret":"second","username":"","api_key":"vrfk_rotated"}`)
	c.stdin = `{"client_secret":"third"}`
}

func keyPolicy(services ...string) string {
	policy := `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::0:root"},"Action":"kms:*","Resource":"*"},{"Effect":"Allow","Principal":"*","Action":"kms:DescribeKey"}`
	for _, service := range services {
		policy += `,{"Effect":"Allow","Principal":{"Service":["x","` + service + `"]},"Action":["kms:Decrypt"],"Resource":"*"}`
	}
	return policy + `]}`
}

func TestDoctorSaysWhatIsWrong(t *testing.T) {
	withKey := func(policy any) func(*cloud) {
		return func(c *cloud) {
			c.stack.Parameters["KmsKeyArn"] = "arn:aws:kms:us-east-1:0:key/k"
			c.answers["GetKeyPolicy"] = policy
		}
	}
	policy := func(text string) any { return map[string]any{"Policy": text} }
	table := func(status, index string) func(*cloud) {
		return func(c *cloud) {
			c.answers["DescribeTable"] = map[string]any{"Table": map[string]any{"TableStatus": status, "GlobalSecondaryIndexes": []any{map[string]any{"IndexName": "problems", "IndexStatus": index}}}}
		}
	}
	attribute := func(queue, name, value string) func(*cloud) {
		return func(c *cloud) { c.attributes[queue][name] = value }
	}
	mapping := func(name string, value any) func(*cloud) { return func(c *cloud) { c.mapping[name] = value } }
	parameter := func(name, value string) func(*cloud) { return func(c *cloud) { c.stack.Parameters[name] = value } }
	cannotStart := func(age time.Duration) func(*cloud) {
		return func(c *cloud) {
			c.log(deployment.ProcessorLog, age, `{"level":"ERROR","message":"the function cannot start","error":"DOCUMENT_RETENTION_DAYS must be a whole number"}`)
		}
	}
	subscribed := func(confirmed, pending int) func(*cloud) {
		return func(c *cloud) {
			c.answers["GetTopicAttributes"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `<R><GetTopicAttributesResult><Attributes><entry><key>SubscriptionsPending</key><value>%d</value></entry><entry><key>SubscriptionsConfirmed</key><value>%d</value></entry></Attributes></GetTopicAttributesResult></R>`, pending, confirmed)
			})
		}
	}
	both := func(changes ...func(*cloud)) func(*cloud) {
		return func(c *cloud) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	for _, test := range []struct {
		change func(*cloud)
		wrong  string // the line that is not well, "" for none
		says   string // what a line says
	}{
		{func(c *cloud) { c.forged = 400 }, "forgery", "was answered with 400, not with 401"},
		{func(c *cloud) { c.forged = 403 }, "forgery", "was answered with 403, not with 401"},
		{func(c *cloud) { c.forged = 500 }, "forgery", "was answered with 500, not with 401"},
		{func(c *cloud) { c.forged = 503 }, "forgery", "cannot read the secret"},
		{func(c *cloud) { c.forged = 200 }, "forgery", "a FORGED request was answered with 200"},
		{func(c *cloud) {
			c.secrets.Put(`{"client_id":"sample-client","username":"sample.user","api_key":"sample-api-key"}`)
		}, "forgery", "no client_secret"},
		{func(c *cloud) { c.secrets.Put(`{"client_secret":"sample-client-secret"}`) }, "secret", "lacks client_id"},
		{func(c *cloud) { c.secrets.Put(`{"client_secret":"unset"}`) }, "secret", "it is not filled"},
		{func(c *cloud) { c.secrets.Put(`{"client_secret":"unset"}`) }, "forgery", "cannot be tried before"},
		{func(c *cloud) { c.secrets.Put(`{"client_secret":"unset"}`) }, "Veryfi", "cannot be asked before"},
		{func(c *cloud) { c.veryfi.Always(standin.Status(500)) }, "Veryfi", "it may be down"},
		{func(c *cloud) { c.probed = 404 }, "webhook", "answers 404"},
		{func(c *cloud) { c.probed = 500 }, "webhook", "answers 500"},
		{func(c *cloud) { c.alarms.Metrics = &cloudwatch.Metrics{} }, "last document", "none was stored in 14 days"},
		{subscribed(0, 1), "receivers", "has not confirmed it"},
		{subscribed(2, 1), "receivers", "has not confirmed it"},
		{subscribed(2, 0), "", "2 receive alarms"},
		{both(subscribed(0, 0), parameter("AlarmEmail", "you@example.com")), "receivers", "has not confirmed it"},
		{table("CREATING", "ACTIVE"), "table", "it is CREATING: documents wait"},
		{table("DELETING", "ACTIVE"), "table", "it is DELETING: documents wait"},
		{table("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ACTIVE"), "table", "documents wait"},
		{table("ARCHIVED", "ACTIVE"), "table", "documents wait"},
		{table("UPDATING", "ACTIVE"), "", "it is UPDATING, as the template says"},
		{table("ACTIVE", "CREATING"), "table", "its index problems is not there"},
		{func(c *cloud) {
			c.answers["DescribeTable"] = map[string]any{"Table": map[string]any{"TableStatus": "ACTIVE"}}
		}, "table", "its index problems is not there"},
		{func(c *cloud) {
			c.answers["DescribeTimeToLive"] = map[string]any{"TimeToLiveDescription": map[string]any{}}
		}, "table", `is "", and the template says "expires_at"`},
		{func(c *cloud) {
			c.answers["DescribeContinuousBackups"] = map[string]any{"ContinuousBackupsDescription": map[string]any{"PointInTimeRecoveryDescription": map[string]any{"PointInTimeRecoveryStatus": "DISABLED"}}}
		}, "table", "point-in-time recovery is off"},
		{func(c *cloud) {
			c.alarms.Metrics.Add("VeryfiIntake", "TableFailures", map[string]string{"Stack": localName}, time.Now().Add(-time.Minute), 1)
		}, "table", "has refused to read or write rows"},
		{attribute("DocumentQueue", "VisibilityTimeout", "30"), "queues", "VisibilityTimeout of DocumentQueue is 30"},
		{attribute("DocumentQueue", "MessageRetentionPeriod", "86400"), "queues", "MessageRetentionPeriod of DocumentQueue is 86400"},
		{attribute("DocumentQueue", "RedrivePolicy", `{"maxReceiveCount":"6","deadLetterTargetArn":"arn:DeadLetterQueue"}`), "queues", "maxReceiveCount of DocumentQueue is 6, and the template says 1000"},
		{attribute("DocumentQueue", "RedrivePolicy", ""), "queues", "no DeadLetterQueue"},
		{attribute("DocumentQueue", "RedrivePolicy", `{"maxReceiveCount":1000,"deadLetterTargetArn":"arn:other"}`), "queues", "no DeadLetterQueue"},
		{attribute("DocumentQueue", "MaximumMessageSize", "262144"), "queues", "MaximumMessageSize of DocumentQueue is 262144, and the template says 1048576"},
		{attribute("DocumentQueue", "MaximumMessageSize", "1048576"), "", "they are as the template says"},
		{attribute("DeadLetterQueue", "MaximumMessageSize", "262144"), "queues", "MaximumMessageSize of DeadLetterQueue is 262144"},
		{attribute("DeadLetterQueue", "MessageRetentionPeriod", "86400"), "queues", "MessageRetentionPeriod of DeadLetterQueue is 86400"},
		{mapping("State", "Disabled"), "processor", "is Disabled. `aws lambda update-event-source-mapping --uuid uuid --enabled` starts it again"},
		{mapping("State", "Updating"), "", "it polls the queue"},
		{mapping("FunctionResponseTypes", nil), "processor", "Lambda DELETES messages that were not processed"},
		{mapping("ScalingConfig", nil), "processor", "MaximumConcurrency of the event source mapping is 0"},
		{mapping("BatchSize", 100), "processor", "BatchSize of the event source mapping is 100"},
		{mapping("MaximumBatchingWindowInSeconds", 300), "processor", "MaximumBatchingWindowInSeconds of the event source mapping is 300"},
		{func(c *cloud) { c.answers["ListEventSourceMappings"] = map[string]any{} }, "processor", "is gone"},
		{func(c *cloud) { c.alarms.Alarms = c.alarms.Alarms[1:] }, "alarms", "is not there"},
		{func(c *cloud) { c.alarms.Alarms = c.alarms.Alarms[:len(c.alarms.Alarms)-1] }, "alarms", "is not there"},
		{func(c *cloud) { c.alarms.Alarms[12].Period++ }, "alarms", "Period of "},
		{func(c *cloud) { c.die("7") }, "dead letters", "given up: 1 document"},
		{func(c *cloud) {
			c.die("7")
			c.queues["DeadLetterQueue"].Receive(1)
		}, "dead letters", "given up: 1 document"},
		{func(c *cloud) { c.rows = []row{problemRow("7", "error", "x: y", time.Now())} }, "problems", "1 error"},
		{func(c *cloud) { c.rows = []row{problemRow("7", "retrying", "x: y", time.Now())} }, "problems", "1 retrying"},
		{func(c *cloud) {
			c.rows = []row{problemRow("7", "failed", "x", time.Now()), problemRow("8", "unsupported", "x", time.Now()), problemRow("9", "unsupported", "x", time.Now())}
		}, "", `rows to look at \(1 failed, 2 unsupported\)`},
		{func(c *cloud) {
			for i := range 101 {
				c.rows = append(c.rows, problemRow(fmt.Sprint(i), "error", "x: y", time.Now()))
			}
		}, "problems", "100 or more error"},
		{both(func(c *cloud) { c.put("DocumentQueue", "7") }, func(c *cloud) {
			c.alarms.Metrics.Add("AWS/SQS", "ApproximateAgeOfOldestMessage", map[string]string{"QueueName": "DocumentQueue"}, time.Now().Add(-time.Minute), 1801)
		}), "waiting", "has waited 30m1s"},
		{both(func(c *cloud) { c.put("DocumentQueue", "7") }, func(c *cloud) {
			c.alarms.Metrics.Add("AWS/SQS", "ApproximateAgeOfOldestMessage", map[string]string{"QueueName": "DocumentQueue"}, time.Now().Add(-time.Minute), 1799)
		}), "", "1 document to be received, 0 in work.*has waited 29m59s"},
		{parameter("ProcessorConcurrency", "6"), "stack", "its processors may make 66 requests a second, and the reconciler 4"},
		{both(parameter("ProcessorConcurrency", "8"), parameter("VeryfiRequestsPerSecond", "7")), "stack", "keep the processors below 56"},
		{both(parameter("DocumentRetentionDays", "1"), parameter("ReconcileWindowHours", "24")), "stack", "fetches them again"},
		{parameter("DocumentRetentionDays", "1"), "", "local is CREATE_COMPLETE"},
		{withKey(policy(keyPolicy("cloudwatch.amazonaws.com", "logs.us-east-1.amazonaws.com"))), "", "names alarms and logs"},
		{withKey(policy(keyPolicy("cloudwatch.amazonaws.com", "logs.eu-west-1.amazonaws.com"))), "key", "does not name logs.us-east-1.amazonaws.com, and without that nothing is logged"},
		{withKey(policy(keyPolicy("logs.us-east-1.amazonaws.com"))), "key", "does not name cloudwatch.amazonaws.com, and without that alarms reach nobody"},
		{withKey(policy(`{"Statement":{"Effect":"Deny","Principal":{"Service":"cloudwatch.amazonaws.com"}}}`)), "key", "does not name cloudwatch"},
		{withKey(policy(`nothing`)), "key", "does not name cloudwatch"},
		{withKey(denied), "", "you may not read the policy of arn:.*aws kms get-key-policy"},
		{withKey(refusal("NotFoundException", "Key does not exist")), "key", "cannot look at it"},
		{cannotStart(time.Minute), "functions", "the processor cannot start, the last time 60 seconds ago: DOCUMENT_RETENTION_DAYS must be a whole number. Set that right"},
		{cannotStart(71 * time.Minute), "", "they start"},
		{both(cannotStart(time.Minute), func(c *cloud) { c.stack.Created = time.Now().Add(-30 * time.Second) }), "", "they start"},
		{both(cannotStart(time.Minute), func(c *cloud) {
			c.log(deployment.ProcessorLog, 30*time.Second, `{"level":"ERROR","message":"not stored"}`)
		}), "", "they start"},
		{both(cannotStart(time.Minute), func(c *cloud) { c.log(deployment.ProcessorLog, 90*time.Second, `{"level":"INFO","message":"stored"}`) }), "functions", "the processor cannot start"},
		{both(cannotStart(time.Minute), func(c *cloud) {
			c.log(deployment.ProcessorLog, 30*time.Second, `{"type":"platform.report","record":{}}`)
		}), "functions", "the processor cannot start"},
		{both(cannotStart(time.Minute), func(c *cloud) { c.log(deployment.WebhookLog, 30*time.Second, `{"level":"INFO","message":"accepted"}`) }), "functions", "the processor cannot start"},
	} {
		c := newCloud(t)
		test.change(c)
		_, out, _ := c.intake("doctor", "--json")
		var found []doctor.Finding
		c.check(json.Unmarshal([]byte(out), &found))
		says, wrong := false, map[string]bool{}
		for _, f := range found {
			says = says || f.OK == (test.wrong == "") && regexp.MustCompile(test.says).MatchString(f.Text)
			if !f.OK {
				wrong[f.Check] = true
			}
		}
		if !says || (len(wrong) > 0) != (test.wrong != "") || test.wrong != "" && !wrong[test.wrong] {
			t.Errorf("the doctor does not say %q of %q, but\n%v", test.says, test.wrong, found)
		}
	}
}

func TestDoctorEndsWithWhatItHasFound(t *testing.T) {
	for _, test := range []struct {
		change func(*cloud)
		status int
		wrong  []string
	}{
		{func(*cloud) {}, 0, nil},
		{func(c *cloud) { c.forged = 403 }, 1, []string{"forgery"}},
		{func(c *cloud) { c.veryfi.Always(standin.Status(404)) }, 1, []string{"Veryfi"}},
		{func(c *cloud) { c.veryfi.SetCredentials(secret.Credentials{}) }, 1, []string{"Veryfi"}},
		{func(c *cloud) {
			c.veryfi.Always(standin.Status(429))
			c.stack.Parameters["DocumentRetentionDays"] = "0.1"
		}, 1, []string{"stack", "Veryfi"}},
	} {
		c := newCloud(t)
		test.change(c)
		status, out, _ := c.intake("doctor")
		var wrong []string
		for _, match := range regexp.MustCompile(`(?m)^✗ (\w+( \w+)?)  `).FindAllStringSubmatch(out, -1) {
			wrong = append(wrong, match[1])
		}
		if status != test.status || !slices.Equal(wrong, test.wrong) || strings.Count(out, "✓")+len(wrong) != strings.Count(out, "\n") {
			t.Errorf("exit status %d, wrong are %v, not %v", status, wrong, test.wrong)
		}
		status, out, _ = c.intake("doctor", "--json")
		var found []doctor.Finding
		c.check(json.Unmarshal([]byte(out), &found))
		wrong = nil
		for _, f := range found {
			if !f.OK {
				wrong = append(wrong, f.Check)
			}
		}
		if status != test.status || !slices.Equal(wrong, test.wrong) {
			t.Errorf("--json: exit status %d, wrong are %v, not %v", status, wrong, test.wrong)
		}
	}
}

func TestRedriveLooksAtAllAndLosesNone(t *testing.T) {
	refuse := func(call string, after int, failure any) func(*cloud) {
		return func(c *cloud) {
			calls := 0
			c.answers[call] = func() any {
				if calls++; calls > after {
					return failure
				}
				return nil
			}
		}
	}
	for _, test := range []struct {
		name           string
		arguments      []string
		change         func(*cloud)
		status         int
		moved, deleted int
		visible        int
		notes          string
	}{
		{"the last one of several batches", []string{"101"}, nil, 0, 1, 1, 34, ""},
		{"two of them", []string{"100", "101"}, nil, 0, 2, 2, 33, ""},
		{"by key and in another batch", []string{"121"}, nil, 0, 1, 1, 34, ""},
		{"two receives find nothing, as SQS does that asks only some of its servers", []string{"101"}, func(c *cloud) {
			calls := 0
			c.answers["ReceiveMessage"] = func() any {
				if calls++; calls == 2 || calls == 3 {
					return map[string]any{"Messages": []any{}}
				}
				return nil
			}
		}, 0, 1, 1, 34, ""},
		{"the queue takes none", []string{"101"}, refuse("SendMessage", 0, denied), 1, 0, 0, 35, "AWS does not let"},
		{"it takes one, and then none", []string{"100", "101"}, refuse("SendMessage", 1, denied), 1, 1, 1, 34, "^1 were moved into the queue before that"},
		{"the letter cannot be deleted", []string{"101"}, refuse("DeleteMessage", 0, denied), 1, 1, 0, 35, "^1 were moved into the queue before that"},
		{"the second batch cannot be received", []string{"101"}, refuse("ReceiveMessage", 1, denied), 1, 0, 0, 35, "AWS does not let"},
		{"the second batch is not let go", []string{"101"}, refuse("ChangeMessageVisibilityBatch", 1, denied), 0, 1, 1, 10, "^24 dead letters that were not chosen stay hidden for 30 minutes: AWS does not let"},
		{"two of a batch are not let go", []string{"101"}, func(c *cloud) {
			c.answers["ChangeMessageVisibilityBatch"] = map[string]any{"Successful": []any{}, "Failed": []any{map[string]any{"Id": "0", "Code": "x", "SenderFault": true, "Message": "why"}, map[string]any{"Id": "1", "Code": "x", "SenderFault": true, "Message": "why"}}}
		}, 0, 1, 1, 0, "^8 dead letters that were not chosen stay hidden for 30 minutes: why"},
	} {
		c := well(t)
		dead := newQueue()
		c.queues["DeadLetterQueue"] = dead
		for id := range 35 { // 100 comes first, and then 134 to 101
			c.die(fmt.Sprint(100 + id))
		}
		if test.change != nil {
			test.change(c)
		}
		status, _, notes := c.intake(append([]string{"redrive"}, test.arguments...)...)
		if status != test.status || !regexp.MustCompile(test.notes).MatchString(notes) || test.notes == "" && notes != "" {
			t.Errorf("%s: exit status %d, notes %s", test.name, status, notes)
		}
		visible, hidden := dead.Count()
		if moved, deleted := c.queues["DocumentQueue"].Left(), 35-visible-hidden; moved != test.moved || deleted != test.deleted || visible != test.visible {
			t.Errorf("%s: %d moved, %d deleted, %d visible", test.name, moved, deleted, visible)
		}
	}
}

func TestRedriveByClassReadsTheRows(t *testing.T) {
	c := well(t)
	c.queues["DeadLetterQueue"].Send("", "not ours", 0)
	unread := 0
	c.answers["BatchGetItem"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unread++
		var input struct{ RequestItems any }
		c.check(json.NewDecoder(r.Body).Decode(&input))
		write(w, r, map[string]any{"Responses": map[string]any{}, "UnprocessedKeys": input.RequestItems})
	})
	if status, out, notes := c.intake("redrive", "--class=refused"); status != 0 || !strings.HasPrefix(out, "2 moved into the queue, 1 left") || unread == 0 {
		t.Errorf("exit status %d\n%s%s", status, out, notes)
	}
	if status, out, notes := c.intake("redrive", "--class=malformed"); status != 0 || !strings.HasPrefix(out, "1 moved into the queue, 0 left") {
		t.Errorf("exit status %d\n%s%s", status, out, notes)
	}
	c.die("70")
	c.waited = -time.Minute // moved, and given up again meanwhile
	if status, out, notes := c.intake("redrive", "70"); status != 0 || !strings.HasPrefix(out, "0 moved into the queue, 1 left") {
		t.Errorf("exit status %d\n%s%s", status, out, notes)
	}
}

func TestTailReadsEveryPage(t *testing.T) {
	c := newCloud(t)
	for n := range 250 {
		c.log([]string{deployment.WebhookLog, deployment.ProcessorLog, deployment.ReconcilerLog}[n/230], time.Duration(300-n)*1900*time.Millisecond, fmt.Sprintf(`{"message":"line %d","document_id":"%d","signed":true,"attempts":2}`, n, n%2))
	}
	c.rows = []row{{"id": text("1"), "received_at": text(time.Now().Add(-246 * time.Second).UTC().Format(time.RFC3339Nano))}}
	for _, test := range []struct {
		arguments []string
		lines     int
		holds     string
	}{
		{[]string{}, 250, `webhook     0  line 0  attempts=2\n(.*\n)*.*processor   1  line 249  attempts=2`},
		{[]string{"--json"}, 250, `(?m)^{"function":"webhook","line":{"message":"line 0",.*}$`},
		{[]string{"--document=1", "--since=10m"}, 125, "line 1  "},
		{[]string{"--document=1"}, 45, "line 249  "},
		{[]string{"--since=231700ms"}, 71, "line 179  "},
	} {
		status, out, _ := c.intake(append([]string{"tail", "--no-follow"}, test.arguments...)...)
		if lines := strings.Count(out, "\n"); status != 0 || lines != test.lines || !regexp.MustCompile(test.holds).MatchString(out) {
			t.Errorf("%v: exit status %d, %d lines", test.arguments, status, lines)
		}
	}
}

func TestProblemsOfEveryPage(t *testing.T) {
	c := newCloud(t)
	now := time.Now()
	for n := range 7 {
		c.rows = append(c.rows, problemRow(fmt.Sprint("e", n), "error", "refused: no", now.Add(-time.Duration(2*n)*time.Minute)), problemRow(fmt.Sprint("f", n), "failed", "refused: no", now.Add(-time.Duration(2*n+1)*time.Minute)))
	}
	c.rows[12]["error"] = text("not found: gone")
	for _, test := range []struct {
		arguments []string
		ids       string
		notes     string
	}{
		{nil, "e0 f0 e1 f1 e2 f2 e3 f3 e4 f4 e5 f5 e6 f6", ""},
		{[]string{"--limit=3"}, "e0 f0 e1 f1 e2 f2", "(?s)latest 3 rows of error .*latest 3 rows of failed"},
		{[]string{"--status=failed"}, "f0 f1 f2 f3 f4 f5 f6", ""},
		{[]string{"--class=not found"}, "e6", ""},
		{[]string{"--class=not found", "--limit=1"}, "e6", "latest 1 rows of error"},
		{[]string{"--class=refused", "--limit=2"}, "e0 e1", "latest 2 rows of error"},
	} {
		status, out, notes := c.intake(append([]string{"problems", "--json"}, test.arguments...)...)
		var found []problem
		c.check(json.Unmarshal([]byte(out), &found))
		var ids []string
		for _, p := range found {
			ids = append(ids, p.ID)
		}
		if got := strings.Join(ids, " "); status != 0 || got != test.ids || !regexp.MustCompile(test.notes).MatchString(notes) || test.notes == "" && notes != "" {
			t.Errorf("%v: exit status %d, %s, %s", test.arguments, status, got, notes)
		}
	}
	if _, out, _ := c.intake("problems"); !regexp.MustCompile(`(?s)failed +7\s.*error +refused +6\s.*error +not found +1\s.*error +e0 .*failed +f0 `).MatchString(out) {
		t.Error(out)
	}
}

func TestEveryCodeIsShownWithItsTime(t *testing.T) {
	c := newCloud(t)
	for i, line := range []string{
		`{"verification_code":"too-old","signed":true}`,
		`{"verification_code":"signed","signed":true}`,
		`{"verification_code":"forged","signed":false}`,
		`{"verification_code":"with a space","signed":true}`,
		`{"verification_code":"\u001b[31m","signed":true}`,
		`{"verification_code":"é","signed":true}`,
		`{"verification_code":"` + strings.Repeat("x", 257) + `","signed":true}`,
		`{"verification_code":"","signed":true}`,
		`{"verification_code":12345,"signed":true}`,
		`{"verification_code":"!` + strings.Repeat("~", 255) + `","signed":true}`,
		`{"verification_code":"of-an-older-version"}`,
	} {
		c.log(deployment.WebhookLog, []time.Duration{time.Hour, 10 * time.Minute}[min(i, 1)]-time.Duration(i)*time.Second, line)
	}
	status, out, notes := c.intake("verification-code")
	want := regexp.MustCompile(`^signed  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, 10 minutes ago
forged  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, 10 minutes ago, not signed
!~{255}  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, 10 minutes ago
of-an-older-version  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, 10 minutes ago
$`)
	if status != 0 || !want.MatchString(out) || !strings.Contains(notes, "the last one") {
		t.Errorf("exit status %d\n%s%s", status, out, notes)
	}
	_, out, _ = c.intake("verification-code", "--json")
	var codes []deployment.VerificationCode
	c.check(json.Unmarshal([]byte(out), &codes))
	if len(codes) != 4 || codes[1].Code != "forged" || *codes[1].Signed || !*codes[0].Signed || codes[3].Signed != nil || time.Since(codes[0].ReceivedAt) < 9*time.Minute {
		t.Errorf("%s", out)
	}
}

func TestOnlyYesIsYes(t *testing.T) {
	t.Parallel()
	for typed, confirmed := range map[string]bool{"yes\n": true, " yes \n": true, "yes": true, "\n": false, "": false, "no\n": false, "y\n": false, "YES\n": false, "yes please\n": false} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, typed); err != nil {
			t.Fatal(err)
		}
		out.Close()
		var notes strings.Builder
		a := &app{Context: t.Context(), in: in, answers: true, notes: console.New(&notes, false)}
		if err := a.confirm("Sure?", false); (err == nil) != confirmed || err != nil && err.Error() != "nothing was changed" {
			t.Errorf("%q: %v", typed, err)
		}
		if notes.String() != "Sure? Type yes to go on: " {
			t.Error(notes.String())
		}
		in.Close()
		if err := a.confirm("Sure?", true); err != nil {
			t.Errorf("--yes: %v", err)
		}
	}
}

package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/failure"
)

// A service stands in for DynamoDB. It gives the answers one after the other and
// then succeeds, and keeps what it was sent.
type service struct {
	mu      sync.Mutex
	answers []answer
	calls   []call
}

type answer struct {
	status int
	body   string
}

type call struct {
	target, authorization string
	body                  []byte
	signatureIsGood       bool
}

func refused(code string) answer {
	return answer{http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#` + code + `","message":"a reason"}`}
}

var credentials = aws.Credentials{AccessKeyID: "an access key", SecretAccessKey: "a secret key", SessionToken: "a session"}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(body)) || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		http.Error(w, "not a request of an SDK", http.StatusTeapot)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call{r.Header.Get("X-Amz-Target"), r.Header.Get("Authorization"), body, isSigned(r, body)})
	next := answer{http.StatusOK, `{}`}
	if len(s.answers) > 0 {
		next, s.answers = s.answers[0], s.answers[1:]
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(next.status)
	io.WriteString(w, next.body)
}

// isSigned signs the request once more, as DynamoDB does.
func isSigned(r *http.Request, body []byte) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	again := httptest.NewRequest(r.Method, "http://"+r.Host+r.URL.String(), bytes.NewReader(body))
	_, names, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	names, _, _ = strings.Cut(names, ",")
	for name := range strings.SplitSeq(names, ";") {
		if value := r.Header.Get(name); value != "" && name != "x-amz-security-token" {
			again.Header.Set(name, value)
		}
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(sum[:]), "dynamodb", "eu-central-1", at)
	return err == nil && again.Header.Get("Authorization") == r.Header.Get("Authorization")
}

// newTable returns a table in a service, through the real client.
func newTable(t *testing.T, answers ...answer) (*Table, *service) {
	t.Helper()
	s := &service{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := dynamodb.NewFromConfig(aws.Config{
		Region:       "eu-central-1",
		BaseEndpoint: &server.URL,
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxBackoff = time.Millisecond
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			})
		},
	})
	return New(client, "Document-Table"), s
}

func parsed(t *testing.T, body []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	return v
}

// An item is one in DynamoDB's JSON: by name and kind.
type item map[string]map[string]any

// put writes a row into a table of its own. It returns the items of all calls.
func put(t *testing.T, row Row, seen State, answers ...answer) ([]item, error) {
	t.Helper()
	table, service := newTable(t, answers...)
	err := table.Put(t.Context(), row, seen)
	return service.items(t), err
}

// items returns the items of all calls, which must be PutItem.
func (s *service) items(t *testing.T) (items []item) {
	t.Helper()
	for _, call := range s.calls {
		var request struct{ Item item }
		if err := json.Unmarshal(call.body, &request); err != nil || call.target != "DynamoDB_20120810.PutItem" || !call.signatureIsGood {
			t.Fatalf("%v: %+.300v", err, call)
		}
		items = append(items, request.Item)
	}
	return items
}

// mustPut writes a row and returns the item of the only call.
func mustPut(t *testing.T, row Row) item {
	t.Helper()
	items, err := put(t, row, State{})
	if err != nil || len(items) != 1 {
		t.Fatalf("%d calls: %v", len(items), err)
	}
	return items[0]
}

var received = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))

func processed(t *testing.T, body string) Row {
	t.Helper()
	d, err := document.Read([]byte(body), 123456789)
	if err != nil {
		t.Fatal(err)
	}
	return Row{
		ID: "123456789", Status: Processed, Event: "document.created", Created: "2021-10-20 15:27:26",
		ReceivedAt: received, RetrievedAt: received.Add(time.Second), UpdatedAt: received.Add(2 * time.Second),
		Attempts: 2, RequestID: "a-request", Document: d,
	}
}

const small = `{"id":123456789,"external_id":"order 7","document_type":"invoice","total":12.10,"n":12345678901234567890123456789012345678,"vendor":{"name":"Caf\u00e9 <&>"}}`

func TestRequestsAreWhatDynamoDBExpects(t *testing.T) {
	t.Parallel()
	const ordinary = `"TableName":"Document-Table","ConditionExpression":"attribute_not_exists(updated_at)"`
	over := func(version string) string {
		return fmt.Sprintf(`"TableName":"Document-Table","ConditionExpression":"updated_at = :version","ExpressionAttributeValues":{":version":{"S":%q}}`, version)
	}
	common := Row{ID: "7", Event: "document.created", Created: "c", ReceivedAt: received, UpdatedAt: received.Add(2 * time.Second), Attempts: 1, RequestID: "r"}
	const commonItem = `"id":{"S":"7"},"event":{"S":"document.created"},"created":{"S":"c"},"received_at":{"S":"2026-01-02T02:04:05.678Z"},` +
		`"updated_at":{"S":"2026-01-02T02:04:07.678Z"},"attempts":{"N":"1"},"request_id":{"S":"r"}`
	row := func(change func(*Row)) Row {
		r := common
		change(&r)
		return r
	}
	const processedItem = `{"id":{"S":"123456789"},"status":{"S":"processed"},"event":{"S":"document.created"},"created":{"S":"2021-10-20 15:27:26"},` +
		`"received_at":{"S":"2026-01-02T02:04:05.678Z"},"retrieved_at":{"S":"2026-01-02T02:04:06.678Z"},"updated_at":{"S":"2026-01-02T02:04:07.678Z"},` +
		`"attempts":{"N":"2"},"request_id":{"S":"a-request"},"external_id":{"S":"order 7"},"document_type":{"S":"invoice"},` +
		`"vendor":{"S":"Café <&>"},"total":{"N":"12.1"},"document":{"M":{"id":{"N":"123456789"},"external_id":{"S":"order 7"},"document_type":{"S":"invoice"},"total":{"N":"12.1"},` +
		`"n":{"N":"12345678901234567890123456789012345678"},"vendor":{"M":{"name":{"S":"Café <&>"}}}}}}`
	for name, test := range map[string]struct {
		row  Row
		seen State
		want string
	}{
		"processed, no row yet": {processed(t, small), State{}, `{"Item":` + processedItem + `,` + ordinary + `}`},
		"processed over retrying": {
			processed(t, small), State{Status: Retrying, Version: "2026-01-02T02:04:05.678Z"}, `{"Item":` + processedItem + `,` + over("2026-01-02T02:04:05.678Z") + `}`,
		},
		"processed over processed": {
			processed(t, small), State{Status: Processed, Version: "as \"x\" wrote it"}, `{"Item":` + processedItem + `,` + over(`as "x" wrote it`) + `}`,
		},
		"failed": {
			row(func(r *Row) { r.Status, r.Error = Failed, "Couldn't \"read\"\n\u2028<it> é😀" }), State{},
			`{"Item":{` + commonItem + `,"status":{"S":"failed"},"problem":{"S":"failed"},"error":{"S":"Couldn't \"read\"\n\u2028<it> é😀"}},` + ordinary + `}`,
		},
		"retrying": {
			row(func(r *Row) { r.Status, r.Error, r.NotFound = Retrying, "Veryfi answered 404", 3 }), State{},
			`{"Item":{` + commonItem + `,"status":{"S":"retrying"},"problem":{"S":"retrying"},"error":{"S":"Veryfi answered 404"},"not_found":{"N":"3"}},` + ordinary + `}`,
		},
		"error, a child": {
			row(func(r *Row) {
				r.ID, r.Status, r.Error, r.ParentID, r.Attempts = "bank_statement#690001", Error, "e", 9223372036854775807, 60
			}), State{},
			`{"Item":{"id":{"S":"bank_statement#690001"},"event":{"S":"document.created"},"created":{"S":"c"},"received_at":{"S":"2026-01-02T02:04:05.678Z"},` +
				`"updated_at":{"S":"2026-01-02T02:04:07.678Z"},"attempts":{"N":"60"},"request_id":{"S":"r"},"parent_id":{"N":"9223372036854775807"},` +
				`"status":{"S":"error"},"problem":{"S":"error"},"error":{"S":"e"}},` + ordinary + `}`,
		},
		"unsupported": {
			row(func(r *Row) {
				r.Status, r.Error, r.Data, r.Events = Unsupported, "e", ` { "a" : "\u00e9", "b":[1.0] } `, []string{"x", "\"y\""}
			}), State{},
			`{"Item":{` + commonItem + `,"events":{"L":[{"S":"x"},{"S":"\"y\""}]},"status":{"S":"unsupported"},"problem":{"S":"unsupported"},"error":{"S":"e"},"data":{"S":" { \"a\" : \"\\u00e9\", \"b\":[1.0] } "}},` + ordinary + `}`,
		},
		"with nothing but what must be": {
			Row{ID: "7", Status: Failed}, State{}, `{"Item":{"id":{"S":"7"},"status":{"S":"failed"},"problem":{"S":"failed"}},` + ordinary + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, service := newTable(t)
			if err := table.Put(t.Context(), test.row, test.seen); err != nil {
				t.Fatal(err)
			}
			if service.items(t); len(service.calls) != 1 {
				t.Fatalf("%d calls", len(service.calls))
			}
			request := parsed(t, service.calls[0].body)
			if diff := cmp.Diff(parsed(t, []byte(test.want)), request); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestEveryNumberOfTheDocumentIsSentAsItWas looks at the bytes: decoding hides a
// number that was written anew.
func TestEveryNumberOfTheDocumentIsSentAsItWas(t *testing.T) {
	t.Parallel()
	table, service := newTable(t)
	if err := table.Put(t.Context(), processed(t, small), State{}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"total":{"N":"12.1"},"document":`, `"document":{"M":{"id":{"N":"123456789"}`, `"total":{"N":"12.1"}`, `"n":{"N":"12345678901234567890123456789012345678"}`, `{"S":"Caf\u00e9 <&>"}`} {
		if !bytes.Contains(service.calls[0].body, []byte(part)) {
			t.Errorf("%s is not in %s", part, service.calls[0].body)
		}
	}
}

func TestTimesAreUTCAndSortAsText(t *testing.T) {
	t.Parallel()
	var previous string
	for _, at := range []time.Time{
		time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 1_000_000, time.UTC),
		time.Date(2026, 1, 2, 5, 4, 5, 50_999_999, time.FixedZone("", 7200)), time.Date(2026, 1, 1, 22, 4, 6, 0, time.FixedZone("", -5*3600)),
	} {
		text := at.UTC().Format(TimeFormat)
		if text <= previous || len(text) != len(TimeFormat) || !strings.HasSuffix(text, "Z") {
			t.Errorf("%s comes after %s", text, previous)
		}
		previous = text
	}
}

// unzipped returns what is in document_gzip.
func unzipped(t *testing.T, i item) string {
	t.Helper()
	text, _ := i["document_gzip"]["B"].(string)
	compressed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	d, err := document.ReadGzip(compressed, 123456789)
	if err != nil {
		t.Fatalf("document_gzip is %.100v: %v", text, err)
	}
	return string(d.JSON)
}

func TestWhatIsNotNativeIsStoredAsReceived(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"NaN":            ` NaN `,
		"39 digits":      `123456789012345678901234567890123456789`,
		"repeated key":   `1,"\u006e":1.50`,
		"lone surrogate": `"\ud800"`,
		"invalid UTF-8":  "\"\xff\"",
		"large":          `"` + strings.Repeat("a", 500_000) + `"`,
	} {
		body := `{"id":123456789,"external_id":"order 7","document_type":"invoice","vendor":{"name":"A"},"total":12.10,"is_duplicate":true,"n":` + value + `}`
		sent := mustPut(t, processed(t, body))
		if unzipped(t, sent) != body || sent["document"] != nil {
			t.Errorf("%s: not what was received", name)
		}
		for attribute, want := range map[string]map[string]any{
			"external_id": {"S": "order 7"}, "document_type": {"S": "invoice"}, "vendor": {"S": "A"}, "total": {"N": "12.1"}, "is_duplicate": {"BOOL": true},
		} {
			if diff := cmp.Diff(want, sent[attribute]); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, attribute, diff)
			}
		}
	}
}

func TestItemThatDynamoDBRefusesIsStoredAsReceived(t *testing.T) {
	t.Parallel()
	items, err := put(t, processed(t, small), State{Status: Processed, Version: "b"}, refused("ValidationException"))
	if err != nil || len(items) != 2 {
		t.Fatalf("%d calls: %v", len(items), err)
	}
	was, is := items[0], items[1]
	if was["document"] == nil || is["document"] != nil || unzipped(t, is) != small {
		t.Errorf("%.200v", is)
	}
	// All the rest is the same.
	delete(was, "document")
	delete(is, "document_gzip")
	if diff := cmp.Diff(was, is); diff != "" {
		t.Error(diff)
	}
}

func TestRowThatIsNotWrittenIsAnError(t *testing.T) {
	t.Parallel()
	native, gzipped, none := processed(t, small), processed(t, `{"id":123456789,"n":NaN}`), Row{ID: "7", Status: Failed, Error: "e"}
	invalid, failed := refused("ValidationException"), refused("ConditionalCheckFailedException")
	down := answer{http.StatusServiceUnavailable, `{"__type":"InternalServerError"}`}
	for name, test := range map[string]struct {
		row     Row
		answers []answer
		calls   int
		want    error // or one of DynamoDB's
		code    string
	}{
		"native, refused":               {native, []answer{invalid, invalid}, 2, nil, "ValidationException"},
		"gzip, refused":                 {gzipped, []answer{invalid, invalid}, 1, nil, "ValidationException"},
		"no document, refused":          {none, []answer{invalid, invalid}, 1, nil, "ValidationException"},
		"the table stays down":          {native, []answer{down, down, down, down}, 3, nil, "InternalServerError"},
		"a newer row":                   {native, []answer{failed}, 1, ErrSuperseded, ""},
		"a newer row, no document":      {none, []answer{failed}, 1, ErrSuperseded, ""},
		"a newer row after a refusal":   {native, []answer{invalid, failed}, 2, ErrSuperseded, ""},
		"a document of 450 KB, gzipped": {processed(t, incompressible(450_000)), nil, 0, ErrTooLarge, ""},
		"data that no item holds":       {Row{ID: "7", Status: Unsupported, Data: strings.Repeat("a", document.MaxItemSize)}, nil, 0, ErrTooLarge, ""},
	} {
		items, err := put(t, test.row, State{Status: Processed, Version: "b"}, test.answers...)
		refused, isDynamoDBs := errors.AsType[smithy.APIError](err)
		if err == nil || len(items) != test.calls || test.want != nil && !errors.Is(err, test.want) || isDynamoDBs != (test.code != "") {
			t.Fatalf("%s: %d calls, %v", name, len(items), err)
		}
		if isDynamoDBs && (refused.ErrorCode() != test.code || failure.ClassOf(err) != failure.Table) {
			t.Errorf("%s: class %q, %v", name, failure.ClassOf(err), err)
		}
		if strings.Contains(err.Error(), "order 7") {
			t.Errorf("%s: the error holds some of the document: %v", name, err)
		}
		if size := regexp.MustCompile(`would have (4[4-7]\d|409)\d\d\d bytes`); errors.Is(test.want, ErrTooLarge) && !size.MatchString(err.Error()) {
			t.Errorf("%s: no size in %v", name, err)
		}
	}
	table, _ := newTable(t, down, down, down, down)
	if state, err := table.Get(t.Context(), "7"); err == nil || state.Status != "" {
		t.Errorf("%+v, %v", state, err)
	}
}

func TestRepeatedCallSendsTheSameRow(t *testing.T) {
	t.Parallel()
	for _, row := range []Row{processed(t, small), processed(t, `{"id":123456789,"n":"`+strings.Repeat("a", 500_000)+`"}`)} {
		table, service := newTable(t, refused("ProvisionedThroughputExceededException"), answer{http.StatusInternalServerError, `{"__type":"InternalServerError"}`})
		if err := table.Put(t.Context(), row, State{}); err != nil || len(service.items(t)) != 3 {
			t.Fatalf("%d calls: %v", len(service.calls), err)
		}
		for _, call := range service.calls[1:] {
			if !bytes.Equal(call.body, service.calls[0].body) {
				t.Errorf("%d bytes after %d", len(call.body), len(service.calls[0].body))
			}
		}
	}
}

func TestContextThatEndsIsAnError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	table, service := newTable(t)
	if err := table.Put(ctx, processed(t, small), State{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	if _, err := table.Get(ctx, "7"); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v", err)
	}
	if len(service.calls) != 0 {
		t.Errorf("%d calls", len(service.calls))
	}
}

// incompressible returns a document that gzip makes n bytes of, or a few more.
func incompressible(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString(`{"id":123456789,"n":"`)
	for range n * 4 / 3 {
		b.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[r.IntN(64)])
	}
	return b.String() + `"}`
}

// TestLargeDocumentLeavesRoomForTheRow grows the rest of the row until a native
// document does not fit any more.
func TestLargeDocumentLeavesRoomForTheRow(t *testing.T) {
	t.Parallel()
	row := processed(t, `{"id":123456789,"n":"`+strings.Repeat("a", 409_000)+`"}`)
	if row.Document.Native == nil {
		t.Fatal("the test is wrong")
	}
	for _, length := range []int{0, 300, 400, 600} {
		row.Event = strings.Repeat("e", length)
		item := mustPut(t, row)
		size := itemSize(t, item)
		switch {
		case size > document.MaxItemSize:
			t.Errorf("%d bytes were sent", size)
		case item["document"] == nil && length == 0:
			t.Error("not native, though it fits")
		case item["document"] == nil && unzipped(t, item) != string(row.Document.JSON):
			t.Error("not what was received")
		}
	}
}

// TestLiftedAttributesLeaveRoomForTheDocument has documents around the size that fits
// natively next to the longest lifted attributes.
func TestLiftedAttributesLeaveRoomForTheDocument(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 128)
	before := fmt.Sprintf(`{"id":123456789,"meta":{"external_id":%q},"document_type":%q,"vendor":{"name":%q},"date":%q,"currency_code":%q,"total":-1.%037d,"is_duplicate":true,"n":"`,
		long, long, long, long, long, 1)
	native, zipped := 0, 0
	for length := 405_000; length < document.MaxItemSize-len(before); length += 50 {
		row := processed(t, before+strings.Repeat("a", length)+`"}`)
		if row.Document.Native == nil || len(row.Document.Lifted) != 7 {
			t.Fatal("the test is wrong")
		}
		item := mustPut(t, row)
		for _, name := range []string{"external_id", "document_type", "vendor", "date", "currency_code"} {
			if item[name]["S"] != long {
				t.Fatalf("%s is %v", name, item[name])
			}
		}
		switch size := itemSize(t, item); {
		case size > document.MaxItemSize:
			t.Errorf("%d bytes were sent", size)
		case item["document"] != nil:
			native++
		default:
			zipped++
			if unzipped(t, item) != string(row.Document.JSON) {
				t.Error("not what was received")
			}
		}
	}
	if native == 0 || zipped == 0 {
		t.Errorf("the test is wrong: %d native, %d gzipped", native, zipped)
	}
}

// TestSizeOfAnItemIsNeverUnderrated looks at what is sent just below the limit.
func TestSizeOfAnItemIsNeverUnderrated(t *testing.T) {
	t.Parallel()
	row := processed(t, incompressible(405_000))
	row.Document.Native = nil
	sent, refused := false, false
	for length := 2_000; length < 8_000; length += 2_000 {
		row.Event = strings.Repeat("é", length/2)
		body, err := putItemBody("t", row, State{}, false)
		if errors.Is(err, ErrTooLarge) {
			refused = true
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var request struct{ Item item }
		if err := json.Unmarshal(body, &request); err != nil {
			t.Fatal(err)
		}
		if size := itemSize(t, request.Item); size > document.MaxItemSize {
			t.Errorf("%d bytes would be sent", size)
		}
		sent = true
	}
	if !sent || !refused {
		t.Errorf("the test is wrong: sent %v, refused %v", sent, refused)
	}
}

// itemSize counts an item as AWS describes it in "DynamoDB Item sizes and formats".
func itemSize(t *testing.T, i item) (size int) {
	t.Helper()
	for name, value := range i {
		size += len(name) + valueSize(t, value)
	}
	return size
}

func valueSize(t *testing.T, attribute map[string]any) int {
	t.Helper()
	for kind, value := range attribute {
		switch value := value.(type) {
		case bool:
			return 1
		case string:
			switch kind {
			case "S":
				return len(value)
			case "N":
				return (len(strings.Trim(value, "-0."))+1)/2 + 1
			case "B":
				return base64.StdEncoding.DecodedLen(len(value)) - strings.Count(value[len(value)-2:], "=")
			}
		case map[string]any:
			size := 3
			for name, member := range value {
				m, _ := member.(map[string]any)
				size += 1 + len(name) + valueSize(t, m)
			}
			return size
		}
	}
	t.Fatalf("%.100v is no attribute value that is used here", attribute)
	return 0
}

// TestLongTextIsNotLifted has one, too, that does not fit next to its document.
func TestLongTextIsNotLifted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"external_id", "document_type", "vendor", "date", "currency_code"} {
		for length, want := range map[int]bool{1: true, 256: true, 257: false, 300_000: false, 450_000: false} {
			sent := mustPut(t, processed(t, fmt.Sprintf(`{"id":123456789,%q:%q}`, name, strings.Repeat("a", length))))
			if (sent[name] != nil) != want || sent["document"] == nil && sent["document_gzip"] == nil {
				t.Errorf("%s of %d bytes: lifted %v", name, length, !want)
			}
		}
	}
}

func TestGetReadsTheStateAndNoDocument(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]State{
		`{}`:          {},
		`{"Item":{}}`: {},
		`{"Item":{"status":{"S":"processed"},"event":{"S":"e"},"created":{"S":"2021-10-20 15:27:26"},"attempts":{"N":"3"},"request_id":{"S":"r"},"updated_at":{"S":"u"}}}`: {
			Status: Processed, Event: "e", Created: "2021-10-20 15:27:26", Attempts: 3, RequestID: "r", Version: "u",
		},
		`{"Item":{"status":{"S":"retrying"},"error":{"S":"not found: Veryfi answered 404"},"not_found":{"N":"4"}}}`: {Status: Retrying, Class: failure.NotFound, NotFound: 4},
		// Veryfi's own words are no class of ours.
		`{"Item":{"status":{"S":"failed"},"error":{"S":"rescued: by someone"}}}`:       {Status: Failed},
		`{"Item":{"status":{"S":"unsupported"},"events":{"L":[{"S":"a"},{"S":"b"}]}}}`: {Status: Unsupported, Events: []string{"a", "b"}},
		// what this code does not write
		`{"Item":{"status":{"N":"1"},"created":{"NULL":true},"attempts":{"S":"3"},"events":{"S":"a"}}}`: {},
		`{"Item":{"attempts":{"N":"1.5"},"events":{"L":[{"N":"1"}]}}}`:                                  {},
	} {
		table, service := newTable(t, answer{http.StatusOK, body})
		got, err := table.Get(t.Context(), "bank_statement#690001")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", body, err, diff)
		}
		wantCall := parsed(t, []byte(`{"TableName":"Document-Table","Key":{"id":{"S":"bank_statement#690001"}},"ConsistentRead":true,`+
			`"ProjectionExpression":"#status, #error, event, events, created, parent_id, retrieved_at, enrichments, attempts, not_found, request_id, updated_at","ExpressionAttributeNames":{"#status":"status","#error":"error"}}`))
		if len(service.calls) != 1 || service.calls[0].target != "DynamoDB_20120810.GetItem" {
			t.Fatalf("calls: %+v", service.calls)
		}
		if diff := cmp.Diff(wantCall, parsed(t, service.calls[0].body)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestGetAllTellsWhatIsThereWhatIsNotAndNothingOfTheRest(t *testing.T) {
	t.Parallel()
	table, service := newTable(t, answer{http.StatusOK, `{
		"Responses": {"Document-Table": [{"id": {"S": "7"}, "status": {"S": "processed"}, "created": {"S": "c"}, "attempts": {"N": "3"}}]},
		"UnprocessedKeys": {"Document-Table": {"Keys": [{"id": {"S": "9"}}]}}}`})
	got, err := table.GetAll(t.Context(), []string{"7", "8", "9"})
	want := map[string]State{"7": {Status: Processed, Created: "c", Attempts: 3}, "8": {}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	wantCall := parsed(t, []byte(`{"RequestItems":{"Document-Table":{"Keys":[{"id":{"S":"7"}},{"id":{"S":"8"}},{"id":{"S":"9"}}],"ConsistentRead":true,`+
		`"ProjectionExpression":"id, #status, #error, event, events, created, parent_id, retrieved_at, enrichments, attempts, not_found, request_id, updated_at","ExpressionAttributeNames":{"#status":"status","#error":"error"}}}}`))
	if len(service.calls) != 1 || service.calls[0].target != "DynamoDB_20120810.BatchGetItem" {
		t.Fatalf("calls: %+v", service.calls)
	}
	if diff := cmp.Diff(wantCall, parsed(t, service.calls[0].body)); diff != "" {
		t.Error(diff)
	}
	table, _ = newTable(t, refused("AccessDeniedException"))
	if got, err := table.GetAll(t.Context(), []string{"7", "8"}); err == nil || got != nil {
		t.Errorf("refused: %v, %v", got, err)
	}
}

func TestRowsAreWrittenSideBySide(t *testing.T) {
	t.Parallel()
	table, service := newTable(t)
	var wg sync.WaitGroup
	for i := range 20 {
		row := processed(t, fmt.Sprintf(`{"id":123456789,"n":"%s"}`, strings.Repeat(string(rune('a'+i)), 1000*i)))
		row.RequestID = strconv.Itoa(i)
		wg.Go(func() {
			if err := table.Put(t.Context(), row, State{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for n, sent := range service.items(t) {
		i, err := strconv.Atoi(fmt.Sprint(sent["request_id"]["S"]))
		if err != nil || !bytes.Contains(service.calls[n].body, []byte(`"n":{"S":"`+strings.Repeat(string(rune('a'+i)), 1000*i)+`"`)) {
			t.Errorf("the row of %v has another document", sent["request_id"])
		}
	}
}

func TestRowsExpireWhenTheyAreToldTo(t *testing.T) {
	t.Parallel()
	row := processed(t, small)
	if sent := mustPut(t, row); sent["expires_at"] != nil {
		t.Errorf("a row that stays expires at %v", sent["expires_at"])
	}
	row.ExpiresAt = time.Date(2026, 3, 4, 5, 6, 7, 800, time.UTC)
	// In seconds, as DynamoDB's time to live has them.
	if sent := mustPut(t, row); sent["expires_at"]["N"] != "1772600767" {
		t.Errorf("expires at %v", sent["expires_at"])
	}
}

func TestListCountsAsAWSDoes(t *testing.T) {
	t.Parallel()
	var with, without, limit int
	for size, events := range map[*int][]string{&with: {"a", "bc"}, &without: nil} {
		_, err := putItemBody("t", Row{ID: "7", Data: strings.Repeat("a", document.MaxItemSize), Events: events}, State{}, false)
		if _, scanErr := fmt.Sscanf(fmt.Sprint(err), ErrTooLarge.Error()+": the item would have %d bytes, of %d", size, &limit); scanErr != nil {
			t.Fatal(err)
		}
	}
	if name, list := len("events"), 3+(1+1)+(1+2); with-without != name+list {
		t.Errorf("the list counts %d bytes", with-without)
	}
}

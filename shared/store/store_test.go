package store

import (
	"bytes"
	"compress/gzip"
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

// sent returns the one PutItem that was sent, and its item.
func (s *service) sent(t *testing.T) (request, item map[string]any) {
	t.Helper()
	if len(s.calls) != 1 || s.calls[0].target != "DynamoDB_20120810.PutItem" || !s.calls[0].signatureIsGood {
		t.Fatalf("calls: %+.300v", s.calls)
	}
	request, _ = parsed(t, s.calls[0].body).(map[string]any)
	item, _ = request["Item"].(map[string]any)
	return request, item
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
		`"document":{"M":{"id":{"N":"123456789"},"external_id":{"S":"order 7"},"document_type":{"S":"invoice"},"total":{"N":"12.1"},` +
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
			request, _ := service.sent(t)
			if diff := cmp.Diff(parsed(t, []byte(test.want)), any(request)); diff != "" {
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
	for _, part := range []string{`"document":{"M":{"id":{"N":"123456789"}`, `"total":{"N":"12.1"}`, `"n":{"N":"12345678901234567890123456789012345678"}`, `{"S":"Caf\u00e9 <&>"}`} {
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
func unzipped(t *testing.T, item map[string]any) string {
	t.Helper()
	value, _ := item["document_gzip"].(map[string]any)
	text, _ := value["B"].(string)
	compressed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(compressed) == 0 {
		t.Fatalf("document_gzip is %.100v: %v", item["document_gzip"], err)
	}
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatIsNotNativeIsStoredAsReceived(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"NaN":            `{"id":123456789,"external_id":"order 7","document_type":"invoice", "n": NaN }`,
		"39 digits":      `{"id":123456789,"external_id":"order 7","document_type":"invoice","n":123456789012345678901234567890123456789}`,
		"repeated key":   `{"id":123456789,"external_id":"order 7","document_type":"invoice","n":1,"\u006e":1.50}`,
		"lone surrogate": `{"id":123456789,"external_id":"order 7","document_type":"invoice","n":"\ud800"}`,
		"invalid UTF-8":  "{\"id\":123456789,\"external_id\":\"order 7\",\"document_type\":\"invoice\",\"n\":\"\xff\"}",
		"large":          `{"id":123456789,"external_id":"order 7","document_type":"invoice","n":"` + strings.Repeat("a", 500_000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, service := newTable(t)
			if err := table.Put(t.Context(), processed(t, body), State{}); err != nil {
				t.Fatal(err)
			}
			_, item := service.sent(t)
			if unzipped(t, item) != body || item["document"] != nil {
				t.Error("not what was received")
			}
			want := any(map[string]any{"S": "order 7"})
			if diff := cmp.Diff(want, item["external_id"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestItemThatDynamoDBRefusesIsStoredAsReceived(t *testing.T) {
	t.Parallel()
	table, service := newTable(t, refused("ValidationException"))
	if err := table.Put(t.Context(), processed(t, small), State{Status: Processed, Version: "b"}); err != nil {
		t.Fatal(err)
	}
	if len(service.calls) != 2 {
		t.Fatalf("%d calls", len(service.calls))
	}
	first, _ := parsed(t, service.calls[0].body).(map[string]any)
	second, _ := parsed(t, service.calls[1].body).(map[string]any)
	was, _ := first["Item"].(map[string]any)
	is, _ := second["Item"].(map[string]any)
	if was["document"] == nil || is["document"] != nil || unzipped(t, is) != small {
		t.Errorf("%.200v", is)
	}
	// All the rest is the same.
	delete(was, "document")
	delete(is, "document_gzip")
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedItemIsNotSentForEver(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]Row{"native": processed(t, small), "gzip": processed(t, `{"id":123456789,"n":NaN}`), "no document": {ID: "7", Status: Failed}} {
		table, service := newTable(t, refused("ValidationException"), refused("ValidationException"))
		err := table.Put(t.Context(), row, State{})
		if refused, ok := errors.AsType[smithy.APIError](err); !ok || refused.ErrorCode() != "ValidationException" {
			t.Errorf("%s: got %v", name, err)
		}
		want := 1
		if name == "native" {
			want = 2
		}
		if len(service.calls) != want {
			t.Errorf("%s: %d calls", name, len(service.calls))
		}
	}
}

func TestProcessedRowThatIsNewerStays(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]Row{"processed": processed(t, small), "failed": {ID: "7", Status: Failed, Error: "e"}} {
		table, service := newTable(t, refused("ConditionalCheckFailedException"))
		if err := table.Put(t.Context(), row, State{Status: Processed, Version: "b"}); !errors.Is(err, ErrSuperseded) {
			t.Errorf("%s: got %v", name, err)
		}
		if len(service.calls) != 1 {
			t.Errorf("%s: %d calls", name, len(service.calls))
		}
	}
	// So it is also when the item is refused first.
	table, _ := newTable(t, refused("ValidationException"), refused("ConditionalCheckFailedException"))
	if err := table.Put(t.Context(), processed(t, small), State{}); !errors.Is(err, ErrSuperseded) {
		t.Errorf("got %v", err)
	}
}

func TestRepeatedCallSendsTheSameRow(t *testing.T) {
	t.Parallel()
	for _, row := range []Row{processed(t, small), processed(t, `{"id":123456789,"n":"`+strings.Repeat("a", 500_000)+`"}`)} {
		table, service := newTable(t, refused("ProvisionedThroughputExceededException"), answer{http.StatusInternalServerError, `{"__type":"InternalServerError"}`})
		if err := table.Put(t.Context(), row, State{}); err != nil {
			t.Fatal(err)
		}
		if len(service.calls) != 3 {
			t.Fatalf("%d calls", len(service.calls))
		}
		for i, call := range service.calls {
			if !bytes.Equal(call.body, service.calls[0].body) || !call.signatureIsGood || call.target != "DynamoDB_20120810.PutItem" {
				t.Errorf("call %d: %d bytes, signed %v", i, len(call.body), call.signatureIsGood)
			}
		}
		if item, _ := parsed(t, service.calls[0].body).(map[string]any); item["Item"] == nil {
			t.Error("no item")
		}
	}
}

func TestTableThatStaysDownIsAnError(t *testing.T) {
	t.Parallel()
	down := answer{http.StatusServiceUnavailable, `{"__type":"InternalServerError"}`}
	table, service := newTable(t, down, down, down, down)
	err := table.Put(t.Context(), processed(t, small), State{})
	if err == nil || errors.Is(err, ErrSuperseded) || errors.Is(err, ErrTooLarge) || len(service.calls) != 3 {
		t.Errorf("%d calls, %v", len(service.calls), err)
	}
	if err != nil && strings.Contains(err.Error(), "order 7") {
		t.Errorf("the error holds some of the document: %v", err)
	}
	table, _ = newTable(t, down, down, down, down)
	if state, err := table.Get(t.Context(), "7"); err == nil || state.Status != "" {
		t.Errorf("%+v, %v", state, err)
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

func TestDocumentTooLargeForAnItemIsNotSent(t *testing.T) {
	t.Parallel()
	table, service := newTable(t)
	err := table.Put(t.Context(), processed(t, incompressible(450_000)), State{})
	if !errors.Is(err, ErrTooLarge) || len(service.calls) != 0 {
		t.Errorf("%d calls, %v", len(service.calls), err)
	}
	size := 0
	for word := range strings.FieldsSeq(err.Error()) {
		if n, convErr := strconv.Atoi(word); convErr == nil && size == 0 {
			size = n
		}
	}
	if size < 440_000 || size > 480_000 {
		t.Errorf("no size in %v", err)
	}
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
		table, service := newTable(t)
		if err := table.Put(t.Context(), row, State{}); err != nil {
			t.Fatal(err)
		}
		_, item := service.sent(t)
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
		request, _ := parsed(t, body).(map[string]any)
		item, _ := request["Item"].(map[string]any)
		if size := itemSize(t, item); size > document.MaxItemSize {
			t.Errorf("%d bytes would be sent", size)
		}
		sent = true
	}
	if !sent || !refused {
		t.Errorf("the test is wrong: sent %v, refused %v", sent, refused)
	}
}

// itemSize counts an item as AWS describes it in "DynamoDB Item sizes and formats".
func itemSize(t *testing.T, item map[string]any) int {
	t.Helper()
	size := 0
	for name, value := range item {
		attribute, _ := value.(map[string]any)
		size += len(name) + valueSize(t, attribute)
	}
	return size
}

func valueSize(t *testing.T, attribute map[string]any) int {
	t.Helper()
	for kind, value := range attribute {
		switch value := value.(type) {
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

// TestLongTextIsNotLifted has one, too, that would not fit beside its document.
func TestLongTextIsNotLifted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"external_id", "document_type"} {
		for length, want := range map[int]bool{1: true, 256: true, 257: false, 300_000: false, 450_000: false} {
			table, service := newTable(t)
			if err := table.Put(t.Context(), processed(t, fmt.Sprintf(`{"id":123456789,%q:%q}`, name, strings.Repeat("a", length))), State{}); err != nil {
				t.Fatalf("%s of %d bytes: %v", name, length, err)
			}
			if _, item := service.sent(t); (item[name] != nil) != want || item["document"] == nil && item["document_gzip"] == nil {
				t.Errorf("%s of %d bytes: lifted %v", name, length, !want)
			}
		}
	}
}

// TestRowThatIsTooLargeIsNotSent has the data of an event that no item can hold.
func TestRowThatIsTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	table, service := newTable(t)
	row := Row{ID: "7", Status: Unsupported, Data: strings.Repeat("a", document.MaxItemSize)}
	if err := table.Put(t.Context(), row, State{}); !errors.Is(err, ErrTooLarge) || len(service.calls) != 0 {
		t.Errorf("got %v after %d calls", err, len(service.calls))
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
		`{"Item":{"status":{"S":"failed"},"error":{"S":"rescued: by nobody"}}}`:        {Status: Failed},
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
			`"ProjectionExpression":"#status, #error, event, events, created, attempts, not_found, request_id, updated_at","ExpressionAttributeNames":{"#status":"status","#error":"error"}}`))
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
		`"ProjectionExpression":"id, #status, #error, event, events, created, attempts, not_found, request_id, updated_at","ExpressionAttributeNames":{"#status":"status","#error":"error"}}}}`))
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
	for _, call := range service.calls {
		request, _ := parsed(t, call.body).(map[string]any)
		item, _ := request["Item"].(map[string]any)
		id, _ := item["request_id"].(map[string]any)
		text, _ := id["S"].(string)
		i, err := strconv.Atoi(text)
		if err != nil || bytes.Count(call.body, []byte(strings.Repeat(string(rune('a'+i)), 1000*i)+`"`)) == 0 {
			t.Errorf("the row of %q has another document", text)
		}
	}
}

func TestRowsExpireWhenTheyAreToldTo(t *testing.T) {
	t.Parallel()
	for _, expires := range []time.Time{{}, time.Date(2026, 3, 4, 5, 6, 7, 800, time.UTC)} {
		table, service := newTable(t)
		row := processed(t, small)
		row.ExpiresAt = expires
		if err := table.Put(t.Context(), row, State{}); err != nil {
			t.Fatal(err)
		}
		body, _ := parsed(t, service.calls[0].body).(map[string]any)
		is, _ := body["Item"].(map[string]any)
		var want any
		if !expires.IsZero() {
			want = map[string]any{"N": "1772600767"} // seconds, as DynamoDB's time to live has them
		}
		if diff := cmp.Diff(want, is["expires_at"]); diff != "" {
			t.Error(diff)
		}
	}
}

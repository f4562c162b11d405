// Package events_test keeps the sample events true: what API Gateway and SQS
// would send, signed with the sample secret of local/env.json.
package events_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	reconciler "veryfi-intake/functions/reconciler/reconcile"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/signature"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

func TestEveryEventIsGenuine(t *testing.T) {
	key := clientSecret(t)
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no events: %v", err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			kind, name, _ := strings.Cut(strings.TrimSuffix(file, ".json"), "-")
			switch kind {
			case "webhook":
				checkWebhook(t, file, name, key)
			case "processor":
				checkBatch(t, file)
			case "reconciler":
				checkPayload(t, file)
			case "eventbridge": // what other systems get; the contract of template.yaml holds it
			default:
				t.Error("its name does not begin with the function it is for, webhook-, processor- or reconciler-, nor with eventbridge-")
			}
		})
	}
}

// checkPayload has the reconciler itself read a payload.
func checkPayload(t *testing.T, file string) {
	h := &reconciler.Handler{
		Lists: event.Kinds{}.All(), Veryfi: nobody{}, Table: nobody{}, Kept: nobody{}, Queue: nobody{},
		Window: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	var payload json.RawMessage
	read(t, file, &payload)
	if _, err := h.Handle(t.Context(), payload); err != nil {
		t.Error(err)
	}
}

// nobody is a Veryfi without documents, a table without rows and a queue that takes all.
type nobody struct{}

func (nobody) List(context.Context, veryfi.Resource, time.Time, time.Time, int) (veryfi.Page, []veryfi.Answer, error) {
	return veryfi.Page{IsLast: true}, nil, nil
}

func (nobody) States(context.Context, []string) (map[string]store.State, error) { return nil, nil }

func (nobody) Stale(context.Context, time.Time, int) ([]store.Row, error) { return nil, nil }

func (nobody) Pages(context.Context) iter.Seq2[[]store.Row, error] {
	return func(func([]store.Row, error) bool) {}
}

func (nobody) Read(context.Context, []string) ([]store.Row, error) { return nil, nil }

func (nobody) Mark(context.Context, store.Row, string) error { return nil }

func (nobody) Remove(context.Context, store.Row) error { return nil }

func (nobody) Send(context.Context, ...string) error { return nil }

func checkWebhook(t *testing.T, file, name, secret string) {
	var request events.APIGatewayV2HTTPRequest
	read(t, file, &request)
	body := []byte(request.Body)
	if request.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(request.Body); err != nil {
			t.Fatal(err)
		}
	}
	if got := request.Headers["content-length"]; got != strconv.Itoa(len(body)) {
		t.Errorf("content-length is %s, the body has %d bytes", got, len(body))
	}
	if context := request.RequestContext; request.Version != "2.0" || context.HTTP.Method != http.MethodPost || context.RequestID == "" {
		t.Error("it is not a POST of payload format 2.0 with a request id")
	}
	var payload signature.Payload
	if err := payload.Parse(body); err != nil {
		t.Fatal(err)
	}
	data, err := payload.Verify(request.Headers["x-veryfi-signature"], signature.NewKey(secret))
	if err != nil {
		right, _ := signature.Sign(payload.Unverified().JSON, secret)
		t.Fatalf("%v: x-veryfi-signature should be %s", err, right)
	}
	usable := len(event.Kinds{}.Event(event.Name(&payload), data).IDs) > 0
	if known := name != "subscription" && name != "unknown-event"; usable != known {
		t.Errorf("that it announces something to retrieve or to record is %v", usable)
	}
}

func checkBatch(t *testing.T, file string) {
	var batch events.SQSEvent
	read(t, file, &batch)
	if len(batch.Records) == 0 {
		t.Error("it has no records")
	}
	ids := make(map[string]bool)
	for _, record := range batch.Records {
		message, err := event.DecodeMessage(record.Body)
		if err != nil {
			t.Errorf("%s: %v", record.MessageId, err)
		} else if want := message.Encode(); record.Body != want {
			t.Errorf("%s: the webhook function would write\n%s, not\n%s", record.MessageId, want, record.Body)
		}
		sum := md5.Sum([]byte(record.Body))
		if want := hex.EncodeToString(sum[:]); record.Md5OfBody != want {
			t.Errorf("%s: md5OfBody should be %s", record.MessageId, want)
		}
		if ids[record.MessageId] || record.EventSource != "aws:sqs" || record.Attributes["ApproximateReceiveCount"] == "" {
			t.Errorf("%s: it is not as SQS sends a record", record.MessageId)
		}
		ids[record.MessageId] = true
	}
}

// clientSecret returns the one secret that both functions have under `sam local`.
func clientSecret(t *testing.T) string {
	var environment map[string]map[string]string
	read(t, filepath.Join("..", "local", "env.json"), &environment)
	secret := environment["WebhookFunction"]["VERYFI_CLIENT_SECRET"]
	if secret == "" || secret != environment["ProcessorFunction"]["VERYFI_CLIENT_SECRET"] {
		t.Fatal("local/env.json does not give both functions the same client secret")
	}
	return secret
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// The processor function retrieves the documents that the queue names and stores
// them, each with a row that says how it went.
package main

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/startup"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

// maxRequestsPerSecond is far beyond what Veryfi allows any account: benchmarks against a
// stand-in need it. template.yaml keeps to Veryfi's limit.
const maxRequestsPerSecond = 100_000

func main() {
	f := startup.New(os.Getenv, time.Now, lambdacontext.NewLogger())
	h, connect := newHandler(f)
	if !f.IsReady(f.Secrets.Prepare, connect) {
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}

func newHandler(f *startup.Function) (h *retrieve.Handler, connect func(context.Context)) {
	client, err := veryfi.NewClient(veryfi.Config{
		BaseURL:           f.TextOr(veryfi.DefaultBaseURL, "VERYFI_BASE_URL"),
		RequestsPerSecond: f.Number("VERYFI_REQUESTS_PER_SECOND", veryfi.LeastRequestsPerSecond, maxRequestsPerSecond),
		Secrets:           f.Secrets,
		Transport:         veryfi.NewTransport(),
		Now:               f.Now,
	})
	f.Check(err)
	kinds, err := event.ParseKinds(f.TextOr("", "MORE_KINDS"))
	f.Check(err)
	table := store.New(dynamodb.NewFromConfig(f.AWS), f.Text("TABLE_NAME"))
	queues := sqs.NewFromConfig(f.AWS)
	return &retrieve.Handler{
		Kinds:       kinds,
		Veryfi:      client,
		Table:       table,
		Queue:       queue.New(queues, f.Text("QUEUE_URL")),
		DeadLetters: queue.New(queues, f.Text("DEAD_LETTER_QUEUE_URL")),
		MaxTries:    f.WholeOr(60, "MAX_TRIES", 1, 1000),
		GiveUpAfter: time.Duration(f.WholeOr(48, "GIVE_UP_AFTER_HOURS", 0, int(retrieve.MaxAge.Hours()))) * time.Hour,
		Retention:   time.Duration(f.WholeOr(0, "DOCUMENT_RETENTION_DAYS", 0, 36_500)) * 24 * time.Hour,
		Metrics:     f.Metrics,
		Now:         f.Now,
		Random:      rand.Float64,
		Log:         f.Log,
	}, table.Connect
}

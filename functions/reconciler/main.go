// The reconciler function finds the documents whose webhook never arrived, and
// enqueues them.
package main

import (
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/functions/reconciler/reconcile"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/startup"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

func main() {
	f := startup.New(os.Getenv, time.Now, lambdacontext.NewLogger())
	h := newHandler(f)
	if !f.IsReady() {
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}

func newHandler(f *startup.Function) *reconcile.Handler {
	client, err := veryfi.NewClient(veryfi.Config{
		BaseURL:           f.TextOr(veryfi.DefaultBaseURL, "VERYFI_BASE_URL"),
		RequestsPerSecond: f.Number("VERYFI_REQUESTS_PER_SECOND", veryfi.LeastRequestsPerSecond, veryfi.ListsPerSecond),
		Secrets:           f.Secrets,
		Transport:         veryfi.NewTransport(),
		Now:               f.Now,
	})
	f.Check(err)
	kinds, err := event.ParseKinds(f.TextOr("", "MORE_KINDS"))
	f.Check(err)
	lists, err := reconcile.ReadLists(f.Text("RECONCILE_KINDS"), kinds)
	f.Check(err)
	table, tableName := dynamodb.NewFromConfig(f.AWS), f.Text("TABLE_NAME")
	return &reconcile.Handler{
		Kinds:   kinds,
		Lists:   lists,
		Veryfi:  client,
		Table:   store.NewReader(table, tableName),
		Kept:    store.NewKept(table, tableName),
		Queue:   queue.New(sqs.NewFromConfig(f.AWS), f.Text("QUEUE_URL")),
		Window:  time.Duration(f.Whole("RECONCILE_WINDOW_HOURS", 1, 720)) * time.Hour,
		Grace:   time.Duration(f.Whole("RECONCILE_GRACE_MINUTES", 0, 1440)) * time.Minute,
		Metrics: f.Metrics,
		Now:     f.Now,
		Log:     f.Log,
	}
}

// The webhook function answers Veryfi: it verifies what comes, puts it into the
// queue, and only then acknowledges it.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/functions/webhook/receive"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/startup"
)

func main() {
	f := startup.New(os.Getenv, time.Now, lambdacontext.NewLogger())
	h, connect := newHandler(f)
	if !f.IsReady(f.Secrets.Prepare, connect) {
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}

func newHandler(f *startup.Function) (h *receive.Handler, connect func(context.Context)) {
	kinds, err := event.ParseKinds(f.TextOr("", "MORE_KINDS"))
	f.Check(err)
	documents := queue.New(sqs.NewFromConfig(f.AWS), f.Text("QUEUE_URL"))
	return &receive.Handler{
		Kinds:   kinds,
		Secrets: f.Secrets,
		Queue:   documents,
		Metrics: f.Metrics,
		Now:     f.Now,
		Log:     f.Log,
	}, documents.Connect
}

// The webhook function answers Veryfi: it verifies what comes, puts it into the
// queue, and only then acknowledges it.
package main

import (
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/functions/webhook/receive"
	"veryfi-intake/shared/awsconfig"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/warmup"
)

func main() {
	log := lambdacontext.NewLogger()
	h, err := newHandler(os.Getenv, log)
	if err != nil {
		log.Error("the function cannot start", slog.Any("error", err))
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}

func newHandler(getenv func(string) string, log *slog.Logger) (*receive.Handler, error) {
	url := getenv("QUEUE_URL")
	if url == "" {
		return nil, errors.New("QUEUE_URL is not set: template.yaml sets it, elsewhere set it as README says")
	}
	aws, err := awsconfig.FromEnvironment(getenv)
	if err != nil {
		return nil, err
	}
	secrets, err := secret.Configured(getenv, secretsmanager.NewFromConfig(aws), time.Now)
	if err != nil {
		return nil, err
	}
	documents := queue.New(sqs.NewFromConfig(aws), url)
	warmup.Run(secrets.Prepare, documents.Connect)
	return &receive.Handler{
		Secrets: secrets,
		Queue:   documents,
		Metrics: metrics.New(getenv("STACK_NAME"), time.Now),
		Now:     time.Now,
		Log:     log,
	}, nil
}

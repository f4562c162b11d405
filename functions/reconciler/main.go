// The reconciler function finds the documents whose webhook never arrived, and
// enqueues them.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/functions/reconciler/reconcile"
	"veryfi-intake/shared/awsconfig"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/setting"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
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

func newHandler(getenv func(string) string, log *slog.Logger) (*reconcile.Handler, error) {
	cfg, err := readConfig(getenv)
	if err != nil {
		return nil, err
	}
	aws, err := awsconfig.FromEnvironment(getenv)
	if err != nil {
		return nil, err
	}
	secrets, err := secret.Configured(getenv, secretsmanager.NewFromConfig(aws), time.Now)
	if err != nil {
		return nil, err
	}
	client, err := veryfi.NewClient(veryfi.Config{
		BaseURL: cfg.baseURL, RequestsPerSecond: cfg.requestsPerSecond, Secrets: secrets, Transport: veryfi.NewTransport(), Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	return &reconcile.Handler{
		Veryfi:  client,
		Table:   store.NewReader(dynamodb.NewFromConfig(aws), cfg.table),
		Queue:   queue.New(sqs.NewFromConfig(aws), cfg.queueURL),
		Window:  cfg.window,
		Grace:   cfg.grace,
		Metrics: metrics.New(getenv("STACK_NAME"), time.Now),
		Now:     time.Now,
		Log:     log,
	}, nil
}

type config struct {
	queueURL, table, baseURL string
	requestsPerSecond        float64
	window, grace            time.Duration
}

func readConfig(getenv func(string) string) (config, error) {
	c := config{queueURL: getenv("QUEUE_URL"), table: getenv("TABLE_NAME"), baseURL: getenv("VERYFI_BASE_URL")}
	for _, variable := range []string{"QUEUE_URL", "TABLE_NAME"} {
		if getenv(variable) == "" {
			return c, fmt.Errorf("%s is not set: template.yaml sets it, elsewhere set it as README says", variable)
		}
	}
	if c.baseURL == "" {
		c.baseURL = veryfi.DefaultBaseURL
	}
	var err error
	if c.requestsPerSecond, err = strconv.ParseFloat(getenv("VERYFI_REQUESTS_PER_SECOND"), 64); err != nil || c.requestsPerSecond > veryfi.ListsPerSecond {
		return c, errors.New("VERYFI_REQUESTS_PER_SECOND must be a number up to 5: Veryfi allows five requests a second for its list")
	}
	hours, err := setting.Whole(getenv, "RECONCILE_WINDOW_HOURS", 1, 720)
	if err != nil {
		return c, err
	}
	minutes, err := setting.Whole(getenv, "RECONCILE_GRACE_MINUTES", 0, 1440)
	c.window, c.grace = time.Duration(hours)*time.Hour, time.Duration(minutes)*time.Minute
	return c, err
}

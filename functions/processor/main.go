// The processor function retrieves the documents that the queue names and stores
// them, each with a row that says how it went.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/shared/awsconfig"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/queue"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/setting"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
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

func newHandler(getenv func(string) string, log *slog.Logger) (*retrieve.Handler, error) {
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
	table := store.New(dynamodb.NewFromConfig(aws), cfg.table)
	warmup.Run(secrets.Prepare, table.Connect)
	queues := sqs.NewFromConfig(aws)
	return &retrieve.Handler{
		Veryfi:      client,
		Table:       table,
		Queue:       queue.New(queues, cfg.queueURL),
		DeadLetters: queue.New(queues, cfg.deadLetterQueueURL),
		MaxTries:    cfg.maxTries,
		GiveUpAfter: cfg.giveUpAfter,
		Retention:   cfg.retention,
		Metrics:     metrics.New(getenv("STACK_NAME"), time.Now),
		Now:         time.Now,
		Random:      rand.Float64,
		Log:         log,
	}, nil
}

type config struct {
	queueURL, deadLetterQueueURL, table, baseURL string
	maxTries                                     int
	requestsPerSecond                            float64
	giveUpAfter, retention                       time.Duration
}

func readConfig(getenv func(string) string) (config, error) {
	c := config{baseURL: veryfi.DefaultBaseURL}
	for variable, value := range map[string]*string{
		"QUEUE_URL":             &c.queueURL,
		"DEAD_LETTER_QUEUE_URL": &c.deadLetterQueueURL,
		"TABLE_NAME":            &c.table,
	} {
		if *value = getenv(variable); *value == "" {
			return c, fmt.Errorf("%s is not set: template.yaml sets it, elsewhere set it as README says", variable)
		}
	}
	if url := getenv("VERYFI_BASE_URL"); url != "" {
		c.baseURL = url
	}
	var err error
	if c.requestsPerSecond, err = strconv.ParseFloat(getenv("VERYFI_REQUESTS_PER_SECOND"), 64); err != nil {
		return c, errors.New("VERYFI_REQUESTS_PER_SECOND must be a number: this environment's share of Veryfi's 60 requests a second")
	}
	if c.maxTries, err = setting.WholeOr(60, getenv, "MAX_TRIES", 1, 1000); err != nil {
		return c, err
	}
	hours, err := setting.WholeOr(48, getenv, "GIVE_UP_AFTER_HOURS", 0, int(retrieve.MaxAge.Hours()))
	if err != nil {
		return c, err
	}
	days, err := setting.WholeOr(0, getenv, "DOCUMENT_RETENTION_DAYS", 0, 36_500)
	c.giveUpAfter, c.retention = time.Duration(hours)*time.Hour, time.Duration(days)*24*time.Hour
	return c, err
}

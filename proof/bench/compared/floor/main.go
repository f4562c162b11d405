// The floor: a function that sends the requests ours sends, bare, and does nothing else.
// For a webhook that is one request, where messages are sent to. For each record of a
// batch, side by side, it is three: one that reads a row, one that retrieves a document,
// one that writes a row.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

var (
	aws      = os.Getenv("AWS_ENDPOINT_URL")
	veryfi   = os.Getenv("VERYFI_BASE_URL")
	message  = strings.Repeat("m", 400) // as long as a call of SendMessageBatch with one message
	readRow  = strings.Repeat("r", 300)
	writeRow = strings.Repeat("w", 24_000) // a document of 15 KB in DynamoDB's JSON
)

func main() {
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 20 //nolint:errcheck // enough for ten records
	if os.Getenv("FLOOR_OF") == "webhook" {
		lambda.Start(webhook)
	}
	lambda.Start(processor)
}

type response struct {
	StatusCode int `json:"statusCode"`
}

func webhook(ctx context.Context, _ json.RawMessage) (response, error) {
	return response{http.StatusOK}, do(ctx, http.MethodPost, aws+"/bare/message", message)
}

func processor(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	failures := make([]error, len(batch.Records))
	var all sync.WaitGroup
	for i, record := range batch.Records {
		all.Go(func() {
			failures[i] = errors.Join(
				do(ctx, http.MethodPost, aws+"/bare/row", readRow),
				do(ctx, http.MethodGet, veryfi+"/api/v8/partner/documents/"+record.MessageId+"/", ""),
				do(ctx, http.MethodPost, aws+"/bare/row", writeRow),
			)
		})
	}
	all.Wait()
	return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, errors.Join(failures...)
}

func do(ctx context.Context, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", url, resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

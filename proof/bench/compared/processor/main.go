// The floor of the processor function: an empty function that does for each
// record, side by side, three bare requests: one that reads a row, one that
// retrieves a document, one that writes a row.
package main

import (
	"context"
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
	readRow  = strings.Repeat("r", 300)
	writeRow = strings.Repeat("w", 24_000) // a document of 15 KB in DynamoDB's JSON
	client   = &http.Client{Transport: transport()}
)

// transport keeps the connections of ten records.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is one
	t.MaxIdleConnsPerHost = 20
	return t
}

func main() {
	lambda.Start(func(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
		failures := make([]error, len(batch.Records))
		var all sync.WaitGroup
		for i, record := range batch.Records {
			all.Go(func() { failures[i] = process(ctx, record.MessageId) })
		}
		all.Wait()
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, errors.Join(failures...)
	})
}

func process(ctx context.Context, id string) error {
	return errors.Join(
		do(ctx, http.MethodPost, aws+"/bare/row", readRow),
		do(ctx, http.MethodGet, veryfi+"/api/v8/partner/documents/"+id+"/", ""),
		do(ctx, http.MethodPost, aws+"/bare/row", writeRow),
	)
}

func do(ctx context.Context, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
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

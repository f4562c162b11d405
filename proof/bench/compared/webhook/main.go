// The floor of the webhook function: an empty function that sends one bare
// request where messages are sent to.
package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

type response struct {
	StatusCode int `json:"statusCode"`
}

var (
	queue   = os.Getenv("AWS_ENDPOINT_URL") + "/bare/message"
	message = strings.Repeat("m", 400) // as long as a call of SendMessageBatch with one message
)

func main() {
	lambda.Start(func(ctx context.Context, _ json.RawMessage) (response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, queue, strings.NewReader(message))
		if err != nil {
			return response{}, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return response{}, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return response{StatusCode: resp.StatusCode}, err
	})
}

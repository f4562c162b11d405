// An empty function: what every Go function costs.
package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda"
)

type response struct {
	StatusCode int `json:"statusCode"`
}

func main() {
	lambda.Start(func(context.Context, json.RawMessage) (response, error) {
		return response{StatusCode: 200}, nil
	})
}

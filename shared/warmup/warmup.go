// Package warmup does in a function's init what its first event would otherwise wait for.
// Lambda gives a function a whole CPU in init, and afterwards a part that depends on its
// memory size: at 128 MB a fourteenth (AWS Lambda, "Configure Lambda function memory").
package warmup

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// limit bounds a warm-up. Lambda stops an init that takes longer than 10 s, and begins anew.
const limit = 3 * time.Second

// Run runs all steps concurrently and waits for them, 3 s at most. A step has no result:
// what it could not do is done when it is needed.
func Run(steps ...func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var all sync.WaitGroup
	for _, step := range steps {
		all.Go(func() { step(ctx) })
	}
	all.Wait()
}

// ConnectOnly returns an HTTP client for a call of the AWS SDK that must not happen. It opens
// the connection that the call would use and leaves it to client, whose next call finds it
// open. The call itself is not sent and fails.
func ConnectOnly(client aws.HTTPClient) aws.HTTPClient { return connector{client} }

var errNotSent = errors.New("the call was made to open a connection, and was not sent")

type connector struct{ client aws.HTTPClient }

// Do asks the request's host for nothing. Any answer will do.
func (c connector) Do(req *http.Request) (*http.Response, error) {
	root := *req.URL
	root.Path, root.RawPath, root.RawQuery = "/", "", ""
	head, err := http.NewRequestWithContext(req.Context(), http.MethodHead, root.String(), http.NoBody) //nolint:gosec // the SDK's own address
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(head)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close() // a HEAD has no body
	return nil, errNotSent
}

package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"veryfi-intake/shared/reconciliation"
)

// Reconcile runs the reconciler, time after time until nothing is left of the request,
// and returns what all runs have done. A run takes 15 minutes at most.
func (s *Stack) Reconcile(ctx context.Context, request reconciliation.Request, show Progress) (all reconciliation.Result, err error) {
	client := lambda.NewFromConfig(s.AWS, func(o *lambda.Options) {
		// A second run at the same time would do no harm, and only take longer.
		o.RetryMaxAttempts = 1
		if client, ok := o.HTTPClient.(*awshttp.BuildableClient); ok { // with the user's certificates and proxy
			o.HTTPClient = client.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 16 * time.Minute })
		}
	})
	for next := &request; next != nil; {
		run, err := s.reconcileOnce(ctx, client, next)
		if err != nil {
			return all, err
		}
		all.Listed, all.Enqueued, all.Stale = all.Listed+run.Listed, all.Enqueued+run.Enqueued, all.Stale+run.Stale
		all.TakenUp, all.Removed = all.TakenUp+run.TakenUp, all.Removed+run.Removed
		show(all.Listed, -1)
		next = run.Next
	}
	return all, nil
}

func (s *Stack) reconcileOnce(ctx context.Context, client *lambda.Client, request *reconciliation.Request) (run reconciliation.Result, err error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return run, err
	}
	out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(s.Outputs[ReconcilerName]), Payload: payload})
	if err != nil {
		return run, err
	}
	if out.FunctionError != nil {
		var failed struct {
			ErrorMessage string `json:"errorMessage"`
		}
		if json.Unmarshal(out.Payload, &failed) != nil || failed.ErrorMessage == "" {
			return run, errors.New("the reconciler has failed: `intake tail` shows why")
		}
		return run, fmt.Errorf("the reconciler has failed: %s", failed.ErrorMessage)
	}
	if err := json.Unmarshal(out.Payload, &run); err != nil {
		return run, fmt.Errorf("cannot read the reconciler's answer: %w", err)
	}
	return run, nil
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"veryfi-intake/shared/reconciliation"
)

type reconcileCommand struct {
	ID    []string `arg:"" optional:"" help:"Ids of documents that shall be there, whatever their rows say."`
	Since string   `placeholder:"TIME" help:"Documents that Veryfi has created since then: 2026-11-01, 2026-11-01T12:00:00Z, or 36h for so long ago."`
	Until string   `placeholder:"TIME" help:"And before then; without it, up to now."`
}

// Help is shown by --help.
func (reconcileCommand) Help() string {
	return `Runs the reconciler function, time after time until all is done. Without --since and ids it does what the scheduled run does every hour, which leaves out the last hour: those webhooks may still come. Veryfi's list has no bank statements, and may lack documents that have failed.`
}

// Validate sees that nothing is asked for that the function would refuse.
func (c reconcileCommand) Validate() error {
	_, err := c.payload(time.Now())
	return err
}

// Run invokes the reconciler until it says that nothing is left.
func (c reconcileCommand) Run(a *app) error {
	payload, err := c.payload(time.Now())
	if err != nil {
		return err
	}
	d, err := a.deployment()
	if err != nil {
		return err
	}
	client := lambda.NewFromConfig(d.aws, func(o *lambda.Options) {
		// A run takes 15 minutes at most. A second one beside it would do no harm, and
		// only take longer.
		o.RetryMaxAttempts = 1
		if client, ok := o.HTTPClient.(*awshttp.BuildableClient); ok { // with the user's certificates and proxy
			o.HTTPClient = client.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 16 * time.Minute })
		}
	})
	bar := a.progress(-1, "documents listed")
	defer func() { _ = bar.Exit() }()
	var all reconciliation.Result
	for {
		out, err := client.Invoke(a, &lambda.InvokeInput{FunctionName: aws.String(d.outputs[reconcilerName]), Payload: payload})
		if err != nil {
			return err
		}
		if out.FunctionError != nil {
			return failedRun(out.Payload)
		}
		var run reconciliation.Result
		if err := json.Unmarshal(out.Payload, &run); err != nil {
			return fmt.Errorf("the reconciler's answer cannot be read: %w", err)
		}
		all.Listed, all.Enqueued, all.Stale = all.Listed+run.Listed, all.Enqueued+run.Enqueued, all.Stale+run.Stale
		_ = bar.Set(all.Listed)
		if run.Next == nil {
			break
		}
		if payload, err = json.Marshal(run.Next); err != nil {
			return err
		}
	}
	if a.JSON {
		return a.printJSON(all)
	}
	if c.ID != nil {
		a.say("%d of %s enqueued; the others are stored.", all.Enqueued, documents(len(c.ID)))
		return nil
	}
	a.say("%d documents listed, %d of them enqueued; %d rows that waited for too long enqueued, too.", all.Listed, all.Enqueued, all.Stale)
	return nil
}

// failedRun returns what the function says went wrong.
func failedRun(payload []byte) error {
	var failed struct {
		ErrorMessage string `json:"errorMessage"`
	}
	if json.Unmarshal(payload, &failed) != nil || failed.ErrorMessage == "" {
		return errors.New("the reconciler has failed: `intake tail` shows why")
	}
	return fmt.Errorf("the reconciler has failed: %s", failed.ErrorMessage)
}

// payload returns what the function is asked for.
func (c reconcileCommand) payload(now time.Time) ([]byte, error) {
	request := map[string]any{}
	switch {
	case c.ID != nil && (c.Since != "" || c.Until != ""):
		return nil, errors.New("give either ids or a time")
	case c.Until != "" && c.Since == "":
		return nil, errors.New("--until needs --since")
	}
	var ids []int64
	for _, text := range c.ID {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("%s is no id of a document: that is a whole number from 1 on", text)
		}
		ids = append(ids, id)
	}
	if ids != nil {
		request["ids"] = ids
	}
	if c.Since != "" {
		since, err := readTime(c.Since, now)
		if err != nil {
			return nil, err
		}
		until := now
		if c.Until != "" {
			if until, err = readTime(c.Until, now); err != nil {
				return nil, err
			}
		}
		if !since.Before(until) {
			return nil, errors.New("--since must be before --until, and in the past")
		}
		request["since"], request["until"] = since.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339)
	}
	return json.Marshal(request)
}

// readTime reads a time, or how long ago it was.
func readTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	t, err := reconciliation.ParseTime(text)
	if err != nil {
		err = fmt.Errorf("%w: write 2026-11-01, 2026-11-01T12:00:00Z, or 36h for so long ago", err)
	}
	return t, err
}

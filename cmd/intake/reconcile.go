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

	"veryfi-intake/functions/reconciler/handler"
)

type reconcileCommand struct {
	ID    []string `arg:"" optional:"" help:"Ids of documents that shall be there, whatever their rows say."`
	Since string   `placeholder:"TIME" help:"Documents that Veryfi has created since then: 2026-11-01, 2026-11-01T12:00:00Z, or 36h for so long ago."`
	Until string   `placeholder:"TIME" help:"And before then; without it, up to an hour ago."`
}

// Help is shown by --help.
func (reconcileCommand) Help() string {
	return `Runs the reconciler function, time after time until all is done. Without --since and ids it does what the scheduled run does every hour. Veryfi's list has no bank statements, and may lack documents that have failed.`
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
		o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 16 * time.Minute })
	})
	bar := a.progress(-1, "documents listed")
	defer func() { _ = bar.Exit() }()
	var all handler.Result
	for {
		out, err := client.Invoke(a, &lambda.InvokeInput{FunctionName: aws.String(d.outputs[reconcilerName]), Payload: payload})
		if err != nil {
			return err
		}
		if out.FunctionError != nil {
			return failedRun(out.Payload)
		}
		var run handler.Result
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
			return nil, fmt.Errorf("%s is no id of a document: that is a number", text)
		}
		ids = append(ids, id)
	}
	if ids != nil {
		request["ids"] = ids
	}
	for name, text := range map[string]string{"since": c.Since, "until": c.Until} {
		if text == "" {
			continue
		}
		if ago, err := time.ParseDuration(text); err == nil {
			text = now.Add(-ago).UTC().Format(time.RFC3339)
		}
		request[name] = text
	}
	return json.Marshal(request)
}

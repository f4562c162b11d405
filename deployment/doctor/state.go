package doctor

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/webhook"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/store"
)

// The way between Veryfi and the stack: the credentials, and the webhook.

func (d doctor) secret(ctx context.Context) ([]Finding, error) {
	known, err := d.Credentials(ctx)
	switch {
	case errors.Is(err, secret.ErrForm):
		return wrong("%v: %s, and writes them so", secret.ErrForm, deployment.FillHint), nil
	case err != nil:
		return nil, err
	case known == secret.Credentials{}:
		return wrong("it is not filled: %s", deployment.FillHint), nil
	case known.ClientSecret == "":
		return wrong("it has no client_secret: every webhook is answered 503. %s", deployment.FillHint), nil
	case !retrieves(known):
		return wrong("it lacks client_id, api_key or username: no document can be retrieved. %s", deployment.FillHint), nil
	}
	return fine("filled"), nil
}

func (d doctor) veryfi(ctx context.Context) ([]Finding, error) {
	known, err := d.Credentials(ctx)
	if err != nil && !errors.Is(err, secret.ErrForm) {
		return nil, err
	}
	if !retrieves(known) {
		return wrong("it cannot be asked before the secret is filled"), nil
	}
	switch err := d.Accepts(ctx, known); {
	case errors.Is(err, deployment.ErrRefused):
		return wrong("%v, and put the right ones in with `intake secret set`", err), nil
	case failure.ClassOf(err) == failure.Throttled:
		return wrong("%v. See what else uses the same Veryfi account; documents come later", err), nil
	case slices.Contains([]failure.Class{failure.NotFound, failure.Unexpected, failure.Refused}, failure.ClassOf(err)):
		return wrong("%v. Is the parameter VeryfiBaseUrl right? It is %s", err, d.VeryfiURL()), nil
	case err != nil:
		return wrong("%v: it may be down; documents wait until it is back", err), nil
	default:
		return fine("it accepts the credentials"), nil
	}
}

func retrieves(c secret.Credentials) bool { return c.Retrieves() == nil }

// probeTimeout bounds a request to the webhook.
const probeTimeout = 15 * time.Second

func (d doctor) webhookAnswers(ctx context.Context) ([]Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	url := d.Outputs[deployment.WebhookURL]
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return wrong("%s does not answer: %v. Look at the log of the HTTP API, and deploy again", url, err), nil
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusOK {
		return wrong("%s answers %d: `intake tail` shows why; after a deployment, roll back", url, resp.StatusCode), nil
	}
	return fine("%s answers", url), nil
}

func (d doctor) webhookRefuses(ctx context.Context) ([]Finding, error) {
	// It would be answered 503, and that makes an alarm fire.
	if known, err := d.Credentials(ctx); errors.Is(err, secret.ErrForm) || err == nil && known.Verifies() != nil {
		return wrong("it cannot be tried before the secret is filled"), nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	forged := make([]byte, 32)
	_, _ = rand.Read(forged) // it never fails
	answer, err := d.Post(ctx, "", webhook.Webhook{Event: event.Probe, Data: `{"id": 1}`, Signature: base64.StdEncoding.EncodeToString(forged)})
	switch {
	case err != nil:
		return wrong("the webhook does not answer: %v", answer.Err), nil
	case answer.Status == http.StatusUnauthorized:
		return fine("a forged request is refused"), nil
	case answer.Status == http.StatusServiceUnavailable:
		return wrong("the webhook answers 503: it cannot read the secret. `intake tail` shows what is in the way"), nil
	case answer.Status < http.StatusBadRequest:
		return wrong("a FORGED request was answered with %d: something else than this version's webhook is behind the URL. Take the URL out of Veryfi's portal, and deploy again", answer.Status), nil
	}
	return wrong("a forged request was answered with %d, not with 401: `intake tail` shows why", answer.Status), nil
}

// What the functions do, and how documents are now.

// startLookBack is how far back a function is looked for that cannot start: a little
// longer than the reconciler's schedule, which is the function that runs least often.
const startLookBack = 70 * time.Minute

// cannotStart is what a function logs before it ends immediately. It does so each time
// until its settings change, and logs nothing else meanwhile. Lambda does: its own
// lines have no level.
const cannotStart = `"the function cannot start"`

// functions looks whether one cannot start since the last deployment, for a setting
// that it refuses.
func (d doctor) functions(ctx context.Context) ([]Finding, error) {
	since := d.Now().Add(-startLookBack)
	if d.Deployed.After(since) {
		since = d.Deployed
	}
	failures, err := d.Logs(cannotStart, since).Next(ctx)
	if err != nil {
		return nil, err
	}
	last := map[string]deployment.Line{}
	for _, line := range failures {
		last[line.Function] = line
	}
	var found []Finding
	for _, function := range slices.Sorted(maps.Keys(last)) {
		failure := last[function]
		after, err := d.Logs("", failure.At.Add(time.Millisecond), function).Next(ctx)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(after, func(l deployment.Line) bool { return l.Member("level") != "" }) {
			found = append(found, wrong("the %s cannot start, the last time %s: %s. Set that right with `make deploy PARAMETERS=…`, or take back what somebody has changed in the console; after an update, roll back", function, d.ago(failure.At), failure.Member("error"))...)
		}
	}
	if found == nil {
		return fine("they start"), nil
	}
	return found, nil
}

func (d doctor) waiting(ctx context.Context) ([]Finding, error) {
	queue, err := d.Queue(ctx, deployment.QueueURL)
	if err != nil {
		return nil, err
	}
	last, seconds, err := d.latest(ctx, point{"AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queueName(d.Outputs[deployment.QueueURL])}, 10*time.Minute, time.Minute)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s to be received, %d in work or waiting for their next try", deployment.Documents(queue.Visible), queue.Hidden)
	if !last.IsZero() && queue.Visible > 0 {
		age := time.Duration(seconds) * time.Second
		text += fmt.Sprintf("; the oldest has waited %v", age)
		if age > 30*time.Minute {
			return wrong("%s. Either more come than may be retrieved (docs/limits.md), or the processor does not run: `intake tail`", text), nil
		}
	}
	return fine("%s", text), nil
}

// A point names the data points of a metric with one dimension.
type point struct{ namespace, metric, dimension, value string }

// latest returns when a metric had its latest data point within a time, zero for never,
// and the maximum of the period.
func (d doctor) latest(ctx context.Context, p point, within, period time.Duration) (last time.Time, maximum float64, err error) {
	now := d.Now()
	since := now.Add(-within).Truncate(period).Add(period)
	out, err := cloudwatch.NewFromConfig(d.AWS).GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: &p.namespace, MetricName: &p.metric, Dimensions: []types.Dimension{{Name: &p.dimension, Value: &p.value}},
		StartTime: &since, EndTime: &now, Period: aws.Int32(int32(period.Seconds())), Statistics: []types.Statistic{types.StatisticMaximum},
	})
	if err != nil {
		return last, 0, err
	}
	for _, p := range out.Datapoints { // in no order
		if p.Timestamp.After(last) {
			last, maximum = *p.Timestamp, aws.ToFloat64(p.Maximum)
		}
	}
	return last, maximum, nil
}

func (d doctor) deadLetters(ctx context.Context) ([]Finding, error) {
	queue, err := d.Queue(ctx, deployment.DeadLetterQueueURL)
	switch {
	case err != nil:
		return nil, err
	case queue.Visible+queue.Hidden > 0:
		return wrong("given up: %s. `intake problems` says why; when that is fixed, `intake redrive --all` moves them back into the queue", deployment.Documents(queue.Visible+queue.Hidden)), nil
	}
	return fine("none"), nil
}

func (d doctor) problems(ctx context.Context) ([]Finding, error) {
	const most = 100
	var counts []string
	isWrong := false
	for _, status := range deployment.ProblemStatuses {
		rows, err := d.Problems(ctx, status, most)
		if err != nil {
			return nil, err
		}
		if n := len(rows); n > 0 {
			counts = append(counts, fmt.Sprintf("%d%s %s", n, map[bool]string{true: " or more"}[n == most], status))
			isWrong = isWrong || status == store.Error || status == store.Retrying
		}
	}
	switch {
	case counts == nil:
		return fine("no row needs attention"), nil
	case isWrong:
		return wrong("rows need attention (%s): `intake problems` says why", strings.Join(counts, ", ")), nil
	}
	return fine("rows to look at (%s): `intake problems` lists them", strings.Join(counts, ", ")), nil
}

// lastDocument looks at the last day by the minute, and then at all that CloudWatch
// has by the minute, by the hour: an answer has 1,440 data points at most.
func (d doctor) lastDocument(ctx context.Context) ([]Finding, error) {
	const days = 14
	for _, look := range []struct{ back, period time.Duration }{{24 * time.Hour, time.Minute}, {days * 24 * time.Hour, time.Hour}} {
		last, _, err := d.latest(ctx, point{metrics.Namespace, metrics.Stored.Name, metrics.Stack, d.Name}, look.back, look.period)
		if err != nil {
			return nil, err
		}
		if !last.IsZero() {
			return fine("stored %s", d.ago(last)), nil
		}
	}
	return wrong("none was stored in %d days: `intake submit FILE --wait` tries the whole way", days), nil
}

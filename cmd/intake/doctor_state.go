package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/shared/metrics"
	"veryfi-intake/shared/store"
)

// How documents are now.

func (d doctor) waiting() ([]finding, error) {
	visible, hidden, _, err := waiting(d, sqs.NewFromConfig(d.aws), d.outputs[queueURL])
	if err != nil {
		return nil, err
	}
	name := queueName(d.outputs[queueURL])
	now := time.Now()
	oldest, err := d.datapoints("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name, cloudwatchtypes.StatisticMaximum, now.Add(-10*time.Minute), time.Minute)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s to be received, %d in work or waiting for their next try", documents(visible), hidden)
	if len(oldest) > 0 && visible > 0 {
		age := time.Duration(aws.ToFloat64(oldest[len(oldest)-1].Maximum)) * time.Second
		text += fmt.Sprintf("; the oldest has waited %v", age)
		if age > 30*time.Minute {
			return wrong("%s. Either more come than may be retrieved (docs/limits.md), or the processor does not run: `intake tail`", text), nil
		}
	}
	return fine("%s", text), nil
}

// datapoints returns a metric's data points, oldest first.
func (d doctor) datapoints(namespace, metric, dimension, value string, statistic cloudwatchtypes.Statistic, since time.Time, period time.Duration) ([]cloudwatchtypes.Datapoint, error) {
	out, err := cloudwatch.NewFromConfig(d.aws).GetMetricStatistics(d, &cloudwatch.GetMetricStatisticsInput{
		Namespace: &namespace, MetricName: &metric, Dimensions: []cloudwatchtypes.Dimension{{Name: &dimension, Value: &value}},
		StartTime: &since, EndTime: aws.Time(time.Now()), Period: aws.Int32(int32(period.Seconds())), Statistics: []cloudwatchtypes.Statistic{statistic},
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out.Datapoints, func(a, b cloudwatchtypes.Datapoint) int { return a.Timestamp.Compare(*b.Timestamp) })
	return out.Datapoints, nil
}

func (d doctor) deadLetters() ([]finding, error) {
	visible, hidden, _, err := waiting(d, sqs.NewFromConfig(d.aws), d.outputs[deadLetterQueueURL])
	switch {
	case err != nil:
		return nil, err
	case visible+hidden > 0:
		return wrong("given up: %s. `intake problems` says why; when that is mended, `intake redrive --all` brings them back", documents(visible+hidden)), nil
	}
	return fine("none"), nil
}

func (d doctor) problems() ([]finding, error) {
	const most = 100
	reader := store.NewReader(dynamodb.NewFromConfig(d.aws), d.outputs[tableName])
	var counts []string
	isWrong := false
	for _, status := range []store.Status{store.Error, store.Retrying, store.Failed, store.Unsupported} {
		rows, err := reader.Problems(d, status, most)
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
func (d doctor) lastDocument() ([]finding, error) {
	const days = 14
	now := time.Now()
	for _, look := range []struct{ back, period time.Duration }{{24 * time.Hour, time.Minute}, {days * 24 * time.Hour, time.Hour}} {
		since := now.Add(-look.back).Truncate(look.period).Add(look.period)
		points, err := d.datapoints(metrics.Namespace, metrics.Stored.Name, metrics.Stack, d.name, cloudwatchtypes.StatisticSum, since, look.period)
		if err != nil {
			return nil, err
		}
		if len(points) > 0 {
			return fine("stored %s", ago(now.Sub(*points[len(points)-1].Timestamp))), nil
		}
	}
	return wrong("none was stored in %d days: `intake submit FILE --wait` tries the whole way", days), nil
}

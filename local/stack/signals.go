package stack

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/standin"
)

// What AWS itself would tell of the stack: that it is there, and its metrics.

// described returns what CloudFormation tells of the stack, and its alarms.
func (s *Stack) described() (endpoint.Stack, []template.Alarm, error) {
	// CloudWatch knows queues by their names.
	references := s.references()
	outputs, err := s.template.Outputs(references)
	if err != nil {
		return endpoint.Stack{}, nil, err
	}
	outputs["WebhookUrl"] = s.WebhookURL // no API Gateway makes one
	var alarms []template.Alarm
	for _, id := range s.template.Alarms() {
		alarm, err := s.template.Alarm(id, references)
		if err != nil {
			return endpoint.Stack{}, nil, err
		}
		alarms = append(alarms, alarm)
	}
	parameters := s.template.Parameters()
	parameters["VeryfiBaseUrl"] = s.veryfi()
	return endpoint.Stack{Name: Name, Outputs: outputs, Parameters: parameters, Created: time.Now()}, alarms, nil
}

// mapping returns what Lambda tells of the event source mapping.
func (s *Stack) mapping() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := "Disabled"
	if s.poller != nil {
		state = "Enabled"
	}
	types := []string{}
	if s.source.ReportBatchItemFailures {
		types = append(types, "ReportBatchItemFailures")
	}
	return map[string]any{
		"UUID": "local", "State": state, "BatchSize": s.source.BatchSize, "MaximumBatchingWindowInSeconds": int(s.source.Window.Seconds()),
		"FunctionResponseTypes": types, "ScalingConfig": map[string]int{"MaximumConcurrency": s.source.MaxConcurrency},
	}
}

// topic returns what SNS tells of the alarms' topic.
func (s *Stack) topic() endpoint.Topic {
	topic := endpoint.Topic{ARN: "AlarmTopic"}
	if s.template.Has("AlarmSubscription") {
		topic.Pending = 1
	}
	return topic
}

// logGroupOf returns the name of a function's log group: its logical id.
func logGroupOf(function string) string {
	return strings.TrimSuffix(function, "Function") + "LogGroup"
}

func (s *Stack) countInvocation(function string, err error) {
	failed := 0.0
	if err != nil {
		failed = 1
	}
	s.Metrics.Add("AWS/Lambda", "Errors", map[string]string{"FunctionName": function}, time.Now(), failed)
}

// countingErrors counts answers of 500 and more as API Gateway does.
func (s *Stack) countingErrors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		failed := 0.0
		if answer.status >= http.StatusInternalServerError {
			failed = 1
		}
		s.Metrics.Add("AWS/ApiGateway", "5xx", map[string]string{"ApiId": "HttpApi"}, time.Now(), failed)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// watchQueues measures the queues each second until the stack stops.
func (s *Stack) watchQueues() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	s.onStop(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			s.measureQueues(ctx)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}()
}

// measuring has the queues measured before a question about alarms, so that the answer
// does not depend on when it was asked.
func (s *Stack) measuring(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.measureQueues(r.Context())
		next.ServeHTTP(w, r)
	})
}

func (s *Stack) measureQueues(ctx context.Context) {
	s.measured.Lock()
	defer s.measured.Unlock()
	for queue, url := range map[string]string{documentQueue: s.QueueURL, deadLetterQueue: s.DeadLetterQueueURL} {
		s.measureQueue(ctx, queue, url)
	}
}

// measureQueue measures a queue. How old the oldest message is, ElasticMQ does not
// tell: at most as old as the time since the queue was seen empty.
func (s *Stack) measureQueue(ctx context.Context, queue, url string) {
	out, err := s.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return // the next second comes
	}
	now := time.Now()
	add := func(name string, value float64) {
		s.Metrics.Add("AWS/SQS", name, map[string]string{"QueueName": queue}, now, value)
	}
	visible, _ := strconv.ParseFloat(out.Attributes["ApproximateNumberOfMessages"], 64)
	hidden, _ := strconv.ParseFloat(out.Attributes["ApproximateNumberOfMessagesNotVisible"], 64)
	if since, waiting := s.waitingSince[queue]; visible == 0 {
		delete(s.waitingSince, queue)
	} else if !waiting {
		s.waitingSince[queue] = now
	} else {
		add("ApproximateAgeOfOldestMessage", now.Sub(since).Seconds())
	}
	add("ApproximateNumberOfMessagesVisible", visible)
	add("ApproximateNumberOfMessagesNotVisible", hidden)
}

// deliverSubmitted has Veryfi's stand-in call the webhook for what is submitted to it.
func (s *Stack) deliverSubmitted() {
	if s.Veryfi == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.onStop(cancel)
	sender := standin.NewSender(time.Second)
	s.Veryfi.OnReady(func(webhook standin.Webhook) { sender.Deliver(ctx, s.WebhookURL, webhook) })
}

package stack

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

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

// measuring measures the queues before next answers a question about alarms, so that
// the answer does not depend on when the last second ended.
func (s *Stack) measuring(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.measureQueues(r.Context())
		next.ServeHTTP(w, r)
	})
}

// measureQueues measures both queues. ElasticMQ does not say how old the oldest message
// is: at most as old as the time since the queue was seen empty.
func (s *Stack) measureQueues(ctx context.Context) {
	s.measured.Lock()
	defer s.measured.Unlock()
	for queue, url := range map[string]string{documentQueue: s.QueueURL, deadLetterQueue: s.DeadLetterQueueURL} {
		attributes, err := s.attributes(ctx, url)
		if err != nil {
			continue // the next second comes
		}
		visible := attributes[types.QueueAttributeNameApproximateNumberOfMessages]
		since, waiting := s.waitingSince[queue]
		switch {
		case visible == 0:
			delete(s.waitingSince, queue)
		case !waiting:
			s.waitingSince[queue] = time.Now()
		default:
			s.count("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, time.Since(since).Seconds())
		}
		s.count("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, float64(visible))
		s.count("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", queue,
			float64(attributes[types.QueueAttributeNameApproximateNumberOfMessagesNotVisible]))
	}
}

// Messages returns how many messages a queue holds: waiting, in flight and delayed.
func (s *Stack) Messages(ctx context.Context, queueURL string) (total int, err error) {
	attributes, err := s.attributes(ctx, queueURL)
	for _, n := range attributes {
		total += n
	}
	return total, err
}

// attributes returns the numbers of messages in a queue.
func (s *Stack) attributes(ctx context.Context, queueURL string) (map[types.QueueAttributeName]int, error) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	output, err := s.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queueURL, AttributeNames: names})
	if err != nil {
		return nil, err
	}
	numbers := map[types.QueueAttributeName]int{}
	for _, name := range names {
		if numbers[name], err = strconv.Atoi(output.Attributes[string(name)]); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

package queue

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// TestCallsOfTheSDK makes them over HTTP. How the queue behaves, a test holds to
// ElasticMQ (proof/simulation).
func TestCallsOfTheSDK(t *testing.T) {
	q := New(Options{Visibility: time.Minute, MaxReceives: 3, InFlight: 10})
	server := httptest.NewServer(q.Handler())
	defer server.Close()
	client := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: aws.AnonymousCredentials{}})
	_, err1 := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String("q"), MessageBody: aws.String("one")})
	_, err2 := client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: aws.String(DeadLetterURL), Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("0"), MessageBody: aws.String("two")}, {Id: aws.String("1"), MessageBody: aws.String("three")},
	}})
	if dead := q.DeadLetters(); err1 != nil || err2 != nil || q.Left() != 1 || len(dead) != 2 {
		t.Errorf("%v, %v: %d messages, dead letters %v", err1, err2, q.Left(), dead)
	}
	hide := func(receipt string) error {
		_, err := client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: aws.String("q"), ReceiptHandle: &receipt, VisibilityTimeout: 0})
		return err
	}
	if err := hide(q.Receive(1)[0].Receipt); err != nil {
		t.Error(err)
	}
	var notInFlight *types.MessageNotInflight
	if err := hide("another"); !errors.As(err, &notInFlight) {
		t.Error(err)
	}
}

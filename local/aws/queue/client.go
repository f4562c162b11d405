package queue

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/local/aws/protocol"
)

// SendMessage is that of [sqs.Client].
func (q *Queue) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	m := q.Send(aws.ToString(in.QueueUrl), aws.ToString(in.MessageBody), 0)
	return &sqs.SendMessageOutput{MessageId: &m.ID, MD5OfMessageBody: digest(m.Body)}, nil
}

// SendMessageBatch is that of [sqs.Client]. It takes all messages while ctx lasts.
func (q *Queue) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &sqs.SendMessageBatchOutput{}
	for _, entry := range in.Entries {
		m := q.Send(aws.ToString(in.QueueUrl), aws.ToString(entry.MessageBody), 0)
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: entry.Id, MessageId: &m.ID, MD5OfMessageBody: digest(m.Body)})
	}
	return out, nil
}

// ChangeMessageVisibility is that of [sqs.Client].
func (q *Queue) ChangeMessageVisibility(_ context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	if !q.Hide(aws.ToString(in.ReceiptHandle), time.Duration(in.VisibilityTimeout)*time.Second) {
		return nil, &types.MessageNotInflight{Message: aws.String("the message is not in flight")}
	}
	return &sqs.ChangeMessageVisibilityOutput{}, nil
}

// Handler returns what makes these calls over HTTP.
func (q *Queue) Handler() http.Handler {
	return protocol.Operations{
		"SendMessage":             protocol.Of(q.SendMessage),
		"SendMessageBatch":        protocol.Of(q.SendMessageBatch),
		"ChangeMessageVisibility": protocol.Of(q.ChangeMessageVisibility),
	}
}

// digest is what SQS shows it has received.
func digest(body string) *string {
	sum := md5.Sum([]byte(body))
	return aws.String(hex.EncodeToString(sum[:]))
}

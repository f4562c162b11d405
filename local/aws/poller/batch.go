package poller

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/local/aws/lambda"
)

// newEvent returns the messages as a function gets them.
func newEvent(config Config, messages []types.Message) []byte {
	var event events.SQSEvent
	for _, m := range messages {
		event.Records = append(event.Records, events.SQSMessage{
			MessageId:              aws.ToString(m.MessageId),
			ReceiptHandle:          aws.ToString(m.ReceiptHandle),
			Body:                   aws.ToString(m.Body),
			Md5OfBody:              aws.ToString(m.MD5OfBody),
			Md5OfMessageAttributes: aws.ToString(m.MD5OfMessageAttributes),
			Attributes:             m.Attributes,
			MessageAttributes:      attributes(m.MessageAttributes),
			EventSourceARN:         config.QueueARN,
			EventSource:            "aws:sqs",
			AWSRegion:              config.Region,
		})
	}
	text, err := json.Marshal(event)
	if err != nil {
		panic(err) // strings, bytes, slices and maps of them only
	}
	return text
}

func attributes(values map[string]types.MessageAttributeValue) map[string]events.SQSMessageAttribute {
	attributes := map[string]events.SQSMessageAttribute{}
	for name, v := range values {
		attributes[name] = events.SQSMessageAttribute{
			StringValue:      v.StringValue,
			BinaryValue:      v.BinaryValue,
			StringListValues: []string{},
			BinaryListValues: [][]byte{},
			DataType:         aws.ToString(v.DataType),
		}
	}
	return attributes
}

// split cuts a batch so that each part's event is within Lambda's limit. A
// message alone is always below it.
func split(config Config, batch []types.Message) (parts [][]types.Message) {
	size := 0
	for i := range batch {
		// At most, as an event of one has what frames the records too.
		alone := len(newEvent(config, batch[i:i+1]))
		if size += alone; size > lambda.MaxPayload || len(parts) == 0 {
			parts = append(parts, nil)
			size = alone
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], batch[i])
	}
	return parts
}

// withoutFailures returns the messages of a batch that the response does not
// name as failed. An empty or null response, like an empty or null list, names
// none. A response that Lambda cannot read, or that names a message without
// saying which of the batch, is an error: then the whole batch has failed.
func withoutFailures(batch []types.Message, response []byte) (succeeded []types.Message, err error) {
	failed, err := failedIDs(response)
	if err != nil {
		return nil, err
	}
	for _, m := range batch {
		id := aws.ToString(m.MessageId)
		if !failed[id] {
			succeeded = append(succeeded, m)
		}
		delete(failed, id)
	}
	for id := range failed {
		return nil, fmt.Errorf("batchItemFailures names %q, which is not in the batch", id)
	}
	return succeeded, nil
}

func failedIDs(response []byte) (map[string]bool, error) {
	if len(bytes.TrimSpace(response)) == 0 {
		return nil, nil
	}
	var list struct {
		BatchItemFailures []map[string]json.RawMessage `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(response, &list); err != nil {
		return nil, fmt.Errorf("the response has no list batchItemFailures that can be read: %w", err)
	}
	failed := map[string]bool{}
	for i, item := range list.BatchItemFailures {
		var id string
		if err := json.Unmarshal(item["itemIdentifier"], &id); err != nil || id == "" {
			return nil, fmt.Errorf("batchItemFailures[%d] has no itemIdentifier", i)
		}
		failed[id] = true
	}
	return failed, nil
}

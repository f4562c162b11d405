package poller

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/local/aws/lambda"
)

// A record is one message as Lambda gives it to a function.
type record struct {
	MessageID              string               `json:"messageId"`
	ReceiptHandle          string               `json:"receiptHandle"`
	Body                   string               `json:"body"`
	Attributes             map[string]string    `json:"attributes"`
	MessageAttributes      map[string]attribute `json:"messageAttributes"`
	MD5OfMessageAttributes string               `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string               `json:"md5OfBody"`
	EventSource            string               `json:"eventSource"`
	EventSourceARN         string               `json:"eventSourceARN"`
	AWSRegion              string               `json:"awsRegion"`
}

type attribute struct {
	StringValue      *string  `json:"stringValue,omitempty"`
	BinaryValue      []byte   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues [][]byte `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

// newEvent returns the messages as a function gets them.
func newEvent(config Config, messages []types.Message) []byte {
	records := make([]record, len(messages))
	for i, m := range messages {
		records[i] = record{
			MessageID:              aws.ToString(m.MessageId),
			ReceiptHandle:          aws.ToString(m.ReceiptHandle),
			Body:                   aws.ToString(m.Body),
			Attributes:             m.Attributes,
			MessageAttributes:      attributes(m.MessageAttributes),
			MD5OfMessageAttributes: aws.ToString(m.MD5OfMessageAttributes),
			MD5OfBody:              aws.ToString(m.MD5OfBody),
			EventSource:            "aws:sqs",
			EventSourceARN:         config.QueueARN,
			AWSRegion:              config.Region,
		}
	}
	event, err := json.Marshal(struct{ Records []record }{records})
	if err != nil {
		panic(err) // strings, bytes, slices and maps of them only
	}
	return event
}

func attributes(values map[string]types.MessageAttributeValue) map[string]attribute {
	attributes := map[string]attribute{}
	for name, v := range values {
		attributes[name] = attribute{
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

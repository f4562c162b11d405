package poller

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

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
		var id *string
		if err := json.Unmarshal(item["itemIdentifier"], &id); err != nil || id == nil || *id == "" {
			return nil, fmt.Errorf("batchItemFailures[%d] has no itemIdentifier", i)
		}
		failed[*id] = true
	}
	return failed, nil
}

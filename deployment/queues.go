package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
)

// A Queue is what SQS says of a queue.
type Queue struct {
	ARN        string
	Visible    int               // messages that can be received
	Hidden     int               // messages that were received, and are not deleted
	Attributes map[string]string // all, as SQS writes them
}

// Queue asks SQS about the queue that an output names.
func (s *Stack) Queue(ctx context.Context, output string) (q Queue, err error) {
	out, err := sqs.NewFromConfig(s.AWS).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(s.Outputs[output]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return q, err
	}
	q.ARN, q.Attributes = out.Attributes["QueueArn"], out.Attributes
	q.Visible, err = strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
	if err == nil {
		q.Hidden, err = strconv.Atoi(out.Attributes["ApproximateNumberOfMessagesNotVisible"])
	}
	return q, err
}

// Progress shows how far long work is. The total is -1 when it is not known.
type Progress func(done, total int)

// A Redrive is what has become of dead letters that were to move back into the queue.
type Redrive struct {
	Moved, Left int
	// Hidden are those of the left that nobody can receive now: another redrive looks at
	// them, or has died. They come back within [HideTime].
	Hidden int
	// Found has the ids that were asked for and are there.
	Found map[string]bool
	// Held are dead letters that were not chosen and could not be let go, so that they
	// stay hidden for [HideTime]; HeldBy says why.
	Held   int
	HeldBy error
}

// RedriveAll has SQS move all dead letters, and waits until it has.
func (s *Stack) RedriveAll(ctx context.Context, show Progress) (r Redrive, err error) {
	from, err := s.Queue(ctx, DeadLetterQueueURL)
	if err != nil || from.Visible+from.Hidden == 0 {
		return r, err
	}
	to, err := s.Queue(ctx, QueueURL)
	if err != nil {
		return r, err
	}
	client := sqs.NewFromConfig(s.AWS)
	// The destination must be named: what the processor has put there itself does not
	// know where it came from.
	task, err := client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &from.ARN, DestinationArn: &to.ARN})
	if err != nil {
		return r, err
	}
	for {
		list, err := client.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &from.ARN})
		if err != nil {
			return r, err
		}
		var latest types.ListMessageMoveTasksResultEntry
		if len(list.Results) > 0 {
			latest = list.Results[0]
		}
		moved := int(latest.ApproximateNumberOfMessagesMoved)
		switch aws.ToString(latest.Status) {
		case "FAILED":
			return r, fmt.Errorf("SQS has moved %d messages and then failed: %s", moved, aws.ToString(latest.FailureReason))
		case "COMPLETED", "CANCELLED":
			left, err := s.Queue(ctx, DeadLetterQueueURL)
			return Redrive{Moved: moved, Left: left.Visible + left.Hidden, Hidden: left.Hidden}, err
		}
		show(moved, from.Visible)
		if !Wait(ctx, time.Second) {
			return r, fmt.Errorf("SQS goes on moving: stop it with `aws sqs cancel-message-move-task --task-handle %s`", aws.ToString(task.TaskHandle))
		}
	}
}

// HideTime is how long dead letters that a redrive receives stay hidden: longer than it
// may run over many of them.
const HideTime = 30 * time.Minute

// emptyReceives is how often in a row nothing may come before all dead letters were
// seen: SQS asks only some of its servers at a time.
const emptyReceives = 3

// RedriveSome moves the dead letters with these ids or keys, or without ids those whose
// row has this class of error. SQS cannot choose, so each message is received, sent to
// the queue, and only then deleted; the others are let go at the end.
func (s *Stack) RedriveSome(ctx context.Context, ids []string, class string, show Progress) (Redrive, error) {
	r := redrive{Redrive: Redrive{Found: map[string]bool{}}, stack: s, queue: sqs.NewFromConfig(s.AWS), ids: ids, class: class}
	dead, err := s.Queue(ctx, DeadLetterQueueURL)
	if err != nil {
		return r.Redrive, err
	}
	err = r.run(ctx, func(seen int) { show(seen, dead.Visible) })
	r.release(ctx)
	return r.Redrive, err
}

type redrive struct {
	Redrive

	stack *Stack
	queue *sqs.Client
	ids   []string
	class string
	kept  []types.Message // received, and not moved
}

func (r *redrive) run(ctx context.Context, show func(seen int)) error {
	start := r.stack.Now()
	seen := map[string]bool{}
	// What was received first comes back after HideTime: all have been seen by then.
	for empty := 0; empty < emptyReceives && r.stack.Now().Sub(start) < HideTime; {
		out, err := r.queue.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(r.stack.Outputs[DeadLetterQueueURL]), MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: int32(HideTime / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		})
		if err != nil {
			return err
		}
		if empty++; len(out.Messages) > 0 {
			empty = 0
		}
		chosen, err := r.choose(ctx, out.Messages)
		for i, m := range out.Messages {
			seen[aws.ToString(m.MessageId)] = true
			moved := false
			if err == nil && chosen[i] && !isLater(m, start) {
				moved, err = r.move(ctx, m)
			}
			if !moved {
				r.kept = append(r.kept, m)
			}
		}
		if err != nil {
			return err
		}
		show(len(seen))
	}
	r.Left = len(seen) - r.Moved
	return nil
}

// isLater reports whether a message came after the start: one that was moved, failed again
// and would be moved again and again. When this machine's clock is ahead of SQS's, that
// still happens for as long as the clocks differ.
func isLater(m types.Message, start time.Time) bool {
	sent, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	return err == nil && sent >= start.UnixMilli()
}

// choose says which of ten messages are asked for.
func (r *redrive) choose(ctx context.Context, messages []types.Message) (chosen []bool, err error) {
	chosen = make([]bool, len(messages))
	keys := make([]string, len(messages))
	for i, m := range messages {
		decoded, malformed := event.DecodeMessage(aws.ToString(m.Body))
		if malformed == nil {
			keys[i] = decoded.Key()
		}
		for _, id := range []string{keys[i], strconv.FormatInt(decoded.ID, 10)} {
			if slices.Contains(r.ids, id) {
				chosen[i], r.Found[id] = true, true
			}
		}
	}
	if r.ids != nil {
		return chosen, nil
	}
	classes, err := r.classes(ctx, keys)
	for i, key := range keys {
		chosen[i] = classes[key] == r.class
	}
	return chosen, err
}

// classes returns the classes of rows, by key. What cannot be read has no key, and is
// malformed. All are read in one call, because a redrive may look at many others.
func (r *redrive) classes(ctx context.Context, keys []string) (map[string]string, error) {
	classes := map[string]string{"": "malformed"}
	keys = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(keys))), func(key string) bool { return key == "" })
	if len(keys) == 0 {
		return classes, nil
	}
	table := store.New(dynamodb.NewFromConfig(r.stack.AWS), r.stack.Outputs[TableName])
	rows, err := table.GetAll(ctx, keys)
	for _, key := range keys {
		row, ok := rows[key]
		if err == nil && !ok { // DynamoDB had no time for it
			row, err = table.Get(ctx, key)
		}
		classes[key] = string(row.Class)
	}
	return classes, err
}

// move deletes a message only after the queue has it.
func (r *redrive) move(ctx context.Context, m types.Message) (moved bool, err error) {
	if _, err := r.queue.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(r.stack.Outputs[QueueURL]), MessageBody: m.Body}); err != nil {
		return false, err
	}
	r.Moved++
	_, err = r.queue.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(r.stack.Outputs[DeadLetterQueueURL]), ReceiptHandle: m.ReceiptHandle})
	return err == nil, err
}

// release makes what was kept visible immediately, also when the context has ended.
func (r *redrive) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for batch := range slices.Chunk(r.kept, 10) {
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, m := range batch {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
		}
		out, err := r.queue.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(r.stack.Outputs[DeadLetterQueueURL]), Entries: entries})
		switch {
		case err != nil:
			r.Held, r.HeldBy = r.Held+len(batch), err
		case len(out.Failed) > 0:
			r.Held, r.HeldBy = r.Held+len(out.Failed), errors.New(aws.ToString(out.Failed[0].Message))
		}
	}
}

// Wait waits, and reports whether the context has not ended.
func Wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

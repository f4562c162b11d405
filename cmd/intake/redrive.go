package main

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

type redriveCommand struct {
	ID    []string `arg:"" optional:"" help:"Ids of documents, or keys of rows."`
	Class string   `placeholder:"CLASS" help:"Dead letters whose row has this class of error; 'intake problems' lists them."`
	All   bool     `help:"All dead letters."`
}

// Help is shown by --help.
func (redriveCommand) Help() string {
	return `Mend the cause first. Each document is processed as new, and its row counts on. With --all SQS itself moves the messages. SQS cannot choose, so for ids and classes each message is received, sent to the queue, and only then deleted; the others come back at the end.`
}

// Validate sees that nothing is chosen by accident.
func (c redriveCommand) Validate() error {
	chosen := 0
	for _, is := range []bool{c.ID != nil, c.Class != "", c.All} {
		if is {
			chosen++
		}
	}
	if chosen != 1 || slices.Contains(c.ID, "") {
		return errors.New("say which dead letters: --all, --class CLASS, or ids")
	}
	return nil
}

// Run moves dead letters.
func (c redriveCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	r := redrive{found: map[string]bool{}, app: a, deployment: d, queue: sqs.NewFromConfig(d.aws), from: d.outputs[deadLetterQueueURL], to: d.outputs[queueURL]}
	if c.All {
		err = r.all()
	} else {
		err = r.some(c)
	}
	if err != nil {
		if r.moved > 0 {
			a.note("%d were moved into the queue before that.", r.moved)
		}
		return err
	}
	if r.hidden > 0 {
		a.note("%d of those that are left are hidden, for half an hour at most: another redrive looks at them, or has died. Try again then.", r.hidden)
	}
	if a.JSON {
		err = a.printJSON(map[string]int{"moved": r.moved, "left": r.left})
	} else {
		a.say("%d moved into the queue, %d left among the dead letters.", r.moved, r.left)
	}
	for _, id := range c.ID {
		if !r.found[id] {
			a.note("%s is not among the dead letters.", id)
			err = errUnwell
		}
	}
	return err
}

// A redrive moves messages from one queue to another.
type redrive struct {
	*app
	deployment          *deployment
	queue               *sqs.Client
	from, to            string          // URLs
	moved, left, hidden int             // hidden are those of the left that nobody can receive now
	found               map[string]bool // ids that were asked for
}

// waiting returns how many messages a queue has, and its ARN.
func waiting(ctx context.Context, queue *sqs.Client, url string) (visible, hidden int, arn string, err error) {
	out, err := queue.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return 0, 0, "", err
	}
	visible, err = strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
	if err == nil {
		hidden, err = strconv.Atoi(out.Attributes["ApproximateNumberOfMessagesNotVisible"])
	}
	return visible, hidden, out.Attributes["QueueArn"], err
}

// all has SQS move everything, and waits until it has.
func (r *redrive) all() error {
	total, hidden, from, err := waiting(r, r.queue, r.from)
	if err != nil || total+hidden == 0 {
		return err
	}
	_, _, to, err := waiting(r, r.queue, r.to)
	if err != nil {
		return err
	}
	// The destination must be named: what the processor has put there itself does not
	// know where it came from.
	task, err := r.queue.StartMessageMoveTask(r, &sqs.StartMessageMoveTaskInput{SourceArn: &from, DestinationArn: &to})
	if err != nil {
		return err
	}
	bar := r.progress(int64(total), "moving dead letters")
	defer func() { _ = bar.Exit() }()
	for {
		list, err := r.queue.ListMessageMoveTasks(r, &sqs.ListMessageMoveTasksInput{SourceArn: &from})
		if err != nil {
			return err
		}
		var latest types.ListMessageMoveTasksResultEntry
		if len(list.Results) > 0 {
			latest = list.Results[0]
		}
		switch aws.ToString(latest.Status) {
		case "FAILED":
			return fmt.Errorf("SQS has moved %d messages and then failed: %s", latest.ApproximateNumberOfMessagesMoved, aws.ToString(latest.FailureReason))
		case "COMPLETED", "CANCELLED":
			r.moved = int(latest.ApproximateNumberOfMessagesMoved)
			visible, hidden, _, err := waiting(r, r.queue, r.from)
			r.left, r.hidden = visible+hidden, hidden
			return err
		}
		_ = bar.Set64(latest.ApproximateNumberOfMessagesMoved)
		if !r.pause(time.Second) {
			return fmt.Errorf("SQS goes on moving: stop it with `aws sqs cancel-message-move-task --task-handle %s`", aws.ToString(task.TaskHandle))
		}
	}
}

const (
	// hold is how long messages that are received stay hidden, in seconds: longer than
	// a command may run over many of them.
	hold = 30 * 60
	// emptyReceives is how often in a row nothing may come before the queue is taken for
	// seen: SQS asks only some of its servers at a time.
	emptyReceives = 3
)

// some moves what is chosen, message by message, and lets the others come back.
func (r *redrive) some(c redriveCommand) error {
	total, _, _, err := waiting(r, r.queue, r.from)
	if err != nil {
		return err
	}
	bar := r.progress(int64(total), "looking at dead letters")
	defer func() { _ = bar.Exit() }()
	start := time.Now()
	var kept []types.Message
	defer func() { r.release(kept) }()
	seen := map[string]bool{}
	// What was received first comes back after hold: all have been seen by then.
	for empty := 0; empty < emptyReceives && time.Since(start) < hold*time.Second; {
		out, err := r.queue.ReceiveMessage(r, &sqs.ReceiveMessageInput{
			QueueUrl: &r.from, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: hold,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameSentTimestamp},
		})
		if err != nil {
			return err
		}
		if empty++; len(out.Messages) > 0 {
			empty = 0
		}
		chosen, err := r.choose(c, out.Messages)
		if err != nil {
			kept = append(kept, out.Messages...)
			return err
		}
		for i, m := range out.Messages {
			seen[aws.ToString(m.MessageId)] = true
			if !chosen[i] || isLater(m, start) {
				kept = append(kept, m)
			} else if err := r.move(m); err != nil {
				kept = append(kept, out.Messages[i:]...)
				return err
			}
			_ = bar.Add(1)
		}
	}
	r.left = len(seen) - r.moved
	return nil
}

// isLater reports whether a message came after the start: one that was moved and has
// failed again. Otherwise it could go round for ever. Where this machine's clock is
// ahead of SQS's, it goes round for so long.
func isLater(m types.Message, start time.Time) bool {
	sent, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	return err == nil && sent >= start.UnixMilli()
}

// choose says which messages are asked for.
func (r *redrive) choose(c redriveCommand, messages []types.Message) ([]bool, error) {
	chosen, keys := make([]bool, len(messages)), make([]string, len(messages))
	for i, m := range messages {
		decoded, err := event.DecodeMessage(aws.ToString(m.Body))
		if err == nil {
			keys[i] = decoded.Key()
		}
		for _, id := range []string{keys[i], strconv.FormatInt(decoded.ID, 10)} {
			if slices.Contains(c.ID, id) {
				chosen[i], r.found[id] = true, true
			}
		}
	}
	if c.ID != nil {
		return chosen, nil
	}
	classes, err := r.classes(keys)
	for i, key := range keys {
		chosen[i] = classes[key] == c.Class
	}
	return chosen, err
}

// classes returns the classes of the rows' errors, by key. What cannot be read has no
// key, and is malformed.
func (r *redrive) classes(keys []string) (map[string]string, error) {
	table := store.New(dynamodb.NewFromConfig(r.deployment.aws), r.deployment.outputs[tableName])
	classes := map[string]string{"": "malformed"}
	keys = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(keys))), func(key string) bool { return key == "" })
	if len(keys) == 0 {
		return classes, nil
	}
	states, err := table.GetAll(r, keys)
	for _, key := range keys {
		state, ok := states[key]
		if err == nil && !ok { // DynamoDB had no time for it
			state, err = table.Get(r, key)
		}
		classes[key] = string(state.Class)
	}
	return classes, err
}

// move deletes a message only after the queue has it.
func (r *redrive) move(m types.Message) error {
	if _, err := r.queue.SendMessage(r, &sqs.SendMessageInput{QueueUrl: &r.to, MessageBody: m.Body}); err != nil {
		return err
	}
	r.moved++
	_, err := r.queue.DeleteMessage(r, &sqs.DeleteMessageInput{QueueUrl: &r.from, ReceiptHandle: m.ReceiptHandle})
	return err
}

// release lets messages come back at once, also when the command was stopped.
func (r *redrive) release(messages []types.Message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r), 30*time.Second)
	defer cancel()
	hidden := 0
	var problem error
	for batch := range slices.Chunk(messages, 10) {
		var entries []types.ChangeMessageVisibilityBatchRequestEntry
		for i, m := range batch {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
		}
		out, err := r.queue.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &r.from, Entries: entries})
		switch {
		case err != nil:
			hidden, problem = hidden+len(batch), err
		case len(out.Failed) > 0:
			hidden, problem = hidden+len(out.Failed), errors.New(aws.ToString(out.Failed[0].Message))
		}
	}
	if problem != nil {
		r.note("%d dead letters that were not chosen stay hidden for %d minutes: %v", hidden, hold/60, explain(problem, r.globals))
	}
}

package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	// MaxKeys is how many rows one call reads, at most (DynamoDB's limit).
	MaxKeys = 100
	// firstPause is the time before asking again for keys that DynamoDB has left out. It
	// doubles up to maxPause.
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
	// problemsIndex lists the rows that need attention, by status and time.
	problemsIndex = "problems"
)

// ReaderClient is the part of [dynamodb.Client] that a [Reader] uses.
type ReaderClient interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// A Reader looks at many rows of the table at once.
type Reader struct {
	client ReaderClient
	table  string
}

// NewReader returns a reader of the table with that name.
func NewReader(client ReaderClient, table string) *Reader {
	return &Reader{client: client, table: table}
}

// States returns the states of the rows with these ids, which must differ; an id without a
// row is left out. Writes of the last second may be missing.
//
// DynamoDB charges for whole rows, whatever is asked of them: half a read unit for
// each 4 KB begun, and for an id without a row ("DynamoDB read consistency",
// "Read request units"). A row of 15 KB costs two units.
func (r *Reader) States(ctx context.Context, ids []string) (map[string]State, error) {
	states := make(map[string]State, len(ids))
	for some := range slices.Chunk(ids, MaxKeys) {
		items, err := r.items(ctx, statesRequest(r.table, some, false))
		if err != nil {
			return nil, fmt.Errorf("look up rows: %w", err)
		}
		for _, item := range items {
			states[text(item, "id")] = stateOf(item)
		}
	}
	return states, nil
}

// items asks until DynamoDB has answered for every key. DynamoDB leaves out keys when it
// throttles, or when their rows are too large for one answer.
func (r *Reader) items(ctx context.Context, request map[string]types.KeysAndAttributes) (items []map[string]types.AttributeValue, err error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		out, err := r.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: request})
		if err != nil {
			return nil, err
		}
		items = append(items, out.Responses[r.table]...)
		if request = out.UnprocessedKeys; len(request) == 0 {
			return items, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Stale returns rows that are `retrying` and have not changed since before, the
// oldest first, at most limit of them. The rows have what the index problems holds:
// no document.
func (r *Reader) Stale(ctx context.Context, before time.Time, limit int) ([]Row, error) {
	return r.indexed(ctx, &dynamodb.QueryInput{
		KeyConditionExpression: aws.String("problem = :retrying AND updated_at < :before"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":retrying": &types.AttributeValueMemberS{Value: string(Retrying)},
			":before":   &types.AttributeValueMemberS{Value: before.UTC().Format(TimeFormat)},
		},
	}, limit)
}

// Problems returns rows that need attention because of that status, the latest first, at
// most limit of them. They have what the index problems holds: no document.
func (r *Reader) Problems(ctx context.Context, status Status, limit int) ([]Row, error) {
	query := r.problems(status)
	query.ScanIndexForward = aws.Bool(false)
	return r.indexed(ctx, query, limit)
}

// problems is the query for all rows with that status, the oldest first.
func (r *Reader) problems(status Status) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &r.table, IndexName: aws.String(problemsIndex),
		KeyConditionExpression:    aws.String("problem = :status"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":status": stringValue(string(status))},
	}
}

// indexed returns rows of the index problems.
func (r *Reader) indexed(ctx context.Context, query *dynamodb.QueryInput, limit int) ([]Row, error) {
	query.TableName, query.IndexName = &r.table, aws.String(problemsIndex)
	var rows []Row
	for {
		query.Limit = aws.Int32(int32(limit - len(rows))) //nolint:gosec // limit is small
		out, err := r.client.Query(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("look for rows that need attention: %w", err)
		}
		for _, item := range out.Items {
			rows = append(rows, rowOf(item))
		}
		if query.ExclusiveStartKey = out.LastEvaluatedKey; len(out.LastEvaluatedKey) == 0 || len(rows) >= limit {
			return rows, nil
		}
	}
}

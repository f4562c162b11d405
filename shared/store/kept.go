package store

import (
	"context"
	"fmt"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// isUnchanged is the condition of a write.
const isUnchanged = "updated_at = :version"

// KeptClient is the part of [dynamodb.Client] that a [Kept] uses.
type KeptClient interface {
	ReaderClient
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Kept has the rows of unsupported events.
type Kept struct {
	reader *Reader
	client KeptClient
}

// NewKept returns those of the table with that name.
func NewKept(client KeptClient, table string) *Kept {
	return &Kept{reader: NewReader(client, table), client: client}
}

// Pages yields the rows, the oldest first, as many at a time as DynamoDB answers: 1 MB. They
// have what the index problems holds: no data and no names. An error is the last that it
// yields.
func (k *Kept) Pages(ctx context.Context) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		query := k.reader.problems(Unsupported)
		for {
			out, err := k.client.Query(ctx, query)
			if err != nil {
				yield(nil, fmt.Errorf("look for unsupported events: %w", err))
				return
			}
			var rows []Row
			for _, item := range out.Items {
				rows = append(rows, rowOf(item))
			}
			if query.ExclusiveStartKey = out.LastEvaluatedKey; !yield(rows, nil) || len(out.LastEvaluatedKey) == 0 {
				return
			}
		}
	}
}

// Read returns the rows with these ids, which must differ, with data and names. An id
// without a row is left out. Writes of the last second may be missing; [Kept.Mark] and
// [Kept.Remove] notice that.
func (k *Kept) Read(ctx context.Context, ids []string) (rows []Row, err error) {
	request := types.KeysAndAttributes{}
	for _, id := range ids {
		request.Keys = append(request.Keys, keyOf(id))
	}
	items, err := k.reader.items(ctx, map[string]types.KeysAndAttributes{k.reader.table: request})
	if err != nil {
		return nil, fmt.Errorf("read unsupported events: %w", err)
	}
	for _, item := range items {
		rows = append(rows, rowOf(item))
	}
	return rows, nil
}

// Mark gives a row another error, and changes nothing else: not updated_at, so that another
// writer that has seen the row may go on. The errors are those of [Table.Put].
func (k *Kept) Mark(ctx context.Context, row Row, text string) error {
	_, err := k.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &k.reader.table, Key: keyOf(row.ID),
		UpdateExpression: aws.String("SET #error = :error"), ConditionExpression: aws.String(isUnchanged),
		ExpressionAttributeNames:  map[string]string{"#error": "error"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":error": stringValue(text), ":version": stringValue(row.State().Version)},
	})
	return writeError(err)
}

// Remove deletes a row. The errors are those of [Table.Put].
func (k *Kept) Remove(ctx context.Context, row Row) error {
	_, err := k.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &k.reader.table, Key: keyOf(row.ID),
		ConditionExpression:       aws.String(isUnchanged),
		ExpressionAttributeValues: map[string]types.AttributeValue{":version": stringValue(row.State().Version)},
	})
	return writeError(err)
}

// Package table is a DynamoDB table in memory, with the calls and the expressions that
// the functions use. A test holds it to DynamoDB Local (proof/simulation).
//
// No library does it: github.com/truora/minidyn knows the expressions, but an item that
// it does not have yet costs it time in proportion to those that it has.
package table

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// An Item is one of the table.
type Item = map[string]types.AttributeValue

// key is the attribute that is the table's key.
const key = "id"

// A Table has string keys. It is safe for concurrent use.
type Table struct {
	// Wrote is called with each item that is written, and what it replaces, unless it is
	// nil; after is nil for an item that is deleted. Nobody else writes meanwhile.
	Wrote func(before, after Item)

	indexes map[string]string

	mu    sync.Mutex
	items map[string]Item
}

// New returns an empty table. Its indexes have all attributes; given is what sorts them.
func New(indexes map[string]string) *Table {
	return &Table{indexes: indexes, items: map[string]Item{}}
}

// Items returns all items, by key.
func (t *Table) Items() map[string]Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.items)
}

// GetItem is that of [dynamodb.Client].
func (t *Table) GetItem(_ context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &dynamodb.GetItemOutput{Item: project(t.items[Text(in.Key, key)], in.ProjectionExpression, in.ExpressionAttributeNames)}, nil
}

// BatchGetItem is that of [dynamodb.Client]. It leaves out no key.
func (t *Table) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for name, request := range in.RequestItems {
		for _, wanted := range request.Keys {
			if item := t.items[Text(wanted, key)]; item != nil {
				out.Responses[name] = append(out.Responses[name], project(item, request.ProjectionExpression, request.ExpressionAttributeNames))
			}
		}
	}
	return out, nil
}

// PutItem is that of [dynamodb.Client].
func (t *Table) PutItem(ctx context.Context, in *dynamodb.PutItemInput, options ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	in, err := sent(ctx, in, options)
	if err != nil {
		return nil, err
	}
	after := func(Item) (Item, error) { return in.Item, nil }
	return &dynamodb.PutItemOutput{}, t.write(in.Item, in.ConditionExpression, in.ExpressionAttributeValues, after)
}

// UpdateItem is that of [dynamodb.Client], with the action SET.
func (t *Table) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	after := func(before Item) (Item, error) {
		if before == nil {
			before = in.Key
		}
		return update(before, aws.ToString(in.UpdateExpression), in.ExpressionAttributeValues, in.ExpressionAttributeNames)
	}
	return &dynamodb.UpdateItemOutput{}, t.write(in.Key, in.ConditionExpression, in.ExpressionAttributeValues, after)
}

// DeleteItem is that of [dynamodb.Client].
func (t *Table) DeleteItem(_ context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	after := func(Item) (Item, error) { return nil, nil }
	return &dynamodb.DeleteItemOutput{}, t.write(in.Key, in.ConditionExpression, in.ExpressionAttributeValues, after)
}

// write replaces the item that has the same key, provided that the condition holds.
// Without an item after it, the item is deleted.
func (t *Table) write(of Item, condition *string, values Item, after func(before Item) (Item, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := Text(of, key)
	before := t.items[id]
	switch ok, err := holds(condition, values, before); {
	case err != nil:
		return err
	case !ok:
		return &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
	}
	item, err := after(before)
	if err != nil {
		return err
	}
	if t.items[id] = item; item == nil {
		delete(t.items, id)
	}
	if t.Wrote != nil {
		t.Wrote(before, item)
	}
	return nil
}

// Query is that of [dynamodb.Client], for the indexes of the table.
func (t *Table) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sortedBy := t.indexes[aws.ToString(in.IndexName)]
	var found []Item
	for _, item := range t.items {
		ok, err := holds(in.KeyConditionExpression, in.ExpressionAttributeValues, item)
		if err != nil {
			return nil, err
		}
		if ok && item[sortedBy] != nil { // an index has no others
			found = append(found, item)
		}
	}
	order := func(a, b Item) int {
		c := cmp.Or(cmp.Compare(Text(a, sortedBy), Text(b, sortedBy)), cmp.Compare(Text(a, key), Text(b, key)))
		if in.ScanIndexForward != nil && !*in.ScanIndexForward {
			return -c
		}
		return c
	}
	if start := in.ExclusiveStartKey; len(start) > 0 { // whose item may have gone
		found = slices.DeleteFunc(found, func(item Item) bool { return order(item, start) <= 0 })
	}
	slices.SortFunc(found, order)
	out := &dynamodb.QueryOutput{Items: found}
	if limit := int(aws.ToInt32(in.Limit)); limit > 0 && len(found) > limit {
		last := found[limit-1]
		out.Items, out.LastEvaluatedKey = found[:limit], Item{key: last[key], sortedBy: last[sortedBy]}
	}
	return out, nil
}

// Text returns a string of an item, or nothing.
func Text(item Item, name string) string {
	if s, ok := item[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

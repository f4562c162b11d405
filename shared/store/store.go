// Package store keeps one row for each document in a DynamoDB table.
package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"veryfi-intake/shared/document"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/warmup"
)

// A Status says how far a document has come.
type Status string

// Statuses.
const (
	Processed   Status = "processed"   // retrieved and stored
	Failed      Status = "failed"      // Veryfi could not process it
	Retrying    Status = "retrying"    // not retrieved yet, will be tried again
	Error       Status = "error"       // given up, a copy is in the dead-letter queue
	Unsupported Status = "unsupported" // an event that this version does not know
)

// A Row is what the table holds of a document.
type Row struct {
	ID          string // the partition key
	Status      Status
	Error       string   // why, for all but Processed; see [Row.Class]
	Event       string   // of Unsupported: the first one
	Events      []string // of Unsupported: the names it came under, at most [MaxEvents]
	Created     string   // as received
	ParentID    int64    // 0 when there is none
	ReceivedAt  time.Time
	RetrievedAt time.Time // zero until it is
	UpdatedAt   time.Time
	ExpiresAt   time.Time // when DynamoDB may delete the row, zero for never
	Attempts    int
	Enrichments []time.Time // see [Table.NoteEnrichment]
	NotFound    int         // how often Veryfi has answered 404 since the retrieval began anew
	RequestID   string
	Data        string             // of Unsupported: the JSON text as received
	Document    *document.Document // of Processed
}

// MaxEvents is how many names a row keeps of one unsupported event.
const MaxEvents = 8

// Class returns the class of the row's error: why its document is not stored yet. It is ""
// for other rows; the error of a failed row is Veryfi's own text.
func (r Row) Class() failure.Class {
	if r.Status == Retrying || r.Status == Error {
		return failure.Parse(r.Error)
	}
	return ""
}

// State returns the part of the row that decisions need.
func (r Row) State() State {
	if r.ID == "" {
		return State{}
	}
	return State{
		Status: r.Status, Class: r.Class(), Event: r.Event, Events: r.Events, Created: r.Created,
		ParentID: r.ParentID, RetrievedAt: r.RetrievedAt, Enrichments: r.Enrichments,
		Attempts: r.Attempts, NotFound: r.NotFound, RequestID: r.RequestID, Version: r.UpdatedAt.UTC().Format(TimeFormat),
	}
}

// State is the part of a row that decisions need.
type State struct {
	Status      Status // empty when there is no row
	Class       failure.Class
	Event       string
	Events      []string
	Created     string
	ParentID    int64
	RetrievedAt time.Time
	Enrichments []time.Time
	Attempts    int
	NotFound    int
	RequestID   string
	// Version is the time at which the row was written, in [TimeFormat], empty when there
	// is no row. Each write has a later one than the write before.
	Version string
}

// UpdatedAt returns when the row was written, zero when there is none.
func (s State) UpdatedAt() time.Time { return timeOf(s.Version) }

// Why a row is not written.
var (
	// ErrSuperseded means that the row has changed since it was seen.
	ErrSuperseded = errors.New("the row was written meanwhile")
	// ErrTooLarge means that the row is too large for an item, its document gzipped.
	ErrTooLarge = failure.TooLarge.New("the document is too large for the table")
)

// Client is the part of [dynamodb.Client] that is used here.
type Client interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
}

// A Table is the DynamoDB table. It is safe for concurrent use.
type Table struct {
	client Client
	name   string
}

// New returns the table with that name.
func New(client Client, name string) *Table {
	return &Table{client: client, name: name}
}

// Connect opens a connection for the next call, if it can.
func (t *Table) Connect(ctx context.Context) {
	_, _ = t.client.GetItem(ctx, t.getItemInput("0"), func(o *dynamodb.Options) {
		o.HTTPClient, o.Retryer = warmup.ConnectOnly(o.HTTPClient), aws.NopRetryer{}
	})
}

func (t *Table) getItemInput(id string) *dynamodb.GetItemInput {
	return &dynamodb.GetItemInput{
		TableName:                &t.name,
		Key:                      keyOf(id),
		ConsistentRead:           aws.Bool(true),
		ProjectionExpression:     aws.String(stateAttributes),
		ExpressionAttributeNames: stateNames,
	}
}

// The attributes of a [State]. DynamoDB reserves some names.
const stateAttributes = "#status, #error, event, events, created, parent_id, retrieved_at, enrichments, attempts, not_found, request_id, updated_at"

var stateNames = map[string]string{"#status": "status", "#error": "error"}

func keyOf(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": stringValue(id)}
}

// statesRequest asks for the states of rows.
func statesRequest(table string, ids []string, consistent bool) map[string]types.KeysAndAttributes {
	keys := make([]map[string]types.AttributeValue, len(ids))
	for i, id := range ids {
		keys[i] = keyOf(id)
	}
	return map[string]types.KeysAndAttributes{table: {
		Keys:                     keys,
		ConsistentRead:           &consistent,
		ProjectionExpression:     aws.String("id, " + stateAttributes),
		ExpressionAttributeNames: stateNames,
	}}
}

// Get returns the state of a row, as the last write left it.
func (t *Table) Get(ctx context.Context, id string) (State, error) {
	out, err := t.client.GetItem(ctx, t.getItemInput(id))
	if err != nil {
		return State{}, failure.Table.Of(fmt.Errorf("read the row: %w", err))
	}
	return stateOf(out.Item), nil
}

// GetAll returns the states of rows, by id, as the last writes left them. The ids
// must differ, and be a hundred at most. It leaves out those that DynamoDB does not answer
// now.
func (t *Table) GetAll(ctx context.Context, ids []string) (map[string]State, error) {
	states := make(map[string]State, len(ids))
	for _, id := range ids {
		states[id] = State{} // until a row says more
	}
	out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: statesRequest(t.name, ids, true)})
	if err != nil {
		return nil, failure.Table.Of(fmt.Errorf("read the rows: %w", err))
	}
	for _, left := range out.UnprocessedKeys {
		for _, key := range left.Keys {
			delete(states, text(key, "id"))
		}
	}
	for _, items := range out.Responses {
		for _, item := range items {
			states[text(item, "id")] = stateOf(item)
		}
	}
	return states, nil
}

// Put writes a row, provided that the row in the table is still the one that was seen;
// whether to replace that is the caller's decision. It returns [ErrSuperseded] if the row
// has changed, [ErrTooLarge] if the new one does not fit, and otherwise DynamoDB's errors
// with the class [failure.Table].
//
// The document is stored as a native map, or gzipped in document_gzip where
// DynamoDB cannot hold it natively.
func (t *Table) Put(ctx context.Context, row Row, seen State) error {
	native := row.Document != nil && row.Document.Native != nil
	err := t.put(ctx, row, seen, native)
	if native && (errors.Is(err, ErrTooLarge) || isRefusedItem(err)) {
		err = t.put(ctx, row, seen, false)
	}
	return err
}

// isRefusedItem reports whether DynamoDB refuses the item because of its content. The
// converter knows DynamoDB's limits; this is for limits that it does not know.
func isRefusedItem(err error) bool {
	refused, ok := errors.AsType[smithy.APIError](err)
	return ok && refused.ErrorCode() == "ValidationException"
}

func (t *Table) put(ctx context.Context, row Row, seen State, native bool) error {
	body, err := putItemBody(t.name, row, seen, native)
	if err != nil {
		return err
	}
	// The client requires an item; the body replaces it.
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name,
		Item:      keyOf(row.ID),
	}, readyMade(body))
	return writeError(err)
}

// NoteEnrichment notes in the row of a stored document when Veryfi was asked for it again,
// and returns the row's new state. The rest of the row stays. The errors are those of
// [Table.Put].
func (t *Table) NoteEnrichment(ctx context.Context, id string, seen State, requests []time.Time, now time.Time) (State, error) {
	version := now.UTC().Format(TimeFormat)
	var times []types.AttributeValue
	for _, request := range formatted(requests) {
		times = append(times, stringValue(request))
	}
	_, err := t.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: keyOf(id),
		UpdateExpression:    aws.String("SET enrichments = :enrichments, updated_at = :now"),
		ConditionExpression: aws.String(isUnchanged),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":enrichments": &types.AttributeValueMemberL{Value: times}, ":now": stringValue(version), ":version": stringValue(seen.Version),
		},
	})
	if err != nil {
		return State{}, writeError(err)
	}
	seen.Enrichments, seen.Version = requests, version
	return seen, nil
}

func stringValue(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// writeError returns the error of a conditional write, nil if it has none.
func writeError(err error) error {
	if err == nil {
		return nil
	}
	if _, failed := errors.AsType[*types.ConditionalCheckFailedException](err); failed {
		return ErrSuperseded
	}
	return failure.Table.Of(fmt.Errorf("write the row: %w", err))
}

// readyMade makes the SDK send a body that is already in DynamoDB's JSON. Building a tree
// of attribute values for the SDK to serialize costs ten times as much. Retries, signing
// and endpoints stay the SDK's.
func readyMade(body []byte) func(*dynamodb.Options) {
	replace := middleware.BuildMiddlewareFunc("ReadyMadeBody", func(
		ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler,
	) (middleware.BuildOutput, middleware.Metadata, error) {
		request, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("the request is a %T", in.Request)
		}
		var err error
		if in.Request, err = request.SetStream(bytes.NewReader(body)); err != nil {
			return middleware.BuildOutput{}, middleware.Metadata{}, err
		}
		// To compute this itself, the SDK allocates 32 KB.
		hash := sha256.Sum256(body)
		return next.HandleBuild(v4.SetPayloadHash(ctx, hex.EncodeToString(hash[:])), in)
	})
	return dynamodb.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Build.Add(replace, middleware.Before) // before the length is counted
	})
}

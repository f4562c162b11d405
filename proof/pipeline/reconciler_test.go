package pipeline_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/local/standin"
	"veryfi-intake/shared/event"
)

// reconcile runs the function with a payload.
func reconcile(t *testing.T, payload string) (result struct {
	Listed, Enqueued, Stale int
	Next                    json.RawMessage
}) {
	t.Helper()
	response, err := pipeline.Reconciler.Invoke(t.Context(), []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(response, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// receiptOf has Veryfi hold a new document that was created at a time.
func receiptOf(created time.Time) int64 {
	id := newID()
	pipeline.Veryfi.PutCreated(id, created, standin.Receipt(id))
	return id
}

func day(date string) string { return fmt.Sprintf(`{"since": "%s", "until": "%[1]s 23:59:59"}`, date) }

// TestDocumentsWhoseWebhookNeverCameAreFound has more documents in a day than fit
// on a page. Other tests' documents were created today.
func TestDocumentsWhoseWebhookNeverCameAreFound(t *testing.T) {
	t.Parallel()
	const documents = 120
	var ids []int64
	for n := range documents {
		ids = append(ids, receiptOf(time.Date(2025, 3, 1, 10, 0, n/4, 0, time.UTC)))
	}
	announce(t, "document.created", created, ids[7])
	announce(t, "document.failed", created, ids[8])
	row(t, ids[7], "processed")
	row(t, ids[8], "failed")
	if result := reconcile(t, day("2025-03-01")); result.Listed != documents || result.Enqueued != documents-2 || result.Next != nil {
		t.Errorf("result %+v", result)
	}
	for n, id := range ids {
		if n == 8 {
			continue
		}
		item := row(t, id, "processed")
		if want := map[bool]string{true: "document.created", false: "reconciled"}[n == 7]; text(item["event"]) != want {
			t.Errorf("document %d came by %s", id, text(item["event"]))
		}
	}
	if result := reconcile(t, day("2025-03-01")); result.Listed != documents || result.Enqueued != 0 {
		t.Errorf("the second time: %+v", result)
	}
	// The webhook comes after all.
	announce(t, "document.created", "2025-03-01 10:00:00", ids[0])
	time.Sleep(3 * time.Second)
	if requests := requestsFor(ids[0]); requests != 1 {
		t.Errorf("%d requests", requests)
	}
}

func TestDocumentsAreReconciledByTheirIDs(t *testing.T) {
	t.Parallel()
	april := time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC)
	stored, failed, never := receiptOf(april), receiptOf(april), receiptOf(april)
	announce(t, "document.created", created, stored)
	row(t, stored, "processed")
	announce(t, "document.failed", created, failed)
	row(t, failed, "failed")
	if result := reconcile(t, fmt.Sprintf(`{"ids": [%d, %d, "%d"]}`, stored, failed, never)); result.Enqueued != 2 {
		t.Errorf("result %+v", result)
	}
	if attempts := text(row(t, failed, "processed")["attempts"]); attempts != "2" {
		t.Errorf("%s attempts", attempts)
	}
	row(t, never, "processed")
}

func TestRowsThatAreStaleAreEnqueued(t *testing.T) {
	t.Parallel()
	id, statement, fresh := receiptOf(time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)), newID(), newID()
	pipeline.Veryfi.Put(standin.BankStatements, statement, standin.BankStatement(statement))
	put := func(key any, name, parent string, age time.Duration) {
		item := map[string]types.AttributeValue{"attempts": &types.AttributeValueMemberN{Value: "3"}}
		for attribute, value := range map[string]string{
			"id": fmt.Sprint(key), "status": "retrying", "problem": "retrying", "error": "unavailable: x", "event": name, "created": created,
			"updated_at": time.Now().Add(-age).UTC().Format("2006-01-02T15:04:05.000Z"), "received_at": "2025-05-01T00:00:00.000Z", "request_id": "r",
		} {
			item[attribute] = &types.AttributeValueMemberS{Value: value}
		}
		if parent != "" {
			item["parent_id"] = &types.AttributeValueMemberN{Value: parent}
		}
		if _, err := pipeline.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &pipeline.TableName, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	put(id, "document.created", "", 14*time.Hour)
	put(fmt.Sprint("bank_statement#", statement), "bank_statement_set.created", "42", 14*time.Hour)
	put(fresh, "document.created", "", 11*time.Hour)
	if result := reconcile(t, `{}`); result.Stale != 2 {
		t.Errorf("result %+v", result)
	}
	item := row(t, id, "processed")
	if text(item["attempts"]) != "4" || text(item["request_id"]) != "r" || text(item["event"]) != "document.created" {
		t.Errorf("row %v", fields(item))
	}
	if item := row(t, fmt.Sprint("bank_statement#", statement), "processed"); text(item["parent_id"]) != "42" {
		t.Errorf("row %v", fields(item))
	}
	if text(get(t, fresh)["status"]) != "retrying" {
		t.Error("a row was taken for stale whose message may be in the queue")
	}
}

// TestOtherKindsAreFoundInTheirLists has more checks than fit on a page, which Veryfi
// deletes when they are retrieved.
func TestOtherKindsAreFoundInTheirLists(t *testing.T) {
	t.Parallel()
	const checks = 60
	var ids []int64
	for n := range checks {
		id := newID()
		ids = append(ids, id)
		pipeline.Veryfi.Add(standin.Checks, id, standin.Document{Body: standin.Check(id), AutoDelete: true, Created: time.Date(2025, 7, 1, 10, n, 0, 0, time.UTC)})
	}
	payload := strings.Replace(day("2025-07-01"), "{", `{"kind": "check", `, 1)
	if result := reconcile(t, payload); result.Listed != checks || result.Enqueued != checks || result.Next != nil {
		t.Errorf("result %+v", result)
	}
	for _, id := range ids {
		if item := row(t, fmt.Sprint("check#", id), "processed"); text(item["event"]) != "check.reconciled" {
			t.Errorf("row %v", fields(item))
		}
	}
}

func TestStoredDocumentIsRetrievedAgain(t *testing.T) {
	t.Parallel()
	id := newID()
	key := fmt.Sprint("check#", id)
	pipeline.Veryfi.Put(standin.Checks, id, standin.Check(id))
	announce(t, "check.created", created, id)
	first := text(row(t, key, "processed")["retrieved_at"])
	if result := reconcile(t, fmt.Sprintf(`{"ids": [%q]}`, key)); result.Enqueued != 0 {
		t.Errorf("result %+v", result)
	}
	if result := reconcile(t, fmt.Sprintf(`{"ids": [%q], "again": true}`, key)); result.Enqueued != 1 {
		t.Errorf("result %+v", result)
	}
	if !until(func() bool { return text(get(t, key)["retrieved_at"]) > first }) {
		t.Errorf("row %v", fields(get(t, key)))
	}
}

// TestUnsupportedRowsOfVersion1AreTakenUp has one that is known by now, and one that is not.
func TestUnsupportedRowsOfVersion1AreTakenUp(t *testing.T) {
	t.Parallel()
	id := newID()
	pipeline.Veryfi.Put(standin.W2s, id, standin.W2(id))
	keep := func(name string) string {
		key := event.Message{Event: name, Data: event.Text(fmt.Sprintf(`{"%s": 1, "id": %d}`, name, id))}.Key()
		item := map[string]types.AttributeValue{"events": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: name}}}}
		for attribute, value := range map[string]string{
			"id": key, "status": "unsupported", "problem": "unsupported", "error": "this version does not know the event; its data is kept here", "event": name, "created": created,
			"data": fmt.Sprintf(`{"id": %d, "created": "%s"}`, id, created), "updated_at": "2025-05-01T00:00:00.000Z", "received_at": "2025-05-01T00:00:00.000Z", "request_id": "r",
		} {
			item[attribute] = &types.AttributeValueMemberS{Value: value}
		}
		if _, err := pipeline.DynamoDB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &pipeline.TableName, Item: item}); err != nil {
			t.Fatal(err)
		}
		return key
	}
	known, unknown := keep("w2.created"), keep("receipt.created")
	reconcile(t, `{"unsupported": true}`)
	if item := row(t, fmt.Sprint("w2#", id), "processed"); text(item["event"]) != "w2.created" || text(item["received_at"]) != "2025-05-01T00:00:00.000Z" {
		t.Errorf("row %v", fields(item))
	}
	if !until(func() bool { reconcile(t, `{"unsupported": true}`); return get(t, known) == nil }) {
		t.Errorf("row %v", fields(get(t, known)))
	}
	if item := row(t, unknown, "unsupported"); !strings.HasSuffix(text(item["error"]), "(version 2)") || text(item["updated_at"]) != "2025-05-01T00:00:00.000Z" {
		t.Errorf("row %v", fields(item))
	}
}

// TestReconcilersRequestsKeepTheRate has one run at a time: it runs before the
// parallel tests.
func TestReconcilersRequestsKeepTheRate(t *testing.T) {
	before := len(pipeline.Veryfi.ListRequests())
	for n := range 300 {
		receiptOf(time.Date(2024, 1, 1, 0, 0, n, 0, time.UTC))
	}
	reconcile(t, day("2024-01-01"))
	requests := pipeline.Veryfi.ListRequests()[before:]
	for i := 5; i < len(requests); i++ {
		if apart := requests[i].Sub(requests[i-5]); apart < time.Second {
			t.Errorf("six requests in %v", apart)
		}
	}
	if len(requests) < 6 {
		t.Errorf("%d requests", len(requests))
	}
}

func TestReconcilerOutlastsAWhileWithoutVeryfi(t *testing.T) {
	t.Parallel()
	id := receiptOf(time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC))
	pipeline.Veryfi.ThenList(standin.RetryAfter(429, 1))
	if result := reconcile(t, day("2025-06-01")); result.Enqueued != 1 {
		t.Errorf("result %+v", result)
	}
	row(t, id, "processed")
}

func TestPayloadsOfTheReconcilerAreExplained(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{`{"since": "yesterday"}`, `{"sinse": "2026-01-01"}`, `[]`} {
		if _, err := pipeline.Reconciler.Invoke(t.Context(), []byte(payload)); err == nil || !strings.Contains(err.Error(), `{"ids": [123456789, "check#5"]}`) {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

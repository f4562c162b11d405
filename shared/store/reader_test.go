package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

// manyRows is a table in memory that answers for so many keys of a call, and
// leaves out the others.
type manyRows struct {
	statuses map[string]Status
	answers  int
	calls    []int // keys of each call
	problems int
	queries  []*dynamodb.QueryInput
	err      error
}

func (m *manyRows) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	request := in.RequestItems["table"]
	m.calls = append(m.calls, len(request.Keys))
	if m.err != nil {
		return nil, m.err
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for i, key := range request.Keys {
		if i >= m.answers {
			rest := request
			rest.Keys = request.Keys[i:]
			out.UnprocessedKeys = map[string]types.KeysAndAttributes{"table": rest}
			break
		}
		if status, ok := m.statuses[text(key, "id")]; ok {
			item := map[string]types.AttributeValue{"id": key["id"], "status": &types.AttributeValueMemberS{Value: string(status)}}
			out.Responses["table"] = append(out.Responses["table"], item)
		}
	}
	return out, nil
}

// Query answers with the rows 1 to problems, two at a time.
func (m *manyRows) Query(_ context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	m.queries = append(m.queries, in)
	if m.err != nil {
		return nil, m.err
	}
	first := 1
	if start := in.ExclusiveStartKey; start != nil {
		last, _ := strconv.Atoi(text(start, "id"))
		first = last + 1
	}
	out := &dynamodb.QueryOutput{}
	for n := first; n <= m.problems && len(out.Items) < min(2, int(*in.Limit)); n++ {
		out.Items = append(out.Items, map[string]types.AttributeValue{
			"id":         &types.AttributeValueMemberS{Value: strconv.Itoa(n)},
			"updated_at": &types.AttributeValueMemberS{Value: "2026-01-02T03:04:05.000Z"},
			"attempts":   &types.AttributeValueMemberN{Value: "3"},
		})
	}
	if last := first + len(out.Items) - 1; last < m.problems {
		out.LastEvaluatedKey = map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: strconv.Itoa(last)}}
	}
	return out, nil
}

func TestProblemsAreReadPageByPage(t *testing.T) {
	for _, test := range []struct{ problems, limit, rows, calls int }{
		{0, 10, 0, 1}, {1, 10, 1, 1}, {5, 10, 5, 3}, {5, 3, 3, 2}, {5, 4, 4, 2}, {4, 4, 4, 2},
	} {
		m := &manyRows{problems: test.problems}
		rows, err := NewReader(m, "table").Problems(t.Context(), Error, test.limit)
		if err != nil || len(rows) != test.rows || len(m.queries) != test.calls {
			t.Errorf("%+v: %d rows in %d calls, %v", test, len(rows), len(m.queries), err)
		}
		for i, row := range rows {
			want := Row{ID: strconv.Itoa(i + 1), Attempts: 3, UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
			if diff := cmp.Diff(want, row); diff != "" {
				t.Error(diff)
			}
		}
		for _, query := range m.queries {
			if *query.IndexName != "problems" || *query.ScanIndexForward || text(query.ExpressionAttributeValues, ":status") != "error" {
				t.Errorf("%+v", query)
			}
		}
	}
	m := &manyRows{problems: 5}
	if rows, err := NewReader(m, "table").Stale(t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 10); err != nil || len(rows) != 5 {
		t.Errorf("%d stale rows, %v", len(rows), err)
	}
	if before := text(m.queries[0].ExpressionAttributeValues, ":before"); before != "2026-01-01T00:00:00.000Z" {
		t.Errorf("stale before %s", before)
	}
}

func TestStatesOfManyRows(t *testing.T) {
	for _, answers := range []int{100, 33, 1} {
		synctest.Test(t, func(t *testing.T) {
			m := &manyRows{statuses: map[string]Status{}, answers: answers}
			var ids []string
			want := map[string]State{}
			for n := range 250 {
				id := fmt.Sprint(n)
				ids = append(ids, id)
				if n%3 > 0 {
					m.statuses[id], want[id] = Processed, State{Status: Processed}
				}
			}
			got, err := NewReader(m, "table").States(t.Context(), ids)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v: %s", err, diff)
			}
			if slices.Max(m.calls) > 100 {
				t.Errorf("keys of the calls: %v", m.calls)
			}
		})
	}
}

func TestNoStatesForNoIDs(t *testing.T) {
	m := &manyRows{}
	if got, err := NewReader(m, "table").States(t.Context(), nil); err != nil || len(got) != 0 || len(m.calls) != 0 {
		t.Errorf("%v, %v, calls %v", got, err, m.calls)
	}
}

func TestKeysThatAreLeftOutForEverEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manyRows{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := NewReader(m, "table").States(ctx, []string{"1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(m.calls) > 30 {
			t.Errorf("%d calls in a minute", len(m.calls))
		}
	})
}

func TestTableThatCannotBeReadIsAnError(t *testing.T) {
	down := errors.New("down")
	if _, err := NewReader(&manyRows{err: down}, "table").States(t.Context(), []string{"1"}); !errors.Is(err, down) {
		t.Error(err)
	}
	if _, err := NewReader(&manyRows{err: down}, "table").Stale(t.Context(), time.Now(), 1); !errors.Is(err, down) {
		t.Error(err)
	}
}

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

func (m *manyRows) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return nil, errors.New("not asked for")
}

func TestStatusesOfManyRows(t *testing.T) {
	for _, answers := range []int{100, 33, 1} {
		synctest.Test(t, func(t *testing.T) {
			m := &manyRows{statuses: map[string]Status{}, answers: answers}
			var ids []string
			want := map[string]Status{}
			for n := range 250 {
				id := fmt.Sprint(n)
				ids = append(ids, id)
				if n%3 > 0 {
					m.statuses[id], want[id] = Processed, Processed
				}
			}
			got, err := NewReader(m, "table").Statuses(t.Context(), ids)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v: %s", err, diff)
			}
			if slices.Max(m.calls) > 100 {
				t.Errorf("keys of the calls: %v", m.calls)
			}
		})
	}
}

func TestNoStatusesForNoIDs(t *testing.T) {
	m := &manyRows{}
	if got, err := NewReader(m, "table").Statuses(t.Context(), nil); err != nil || len(got) != 0 || len(m.calls) != 0 {
		t.Errorf("%v, %v, calls %v", got, err, m.calls)
	}
}

func TestKeysThatAreLeftOutForEverEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manyRows{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := NewReader(m, "table").Statuses(ctx, []string{"1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(m.calls) > 30 {
			t.Errorf("%d calls in a minute", len(m.calls))
		}
	})
}

func TestTableThatCannotBeReadIsAnError(t *testing.T) {
	down := errors.New("down")
	if _, err := NewReader(&manyRows{err: down}, "table").Statuses(t.Context(), []string{"1"}); !errors.Is(err, down) {
		t.Error(err)
	}
	if _, err := NewReader(&manyRows{}, "table").Stale(t.Context(), time.Now(), 1); err == nil {
		t.Error("no error")
	}
}

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/aws/table"
)

// manyRows is the table in memory, which answers little at a time.
type manyRows struct {
	*table.Table
	answers int   // keys that a call answers for; it leaves out the others
	calls   []int // keys of each call
	queries int
	err     error
}

func newRows(t *testing.T, rows ...Row) *manyRows {
	t.Helper()
	m := &manyRows{Table: table.New(map[string]string{problemsIndex: "updated_at"})}
	for _, row := range rows {
		if err := New(m.Table, "table").Put(t.Context(), row, State{}); err != nil {
			t.Fatal(err)
		}
	}
	return m
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
	rest, n := request, min(m.answers, len(request.Keys))
	request.Keys, rest.Keys = request.Keys[:n], request.Keys[n:]
	out, err := m.Table.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"table": request}})
	if len(rest.Keys) > 0 {
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{"table": rest}
	}
	return out, err
}

// Query answers with two rows at a time.
func (m *manyRows) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	m.queries++
	if m.err != nil {
		return nil, m.err
	}
	few := *in
	few.Limit = aws.Int32(2)
	if in.Limit != nil {
		few.Limit = aws.Int32(min(2, *in.Limit))
	}
	return m.Table.Query(ctx, &few)
}

// failing returns rows of a status, the latest first, a second apart.
func failing(status Status, n int) (rows []Row) {
	for i := range n {
		rows = append(rows, Row{
			ID: fmt.Sprint(status, i), Status: status, Error: "why", Event: "document.created", Created: "2026-01-02 03:04:05", ParentID: 7,
			ReceivedAt: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5-i, 0, time.UTC), Attempts: 3, RequestID: "r",
		})
	}
	return rows
}

func TestProblemsAreReadPageByPage(t *testing.T) {
	for _, test := range []struct{ problems, limit, rows, calls int }{
		{0, 10, 0, 1}, {1, 10, 1, 1}, {5, 10, 5, 3}, {5, 3, 3, 2}, {5, 4, 4, 2}, {4, 4, 4, 2},
	} {
		all := failing(Error, test.problems)
		m := newRows(t, slices.Concat(all, failing(Failed, 3))...)
		got, err := NewReader(m, "table").Problems(t.Context(), Error, test.limit)
		if diff := cmp.Diff(all[:test.rows], got); diff != "" || err != nil || m.queries != test.calls {
			t.Errorf("%+v: %d calls, %v (-want +got):\n%s", test, m.queries, err, diff)
		}
	}
}

func TestStaleRowsComeOldestFirst(t *testing.T) {
	all := failing(Retrying, 5)
	want := slices.Clone(all[3:])
	slices.Reverse(want)
	got, err := NewReader(newRows(t, slices.Concat(all, failing(Error, 5))...), "table").Stale(t.Context(), all[2].UpdatedAt, 10)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestStatesOfManyRows(t *testing.T) {
	for _, answers := range []int{100, 33, 1} {
		synctest.Test(t, func(t *testing.T) {
			var ids []string
			var rows []Row
			want := map[string]State{}
			for n := range 250 {
				row := Row{ID: fmt.Sprint(n), Status: Failed, Error: "why", UpdatedAt: time.Now(), Attempts: n}
				ids = append(ids, row.ID)
				if n%3 > 0 {
					rows, want[row.ID] = append(rows, row), row.State()
				}
			}
			m := newRows(t, rows...)
			m.answers = answers
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
		m := newRows(t)
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

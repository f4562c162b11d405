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
	"github.com/google/go-cmp/cmp"
)

// UpdateItem and DeleteItem fail as the other calls do.
func (m *manyRows) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	if m.err != nil {
		return nil, m.err
	}
	return m.Table.UpdateItem(ctx, in)
}

func (m *manyRows) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	if m.err != nil {
		return nil, m.err
	}
	return m.Table.DeleteItem(ctx, in)
}

// kept returns rows of unsupported events, the oldest first, a second apart.
func kept(n int) (rows []Row) {
	for i := range n {
		rows = append(rows, Row{
			ID: fmt.Sprintf("unsupported#%02d", i), Status: Unsupported, Error: "why", Event: "x.created", Events: []string{"x.created", "y.created"},
			Created: "2026-01-02 03:04:05", Data: fmt.Sprintf(`{"id":%d}`, i), ReceivedAt: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC),
			UpdatedAt: time.Date(2026, 1, 2, 3, 4, i, 1e6, time.UTC), Attempts: 1, RequestID: "r",
		})
	}
	return rows
}

func TestKeptRowsComeInPages(t *testing.T) {
	all := kept(5)
	m := newRows(t, slices.Concat(all, failing(Error, 3), failing(Retrying, 3))...)
	var got []string
	var pages []int
	for rows, err := range NewKept(m, "table").Pages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(rows))
		for _, row := range rows {
			got = append(got, row.ID)
			if err := NewKept(m, "table").Remove(t.Context(), row); err != nil { // pages do not move
				t.Error(err)
			}
		}
	}
	if want := []string{all[0].ID, all[1].ID, all[2].ID, all[3].ID, all[4].ID}; !slices.Equal(got, want) || !slices.Equal(pages, []int{2, 2, 1}) {
		t.Errorf("pages of %v: %v", pages, got)
	}
	if left := m.Items(); len(left) != 6 {
		t.Errorf("%d rows are left", len(left))
	}
	for range NewKept(newRows(t, all...), "table").Pages(t.Context()) {
		break
	}
}

func TestKeptRowsAreReadWithTheirData(t *testing.T) {
	for _, answers := range []int{100, 2, 1} {
		synctest.Test(t, func(t *testing.T) {
			all := kept(5)
			m := newRows(t, all...)
			m.answers = answers
			got, err := NewKept(m, "table").Read(t.Context(), []string{all[0].ID, "unsupported#none", all[3].ID, all[4].ID})
			if diff := cmp.Diff([]Row{all[0], all[3], all[4]}, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestKeptRowThatWasWrittenMeanwhileStays has a row that the processor writes after it was
// read, and one that somebody has deleted.
func TestKeptRowThatWasWrittenMeanwhileStays(t *testing.T) {
	before := kept(2)
	m := newRows(t, before[0])
	k := NewKept(m, "table")
	if err := k.Mark(t.Context(), before[0], "marked"); err != nil {
		t.Fatal(err)
	}
	marked := before[0]
	marked.Error = "marked"
	m.answers = 100
	if got, err := k.Read(t.Context(), []string{marked.ID}); err != nil || cmp.Diff([]Row{marked}, got) != "" {
		t.Errorf("%+v, %v", got, err)
	}
	after := marked
	after.UpdatedAt = after.UpdatedAt.Add(time.Millisecond)
	if err := New(m.Table, "table").Put(t.Context(), after, before[0].State()); err != nil {
		t.Errorf("a mark keeps others from writing: %v", err)
	}
	for _, row := range before {
		if err := k.Mark(t.Context(), row, "again"); !errors.Is(err, ErrSuperseded) {
			t.Errorf("%s: mark: %v", row.ID, err)
		}
		if err := k.Remove(t.Context(), row); !errors.Is(err, ErrSuperseded) {
			t.Errorf("%s: remove: %v", row.ID, err)
		}
	}
	if got, err := k.Read(t.Context(), []string{after.ID, before[1].ID}); err != nil || cmp.Diff([]Row{after}, got) != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTableThatDoesNotTakeUpIsAnError(t *testing.T) {
	down := errors.New("down")
	k := NewKept(&manyRows{err: down}, "table")
	for rows, err := range k.Pages(t.Context()) {
		if !errors.Is(err, down) || rows != nil {
			t.Errorf("%v, %v", rows, err)
		}
	}
	row := kept(1)[0]
	_, err := k.Read(t.Context(), []string{row.ID})
	for _, err := range []error{err, k.Mark(t.Context(), row, "x"), k.Remove(t.Context(), row)} {
		if !errors.Is(err, down) || errors.Is(err, ErrSuperseded) {
			t.Error(err)
		}
	}
}

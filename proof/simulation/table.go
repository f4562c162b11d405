package simulation

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// A tableModel is the table with the conditions of its writes.
type tableModel struct {
	mu   sync.Mutex
	rows map[string]store.Row
}

func newTable() *tableModel { return &tableModel{rows: map[string]store.Row{}} }

func (m *tableModel) get(id string) store.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rows[id].State()
}

// put writes a row over the one that was seen, and over no other.
func (m *tableModel) put(row store.Row, seen store.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[row.ID].State().Version != seen.Version {
		return store.ErrSuperseded
	}
	m.rows[row.ID] = row
	return nil
}

func (m *tableModel) all() map[string]store.Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.rows)
}

// A tableClient is the table as an environment sees it.
type tableClient struct {
	w *World
	e *environment
}

func (c tableClient) Get(ctx context.Context, id string) (store.State, error) {
	if _, err := c.w.call(ctx, c.e, table, "read row "+id); err != nil {
		return store.State{}, failure.Table.Of(err)
	}
	return c.w.table.get(id), nil
}

func (c tableClient) GetAll(ctx context.Context, ids []string) (map[string]store.State, error) {
	if _, err := c.w.call(ctx, c.e, table, "read the rows "+strings.Join(ids, " ")); err != nil {
		return nil, failure.Table.Of(err)
	}
	states := map[string]store.State{}
	for _, id := range ids {
		states[id] = c.w.table.get(id)
	}
	return states, nil
}

func (c tableClient) Put(ctx context.Context, row store.Row, seen store.State) error {
	effect, err := c.w.call(ctx, c.e, table, "write row "+row.ID)
	if !effect {
		return failure.Table.Of(err)
	}
	before := c.w.table.get(row.ID)
	written := c.w.table.put(row, seen)
	c.w.story("%s writes row %s: %s %s: %v", c.e.name, row.ID, row.Status, row.Error, written)
	if written == nil && before.Status == store.Processed && (row.Created <= before.Created || row.Status != store.Processed) {
		c.w.violate("row %s of %s is replaced by one of %s that is %s", row.ID, before.Created, row.Created, row.Status)
	}
	if err != nil {
		return failure.Table.Of(err)
	}
	return written
}

func (c tableClient) States(ctx context.Context, ids []string) (map[string]store.State, error) {
	if _, err := c.w.call(ctx, c.e, table, "read rows "+strings.Join(ids, " ")); err != nil {
		return nil, err
	}
	states := map[string]store.State{}
	for _, id := range ids {
		if s := c.w.table.get(id); s.Status != "" {
			states[id] = s
		}
	}
	return states, nil
}

func (c tableClient) Stale(ctx context.Context, before time.Time, limit int) ([]store.Row, error) {
	if _, err := c.w.call(ctx, c.e, table, "read stale rows"); err != nil {
		return nil, err
	}
	var stale []store.Row
	for _, row := range c.w.table.all() {
		if row.Status == store.Retrying && row.UpdatedAt.Before(before) {
			stale = append(stale, row)
		}
	}
	slices.SortFunc(stale, func(a, b store.Row) int {
		if c := a.UpdatedAt.Compare(b.UpdatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return stale[:min(limit, len(stale))], nil
}

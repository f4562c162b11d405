package handler

import (
	"fmt"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
)

// row returns what every row of a message has.
func (t *try) row() store.Row {
	m := t.message
	return store.Row{
		ID:         t.key(),
		Event:      m.Event,
		Created:    m.Created,
		ParentID:   m.ParentID,
		ReceivedAt: m.ReceivedAt,
		// The row counts on when a message comes back from the dead-letter queue, whose
		// receive count begins anew; the message knows where there is no row.
		Attempts:  max(t.seen.Attempts+1, m.Attempts+t.receiveCount),
		RequestID: m.RequestID,
	}
}

func unsupportedError(m event.Message) string {
	switch m.Event {
	case event.DocumentCreated, event.DocumentFailed, event.BankStatementSetCreated, event.BankStatementSetFailed:
		return fmt.Sprintf("the data of this %s has no usable ids", m.Event)
	default:
		return "this version does not know the event; its data is kept here"
	}
}

func failedError(m event.Message) string {
	if m.Error != "" {
		return m.Error
	}
	return "Veryfi could not process it and gave no reason"
}

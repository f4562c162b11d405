package retrieve

import (
	"context"
	"errors"
	"slices"
	"time"

	"veryfi-intake/shared/event"
	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// Veryfi is asked for a stored document because of `document.enriched` at most
// maxEnrichments times in any enrichmentPeriod. The name is not signed: anybody who caught
// the call of a document can send it again as an enrichment.
const (
	maxEnrichments   = 3
	enrichmentPeriod = 24 * time.Hour
	// enrichmentWait is the first wait after a request that failed: the few that there are
	// must outlast an outage.
	enrichmentWait = MaxWait
)

const nothingMore = "Veryfi was asked for the stored document three times in 24 hours"

// errWaits keeps a message whose own request has failed until it may ask again.
var errWaits = failure.Throttled.New(nothingMore)

// errInQueue keeps a message until the document that it is about is stored.
var errInQueue = failure.InProgress.New("the document is in the queue, to be stored first")

// asksAgain reports whether the message asks for the document although the row has it: it
// may have changed without a later time of creation.
func (d delivery) asksAgain(row store.State) bool {
	m := d.message
	isEnrichment := m.Event == event.DocumentEnriched && !m.IsLater(row.Created) && !m.IsEarlier(row.Created)
	return (m.Again || isEnrichment) && isKept(row)
}

// isLimited reports whether Veryfi may be asked for the message only so often: anybody could
// have sent it, and it needs a request.
func (d delivery) isLimited(row store.State) bool {
	return d.asksAgain(row) && !d.message.Again && !d.hasDocument()
}

// isNewer reports whether a document was retrieved after the one that the row has. A row
// keeps milliseconds: a copy of its own document is not newer.
func isNewer(retrievedAt time.Time, row store.State) bool {
	return retrievedAt.Truncate(time.Millisecond).After(row.RetrievedAt)
}

// noteEnrichment notes in the row of a stored document that Veryfi is asked for it again,
// before it is, and updates row. Or it says why nothing is to be done. A message that was
// received before has asked, in vain, and waits until it may again; so does one that was
// moved back. Any other is done, so that forged ones do not pile up.
func (h *Handler) noteEnrichment(ctx context.Context, d delivery, row *store.State) (nothing string, err error) {
	brief, cancel := h.brief(ctx)
	defer cancel()
	for d.isLimited(*row) {
		if row.Status != store.Processed {
			return "", errInQueue
		}
		now := h.Now()
		recent := slices.DeleteFunc(slices.Clone(row.Enrichments), func(at time.Time) bool { return now.Sub(at) >= enrichmentPeriod })
		switch {
		case len(recent) < maxEnrichments:
		case d.receives > 1, d.isMovedBack():
			return "", errWaits
		default:
			return nothingMore, nil
		}
		noted, err := h.Table.NoteEnrichment(brief, d.key, *row, append(recent, now), h.writeTime(*row))
		if !errors.Is(err, store.ErrSuperseded) {
			if err == nil {
				*row = noted
			}
			return "", err
		}
		if *row, err = h.Table.Get(brief, d.key); err != nil {
			return "", err
		}
		if why := d.nothingToDo(view{own: *row}); why != "" {
			return why, nil
		}
	}
	return "", nil
}

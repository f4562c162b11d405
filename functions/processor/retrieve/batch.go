package retrieve

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/store"
)

// Handle processes the records of a batch concurrently, and reports those that are not
// done. It answers before the function's timeout, whatever they do.
func (h *Handler) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	late, cancel := h.reserve(ctx, answerReserve/2)
	defer cancel()
	ctx, cancel = h.reserve(ctx, answerReserve)
	defer cancel()

	ends := make(chan end, len(batch.Records))
	go h.processBatch(ctx, batch.Records, ends)
	done := make([]bool, len(batch.Records))
	for left := len(batch.Records); left > 0 && late.Err() == nil; {
		select {
		case e := <-ends:
			done[e.record] = e.done
			left--
		case <-late.Done():
			h.Log.ErrorContext(ctx, "records did not end in time, they will be tried again", slog.Int("records", left))
		}
	}
	failures := []events.SQSBatchItemFailure{}
	for i, record := range batch.Records {
		if !done[i] {
			failures = append(failures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return events.SQSEventResponse{BatchItemFailures: failures}, nil
}

// An end says whether the message of a record, by its number, is done.
type end struct {
	record int
	done   bool
}

// processBatch processes records about one row in turn, and rows concurrently. Rows on
// which the function died before come last, one at a time and in random order: so the one
// that kills it does not take the same others with it each time.
func (h *Handler) processBatch(ctx context.Context, records []events.SQSMessage, ends chan<- end) {
	deliveries := make([]delivery, len(records))
	for i, r := range records {
		deliveries[i] = h.delivery(ctx, i, r)
	}
	groups := h.groupByRow(deliveries)
	states := h.lookTogether(ctx, groups)
	postponed := make([]bool, len(groups))
	var together sync.WaitGroup
	for i, g := range groups {
		together.Go(func() { postponed[i] = h.processGroup(ctx, g, states, false, ends) })
	}
	together.Wait()
	for _, i := range h.shuffled(len(groups)) {
		if postponed[i] && ctx.Err() == nil {
			h.processGroup(ctx, groups[i], h.lookTogether(ctx, groups[i:i+1]), true, ends)
		}
	}
}

// A group has the deliveries of a batch that are about one row.
type group struct {
	deliveries []delivery
	keys       []string // of the rows that it depends on, its own first
}

// groupByRow puts the deliveries about one row together, in order: messages that have their
// document first, then those that ask for the latest, failures last. So no delivery asks
// for more than the first one.
func (h *Handler) groupByRow(deliveries []delivery) (groups []group) {
	places := map[string]int{}
	for _, d := range deliveries {
		i, known := places[d.key]
		if !known || d.key == "" || d.unreadable != nil {
			i = len(groups)
			groups = append(groups, group{})
			if d.unreadable == nil {
				places[d.key] = i
				groups[i].keys = []string{d.key}
			}
		}
		g := &groups[i]
		g.deliveries = append(g.deliveries, d)
		if len(g.keys) == 1 && !d.hasDocument() {
			g.keys = append(g.keys, h.Kinds.OtherKeys(d.message)...) // the same for all that have some
		}
	}
	for _, g := range groups {
		slices.SortStableFunc(g.deliveries, func(a, b delivery) int {
			return cmp.Or(b.urgency()-a.urgency(), later(b, a))
		})
	}
	return groups
}

func (d delivery) urgency() int {
	switch {
	case d.hasDocument():
		return 2
	case d.retrieves():
		return 1
	default:
		return 0
	}
}

func later(a, b delivery) int {
	switch {
	case a.message.IsLater(b.message.Created):
		return 1
	case b.message.IsLater(a.message.Created):
		return -1
	default:
		return 0
	}
}

// lookTogether reads the rows of a batch in one call, which is much faster than many. Rows
// that it leaves out, or all when it fails, are read group by group.
func (h *Handler) lookTogether(ctx context.Context, groups []group) map[string]store.State {
	var ids []string
	for _, g := range groups {
		for _, id := range g.keys {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	states := map[string]store.State{}
	if len(ids) < 2 {
		return states
	}
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	brief, cancel := h.brief(working)
	defer cancel()
	err := guarded(ctx, h.Log, func() error {
		for some := range slices.Chunk(ids, store.MaxKeys) {
			read, err := h.Table.GetAll(brief, some)
			if err != nil {
				return err
			}
			maps.Copy(states, read)
		}
		return nil
	})
	if err != nil {
		h.Log.WarnContext(ctx, "cannot read the rows together, reading them one by one", slog.String("error", err.Error()))
	}
	return states
}

// processGroup processes the deliveries about one row, or postpones them until they can
// run alone.
func (h *Handler) processGroup(ctx context.Context, g group, states map[string]store.State, alone bool, ends chan<- end) (postponed bool) {
	seen, err := h.look(ctx, g, states)
	if err == nil && !alone && h.mustRunAlone(g.deliveries[0], seen.own) {
		return true
	}
	var o outcome
	for i, d := range g.deliveries {
		if i > 0 && d.endsLike(g.deliveries[0], o) {
			h.endLike(ctx, d, o)
		} else {
			o = h.process(ctx, d, seen, err)
			seen.own = o.row
		}
		ends <- end{d.number, o.done}
	}
	return false
}

// look returns the view of a group. It reads what is not in states.
func (h *Handler) look(ctx context.Context, g group, states map[string]store.State) (seen view, err error) {
	working, cancel := h.reserve(ctx, storeReserve)
	defer cancel()
	brief, cancel := h.brief(working)
	defer cancel()
	for i, id := range g.keys {
		state, known := states[id]
		if !known {
			err = guarded(ctx, h.Log, func() (err error) {
				state, err = h.Table.Get(brief, id)
				return err
			})
			if err != nil {
				return view{}, err
			}
		}
		if i == 0 {
			seen.own = state
		} else {
			seen.others = append(seen.others, state)
		}
	}
	return seen, nil
}

// mustRunAlone reports whether a document may kill the function: it did before, or it would
// have no other try after that.
func (h *Handler) mustRunAlone(d delivery, row store.State) bool {
	return row.Class == failure.Interrupted || h.isLastTry(d) && d.leftNoResult(row)
}

// endsLike reports whether a delivery ends like the first one of its group, because it asks
// for the same.
func (d delivery) endsLike(first delivery, of outcome) bool {
	asksForTheSame := d.retrieves() && !d.hasDocument() && !d.message.IsLater(first.message.Created)
	return of.forAll && asksForTheSame && (!of.done || !first.hasDocument())
}

// endLike ends a delivery as the one before it ended.
func (h *Handler) endLike(ctx context.Context, d delivery, o outcome) {
	if o.done {
		d.log.InfoContext(ctx, "nothing to do, another message about the document was given up just now")
		return
	}
	d.log.InfoContext(ctx, "not requested, another message about the document failed just now")
	_ = guarded(ctx, d.log, func() error {
		h.delay(ctx, d, o.again)
		return nil
	}) // it is not done either way
}

// shuffled returns the numbers from 0 to n-1 in random order.
func (h *Handler) shuffled(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		j := int(h.Random() * float64(i+1))
		numbers[i], numbers[j] = numbers[j], i
	}
	return numbers
}

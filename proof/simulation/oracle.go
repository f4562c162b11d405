package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	processor "veryfi-intake/functions/processor/retrieve"
	"veryfi-intake/local/aws/table"
	"veryfi-intake/local/standin"
	"veryfi-intake/proof/rowcheck"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
)

// A row is an item as the oracles see it.
type row struct {
	store.Row
	item table.Item
}

func rowOf(item table.Item) row {
	number := func(name string) int {
		n, _ := item[name].(*types.AttributeValueMemberN)
		if n == nil {
			return 0
		}
		i, _ := strconv.Atoi(n.Value) // written by the store
		return i
	}
	updated, _ := time.Parse(store.TimeFormat, table.Text(item, "updated_at"))
	return row{store.Row{
		ID: table.Text(item, "id"), Status: store.Status(table.Text(item, "status")), Error: table.Text(item, "error"),
		Created: table.Text(item, "created"), UpdatedAt: updated, Attempts: number("attempts"), NotFound: number("not_found"),
	}, item}
}

// rows returns all rows, by id.
func (w *World) rows() map[string]row {
	rows := map[string]row{}
	for id, item := range w.table.Items() {
		rows[id] = rowOf(item)
	}
	return rows
}

// longest is how long it may take until all is quiet: the age at which the processor
// gives up whatever else holds, and the wait before.
const longest = processor.MaxAge + 24*time.Hour

// quiet waits until the queue is empty.
func (s *schedule) quiet() {
	for end := time.Now().Add(longest); s.w.sqs.Left() > 0; time.Sleep(time.Minute + 13*time.Nanosecond) {
		if time.Now().After(end) {
			s.w.violate("after %v the queue still holds %d messages", longest, s.w.sqs.Left())
			return
		}
	}
}

// deadLetters returns the keys of the rows whose messages were given up.
func (s *schedule) deadLetters() (keys []string) {
	for _, body := range s.w.sqs.DeadLetters() {
		message, err := event.DecodeMessage(body)
		if err != nil {
			s.w.violate("a dead letter cannot be read: %v", err)
		}
		keys = append(keys, message.Key())
	}
	return keys
}

// check compares the rows with what was promised for each webhook that was accepted.
func (s *schedule) check() {
	rows, dead := s.w.rows(), s.deadLetters()
	for _, x := range s.subjects {
		row, exists := rows[x.key]
		switch isDead := slices.Contains(dead, x.key); {
		case x.forged && exists:
			s.w.violate("row %s comes from a forged request", x.key)
		case !x.accepted:
			// Nobody has promised anything; the queue may have it all the same.
		case !exists:
			s.w.violate("%s was accepted and has no row", x.key)
		case row.Status == store.Processed && isDead && s.mayBeGivenUp(x):
			// It is the older version; the newer one was given up.
		case row.Status == store.Processed && x.want == store.Processed:
			s.checkDocument(x, row)
		case (row.Status == store.Error || row.Status == store.Retrying) && isDead && s.mayBeGivenUp(x):
		case row.Status != x.want:
			s.w.violate("row %s is %s, not %s: %s", x.key, row.Status, x.want, row.Error)
		case row.Status == store.Error && !isDead:
			s.w.violate("row %s is given up without a dead letter: %s", x.key, row.Error)
		}
	}
	for key, row := range rows {
		if !s.isExpected(key) {
			s.w.violate("row %s comes from nothing", key)
		}
		if strings.Contains(row.Error, private) {
			s.w.violate("the error of row %s tells a secret: %s", row.ID, row.Error)
		}
	}
}

// isExpected reports whether a row is about something that Veryfi tells about.
func (s *schedule) isExpected(key string) bool {
	return slices.ContainsFunc(s.subjects, func(x *subject) bool { return x.key == key })
}

func (s *schedule) checkDocument(x *subject, row row) {
	wanted := x.bodies
	if x.updated {
		wanted = x.bodies[len(x.bodies)-1:]
	}
	if !slices.ContainsFunc(wanted, func(body string) bool { return rowcheck.Difference(row.item, []byte(body)) == "" }) {
		s.w.violate("row %s does not hold the document", x.key)
	}
}

// mayBeGivenUp reports whether a document may be lost, or its tries used up.
func (s *schedule) mayBeGivenUp(x *subject) bool {
	d := x.document
	switch {
	case d == nil || s.w.plan().maxTries < 60:
		return true
	case d.poison, x.want == store.Error:
		return true
	}
	return s.isLost(x)
}

// isLost reports whether nobody has the document any more: it was deleted by a
// request whose answer did not arrive, or to a function that died, or that neither
// table nor queue has served.
func (s *schedule) isLost(x *subject) bool {
	d := x.document
	return d != nil && d.gone && (!d.delivered || d.to.isDead() || x.givenUp)
}

// givenUp takes note of a log line that says so.
func (w *World) givenUp(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.schedule.subjects {
		if strings.Contains(line+" ", "document_id="+x.key+" ") {
			x.givenUp = true
		}
	}
}

// redrive moves the dead letters back. Now all goes well.
func (s *schedule) redrive() {
	attempts, rows := map[string]int{}, s.w.rows()
	for _, key := range s.deadLetters() {
		attempts[key] = rows[key].Attempts
	}
	for _, x := range s.subjects {
		if x.document != nil && x.document.poison {
			x.document.poison, x.want = false, store.Processed // the mistake is fixed
		}
	}
	s.w.story("%d dead letters are moved back", s.w.sqs.Redrive())
	s.quiet()
	s.checkRedriven(attempts)
}

// checkRedriven compares the rows with what they were, by their attempts, when they had
// dead letters.
func (s *schedule) checkRedriven(attempts map[string]int) {
	rows, dead := s.w.rows(), s.deadLetters()
	for _, x := range s.subjects {
		row := rows[x.key]
		before, wasDead := attempts[x.key]
		switch {
		case !wasDead:
		case s.isLost(x) && row.Status == store.Error && slices.Contains(dead, x.key):
		case row.Status != x.want:
			s.w.violate("after the redrive row %s is %s, not %s: %s", x.key, row.Status, x.want, row.Error)
		case row.Attempts < before:
			s.w.violate("after the redrive row %s has %d attempts, and had %d", x.key, row.Attempts, before)
		case row.Status == store.Processed:
			s.checkDocument(x, row)
		}
	}
}

// reconcile finds what was never accepted.
func (s *schedule) reconcile() {
	time.Sleep(2 * time.Hour) // older than the grace period
	result, ok := s.w.lambda.reconcile(fmt.Sprintf(`{"since": %q}`, s.w.start.Add(-time.Hour).UTC().Format(time.DateTime)))
	if !ok || result.Next != nil {
		s.w.violate("the reconciler has failed: %+v", result)
	}
	s.quiet()
	s.checkReconciled()
}

func (s *schedule) checkReconciled() {
	rows := s.w.rows()
	for _, x := range s.subjects {
		if d := x.document; d != nil && d.kind == standin.Documents && !x.forged && x.want == store.Processed && d.body != nil && !d.gone && rows[x.key].Status != store.Processed {
			s.w.violate("the reconciler has not found document %d: row %s %s", d.id, rows[x.key].Status, rows[x.key].Error)
		}
	}
}

// replay sends every webhook again, under each name. Those of stored documents must
// change nothing.
func (s *schedule) replay() {
	before, asked := s.w.rows(), s.w.asked()
	for number, d := range s.deliveries {
		if d.forged {
			continue
		}
		for _, name := range []string{event.DocumentCreated, event.DocumentFailed, event.BankStatementSetCreated, event.BankStatementSetFailed, event.Reconciled} {
			again := *d
			again.name = name
			if status := s.post(fmt.Sprint("again", number, name), &again); status != 200 {
				s.w.violate("a genuine webhook is answered %d", status)
			}
		}
	}
	s.quiet()
	s.checkReplayed(before, asked)
}

// asked returns how often each document was asked for.
func (w *World) asked() map[string]int {
	times := map[string]int{}
	for _, r := range w.veryfi.Requests() {
		times[(&stored{kind: r.Kind, id: r.ID}).path()]++
	}
	return times
}

// checkReplayed compares the rows, and how often documents were asked for, with what
// they were before the replay.
func (s *schedule) checkReplayed(before map[string]row, asked map[string]int) {
	after, askedNow := s.w.rows(), s.w.asked()
	for key, row := range after {
		_, known := before[key]
		if !known && (row.Status == store.Retrying || row.Status == store.Processed && !s.isExpected(key)) {
			s.w.violate("a replay has made row %s, which is %s", key, row.Status)
		}
	}
	for _, x := range s.subjects {
		row := before[x.key]
		isMissing := row.Status == store.Error && row.NotFound >= 5
		if row.Status != store.Processed && !isMissing || x.forged {
			continue
		}
		if x.pending(s) || x.document.gone {
			continue // a later notification asks for what is not there any more
		}
		if !after[x.key].UpdatedAt.Equal(row.UpdatedAt) {
			s.w.violate("a replay has changed row %s", x.key)
		}
		if path := x.document.path(); askedNow[path] != asked[path] {
			s.w.violate("a replay has made somebody ask Veryfi for document %d again", x.document.id)
		}
	}
}

// pending reports whether a later notification of the document was never accepted:
// then its replay is news.
func (x *subject) pending(s *schedule) bool {
	return slices.ContainsFunc(s.deliveries, func(d *delivery) bool { return !d.accepted && slices.Contains(d.subjects, x) })
}

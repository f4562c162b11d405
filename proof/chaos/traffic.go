package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/event"
)

// private is in every document, and in the credentials.
const private = "confidential"

// names are what caught calls are sent under, all that are known and some that are not.
var names = []string{"document.created", "document.failed", "bank_statement_set.created", "bank_statement_set.failed", "reconciled", "junk.created"}

// A subject is something that is announced, and the row that must result.
type subject struct {
	id         int64 // 0 when its data has none
	key, path  string
	status     string // that the row must have
	body       []byte // of the document that it must hold
	autoDelete bool
	forged     bool
	accepted   bool
}

// under returns the row that a call about the subject asks for under a name, and what
// status that row may get when it is not the subject's own.
func (x *subject) under(name, data string) (key, status string) {
	switch {
	case x.id != 0 && name == "document.created":
		return fmt.Sprint(x.id), "error"
	case x.id != 0 && name == "document.failed":
		return fmt.Sprint(x.id), "failed"
	case x.id != 0 && name == "bank_statement_set.created":
		return fmt.Sprint("bank_statement#", x.id), "error"
	default:
		return unsupportedKey(name, data), "unsupported"
	}
}

// unsupportedKey is the key of the row of an event that is not known.
func unsupportedKey(name, data string) string {
	return event.Message{Event: name, Data: event.Text(data)}.Key()
}

// A caught is a call that an attacker has recorded.
type caught struct {
	webhook webhook.Webhook
	about   []*subject
}

// traffic announces things to the webhook as Veryfi does.
type traffic struct {
	random *rand.Rand
	url    string
	veryfi *standin.Server
	sender *standin.Sender

	mu       sync.Mutex
	secret   string // that Veryfi signs with now
	nextID   int64
	subjects []*subject
	caught   []caught
	swapped  map[string][]string // rows that replays may have left, with what they may be
	sent     int
}

func (t *traffic) id() int64 {
	t.nextID++
	return t.nextID
}

// run announces from several senders until ctx ends.
func (t *traffic) run(ctx context.Context, senders int) {
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for ctx.Err() == nil {
				t.next(ctx)
			}
		})
	}
	group.Wait()
}

// next draws a webhook and delivers it.
func (t *traffic) next(ctx context.Context) {
	t.mu.Lock()
	call, about := t.draw()
	replay := len(t.caught) > 0 && t.random.IntN(6) == 0
	var again webhook.Webhook
	if replay {
		again = t.swap(t.caught[t.random.IntN(len(t.caught))], names[t.random.IntN(len(names))])
	}
	pause := time.Duration(t.random.IntN(300)) * time.Millisecond
	t.mu.Unlock()

	// A delivery that has begun is ended: whether it was accepted must be known.
	whole := context.WithoutCancel(ctx)
	answers := t.sender.Deliver(whole, t.url, call)
	t.mu.Lock()
	t.sent++
	for _, x := range about {
		x.accepted = x.accepted || answers[len(answers)-1].Accepted()
	}
	if !about[0].forged {
		t.caught = append(t.caught, caught{call, about})
	}
	t.mu.Unlock()
	if replay {
		t.sender.Post(whole, t.url, again)
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

// swap returns a caught call under a name, and notes the rows that it may leave.
func (t *traffic) swap(c caught, name string) webhook.Webhook {
	again := c.webhook
	again.Event = name
	for _, x := range c.about {
		if key, status := x.under(name, again.Data); !slices.Contains(t.swapped[key], status) {
			t.swapped[key] = append(t.swapped[key], status)
		}
	}
	return again
}

// draw makes up a webhook.
func (t *traffic) draw() (webhook.Webhook, []*subject) {
	created := time.Now().Add(time.Duration(t.random.IntN(100)-50) * time.Hour).UTC().Format(time.DateTime) // some clocks are wrong
	switch t.random.IntN(13) {
	case 0:
		return t.sign("document.created", created, 0, t.document("documents"), t.document("documents"), t.document("documents"))
	case 1:
		return t.sign("bank_statement_set.created", created, t.id(), t.document("bank-statements"), t.document("bank-statements"))
	case 2:
		return t.sign("document.failed", created, 0, t.subject("failed"))
	case 3:
		return t.sign("contract.created", created, 0, t.subject("unsupported"))
	case 4:
		x := t.document("documents")
		x.autoDelete = true
		t.veryfi.PutAutoDelete(standin.Documents, t.nextID, x.body)
		return t.sign("document.created", created, 0, x)
	case 5: // one that Veryfi does not have
		return t.sign("document.created", created, 0, t.subject("error"))
	case 6:
		x := t.document("documents")
		x.forged = true
		webhook, about := t.sign("document.created", created, 0, x)
		if t.random.IntN(2) == 0 {
			webhook.Signature = ""
		} else {
			webhook.Signature = "A" + webhook.Signature[1:]
			webhook.Data = strings.Replace(webhook.Data, "20", "19", 1)
		}
		return webhook, about
	case 7:
		return t.sign("bank_statement_set.failed", created, t.id(), t.add(&subject{status: "failed"}))
	default:
		return t.sign("document.created", created, 0, t.document("documents"))
	}
}

func (t *traffic) add(x *subject) *subject {
	t.subjects = append(t.subjects, x)
	return x
}

// subject makes up something that Veryfi has no document of.
func (t *traffic) subject(status string) *subject {
	id := t.id()
	return t.add(&subject{id: id, key: fmt.Sprint(id), status: status})
}

// document makes up a document that Veryfi has.
func (t *traffic) document(kind standin.Kind) *subject {
	id := t.id()
	var body []byte
	switch t.random.IntN(8) {
	case 0:
		body = standin.Large(id, 500<<10) // more than an item holds
	case 1, 2, 3:
		body = standin.Invoice(id)
	default:
		body = fmt.Appendf(nil, `{"id": %d, "status": "processed", "total": 12.10, "vendor": {"name": "%s %d"}}`, id, private, id)
	}
	t.veryfi.Put(kind, id, body)
	x := &subject{id: id, key: fmt.Sprint(id), path: fmt.Sprintf("/api/v8/partner/%s/%d/", kind, id), status: "processed", body: body}
	if kind == standin.BankStatements {
		x.key = fmt.Sprint("bank_statement#", id)
	}
	return t.add(x)
}

// sign makes a webhook about subjects, those of a set if there is a parent.
func (t *traffic) sign(name, created string, parent int64, about ...*subject) (webhook.Webhook, []*subject) {
	var ids []string
	for _, x := range about {
		if x.id != 0 {
			ids = append(ids, fmt.Sprint(x.id))
		}
	}
	list, set := "["+strings.Join(ids, ", ")+"]", ""
	switch {
	case parent != 0:
		set = fmt.Sprintf(`"parent_id": %d, `, parent)
	case len(ids) == 1:
		list = ids[0]
	}
	data := fmt.Sprintf(`{%s"id": %s, "created": %q}`, set, list, created)
	switch {
	case about[0].status == "unsupported":
		about[0].key = unsupportedKey(name, data)
	case about[0].id == 0:
		about[0].key = fmt.Sprint("bank_statement_set#", parent)
	}
	webhook, err := webhook.Sign(name, data, t.secret)
	if err != nil {
		panic(err) // our own data
	}
	return webhook, about
}

package demo

import (
	"fmt"
	"net/http"
	"time"

	"veryfi-intake/local/stack"
	"veryfi-intake/local/standin"
)

// Ids of the demo, like the nine digits of Veryfi's.
const (
	receiptID    = 300_000_001
	failedID     = 300_000_002
	firstPageID  = 300_000_011
	secondPageID = 300_000_012
	thirdPageID  = 300_000_013
	setID        = 42_000
	firstChild   = 690_001
	secondChild  = 690_002
	failedSetID  = 42_001
	forgedID     = 300_000_020
	largeID      = 300_000_030
	busyID       = 300_000_040
	invoiceID    = 300_000_050
	neverCameID  = 300_000_060
)

// largeSize does not fit a DynamoDB item (400 KB).
const largeSize = 500 << 10

// A step is one webhook that is delivered, and what must come of it.
type step struct {
	// name says what is special about the webhook.
	name    string
	webhook standin.Webhook
	status  int
	rows    []expectation
}

// An expectation is a row that must be there at the end. A zero field is not
// looked at.
type expectation struct {
	// id of the row; one that ends in # is the beginning of an id.
	id     string
	status string
	// error must contain this text.
	error    string
	attempts int
	form     string
	// numbers are values in the document that must be exact, by path.
	numbers map[string]string
}

func processed(id int64) expectation {
	return expectation{id: fmt.Sprint(id), status: "processed", form: native}
}

func statement(id int64) expectation {
	return expectation{id: fmt.Sprintf("bank_statement#%d", id), status: "processed", form: native}
}

// neverCame is a document that Veryfi has, and no webhook announces. Those of the
// others are too young to be missed.
var neverCame = step{name: "never came", rows: []expectation{processed(neverCameID)}}

// prepare tells the stand-in for Veryfi which documents it has, and which of
// them are hard to get.
func prepare(veryfi *standin.Server) {
	for _, id := range []int64{receiptID, firstPageID, secondPageID, thirdPageID, busyID} {
		veryfi.Put(standin.Documents, id, standin.Receipt(id))
	}
	veryfi.Put(standin.Documents, invoiceID, standin.Invoice(invoiceID))
	veryfi.Put(standin.Documents, largeID, standin.Large(largeID, largeSize))
	veryfi.Put(standin.BankStatements, firstChild, standin.BankStatement(firstChild))
	veryfi.Put(standin.BankStatements, secondChild, standin.BankStatement(secondChild))
	veryfi.PutCreated(neverCameID, time.Now().Add(-2*time.Hour), standin.Receipt(neverCameID))
	busy := standin.RetryAfter(http.StatusTooManyRequests, 1)
	veryfi.Then(busyID, busy, busy)
}

// webhooks returns the first part of the demo: every kind of webhook.
func webhooks(clientSecret string) ([]step, error) {
	const created = `"created": "2026-02-03 09:15:27"`
	exact := processed(invoiceID)
	exact.numbers = map[string]string{
		"total":                       "77.29",
		"line_items/1/price":          "12.10",
		"custom_fields/ledger_entry":  "9223372036854775807",
		"custom_fields/serial_number": "12345678901234567890123456789012345678",
		"custom_fields/share":         "0.12345678901234567890123456789012345678",
	}
	steps := []step{
		{"a receipt", standin.Webhook{Event: "document.created", Data: fmt.Sprintf(`{"id": %d, %s}`, receiptID, created)}, http.StatusOK,
			[]expectation{processed(receiptID)}},
		{"not readable for Veryfi", standin.Webhook{Event: "document.failed", Data: fmt.Sprintf(`{"id": %d, %s, "error": "Couldn't download file from provided url."}`, failedID, created)}, http.StatusOK,
			[]expectation{{id: fmt.Sprint(failedID), status: "failed", error: "Couldn't download file"}}},
		{"a PDF split in three", standin.Webhook{Event: "document.created", Data: fmt.Sprintf(`{"id": [%d, %d, %d], %s}`, firstPageID, secondPageID, thirdPageID, created)}, http.StatusOK,
			[]expectation{processed(firstPageID), processed(secondPageID), processed(thirdPageID)}},
		{"bank statements", standin.Webhook{Event: "bank_statement_set.created", Data: fmt.Sprintf(`{"parent_id": %d, "id": [%d, %d], %s}`, setID, firstChild, secondChild, created)}, http.StatusOK,
			[]expectation{statement(firstChild), statement(secondChild)}},
		{"a set that failed", standin.Webhook{Event: "bank_statement_set.failed", Data: fmt.Sprintf(`{"parent_id": %d, "id": [], %s}`, failedSetID, created)}, http.StatusOK,
			[]expectation{{id: fmt.Sprintf("bank_statement_set#%d", failedSetID), status: "failed"}}},
		{"a URL to confirm", standin.Webhook{Event: "subscription", Data: fmt.Sprintf(`{"secret": "awdca8efdemo", %s}`, created)}, http.StatusOK, nil},
		{"an event not known", standin.Webhook{Event: "check.created", Data: fmt.Sprintf(`{"id": 7, "note": "naïve", %s}`, created)}, http.StatusOK,
			[]expectation{{id: "unsupported#", status: "unsupported"}}},
		{"over 400 KB", standin.Webhook{Event: "document.created", Data: fmt.Sprintf(`{"id": %d, %s}`, largeID, created)}, http.StatusOK,
			[]expectation{{id: fmt.Sprint(largeID), status: "processed", form: gzipped}}},
		{"Veryfi busy twice", standin.Webhook{Event: "document.created", Data: fmt.Sprintf(`{"id": %d, %s}`, busyID, created)}, http.StatusOK,
			[]expectation{{id: fmt.Sprint(busyID), status: "processed", form: native, attempts: 3}}},
		{"exact numbers", standin.Webhook{Event: "document.created", Data: fmt.Sprintf(`{"id": %d, %s}`, invoiceID, created)}, http.StatusOK,
			[]expectation{exact}},
		{"forged", standin.Webhook{Event: "document.created", Data: fmt.Sprintf(`{"id": %d, %s}`, forgedID, created)}, http.StatusUnauthorized, nil},
	}
	for i := range steps {
		secret := clientSecret
		if steps[i].name == "forged" {
			secret = "guessed"
		}
		signed, err := standin.Sign(steps[i].webhook.Event, steps[i].webhook.Data, secret)
		if err != nil {
			return nil, err
		}
		steps[i].webhook = signed
	}
	return steps, nil
}

// replays returns the second part: requests that somebody has caught and sends
// again, once they are through.
func replays(first step) []step {
	changed := first.webhook
	changed.Event = "document.failed"
	return []step{
		{"replayed", first.webhook, http.StatusOK, nil},
		{"replayed as failed", changed, http.StatusOK, nil},
	}
}

// problemsOf compares a row with what is expected of it.
func (e expectation) problemsOf(row stack.Row) (problems []string) {
	check := func(what, got, want string) {
		if want != "" && got != want {
			problems = append(problems, fmt.Sprintf("row %s: %s is %q, not %q", row.ID, what, got, want))
		}
	}
	check("status", row.Status, e.status)
	check("form", formOf(row.Item), e.form)
	if e.attempts != 0 && row.Attempts != e.attempts {
		problems = append(problems, fmt.Sprintf("row %s: %d attempts, not %d", row.ID, row.Attempts, e.attempts))
	}
	check("error", containing(row.Error, e.error), e.error)
	for path, want := range e.numbers {
		if got := number(row.Item, path); !isNumber(got, want) {
			problems = append(problems, fmt.Sprintf("row %s: %s is %q, not %s", row.ID, path, got, want))
		}
	}
	return problems
}

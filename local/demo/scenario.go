package demo

import (
	"fmt"
	"net/http"
	"time"

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
	name, event, data string
	status            int
	rows              []expectation
	secret            string // that signs the webhook; "" is the stack's
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
	// document is what Veryfi serves; the row must have it to the digit.
	document []byte
}

func stored(id string, document []byte) expectation {
	return expectation{id: id, status: "processed", form: native, document: document}
}

func receipt(id int64) expectation { return stored(fmt.Sprint(id), standin.Receipt(id)) }

func statement(id int64) expectation {
	return stored(fmt.Sprintf("bank_statement#%d", id), standin.BankStatement(id))
}

// neverCame is a document that Veryfi has, and no webhook announces. Those of the
// others are too young to be missed.
var neverCame = step{name: "never came", rows: []expectation{receipt(neverCameID)}}

// prepare gives the stand-in for Veryfi its documents, and says which of
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
func webhooks() []step {
	data := func(members string, values ...any) string {
		return fmt.Sprintf("{"+members+`, "created": "2026-02-03 09:15:27"}`, values...)
	}
	failed := expectation{id: fmt.Sprint(failedID), status: "failed", error: "Couldn't download file"}
	large, busy := stored(fmt.Sprint(largeID), standin.Large(largeID, largeSize)), receipt(busyID)
	large.form, busy.attempts = gzipped, 3
	return []step{
		{"a receipt", "document.created", data(`"id": %d`, receiptID), http.StatusOK, []expectation{receipt(receiptID)}, ""},
		{"not readable for Veryfi", "document.failed", data(`"id": %d, "error": "Couldn't download file from provided url."`, failedID), http.StatusOK,
			[]expectation{failed}, ""},
		{"a PDF split in three", "document.created", data(`"id": [%d, %d, %d]`, firstPageID, secondPageID, thirdPageID), http.StatusOK,
			[]expectation{receipt(firstPageID), receipt(secondPageID), receipt(thirdPageID)}, ""},
		{"bank statements", "bank_statement_set.created", data(`"parent_id": %d, "id": [%d, %d]`, setID, firstChild, secondChild), http.StatusOK,
			[]expectation{statement(firstChild), statement(secondChild)}, ""},
		{"a set that failed", "bank_statement_set.failed", data(`"parent_id": %d, "id": []`, failedSetID), http.StatusOK,
			[]expectation{{id: fmt.Sprintf("bank_statement_set#%d", failedSetID), status: "failed"}}, ""},
		{"a URL to confirm", "subscription", data(`"secret": "awdca8efdemo"`), http.StatusOK, nil, ""},
		{"an event not known", "passport.created", data(`"id": 7, "note": "naïve"`), http.StatusOK,
			[]expectation{{id: "unsupported#", status: "unsupported"}}, ""},
		{"over 400 KB", "document.created", data(`"id": %d`, largeID), http.StatusOK, []expectation{large}, ""},
		{"Veryfi busy twice", "document.created", data(`"id": %d`, busyID), http.StatusOK, []expectation{busy}, ""},
		{"exact numbers", "document.created", data(`"id": %d`, invoiceID), http.StatusOK, []expectation{stored(fmt.Sprint(invoiceID), standin.Invoice(invoiceID))}, ""},
		{"forged", "document.created", data(`"id": %d`, forgedID), http.StatusUnauthorized, nil, "guessed"},
	}
}

// replays returns the second part: requests that somebody has caught and sends
// again, once they are through. The name of an event is not signed.
func replays(first step) []step {
	return []step{
		{"replayed", first.event, first.data, http.StatusOK, nil, ""},
		{"replayed as failed", "document.failed", first.data, http.StatusOK, nil, ""},
	}
}

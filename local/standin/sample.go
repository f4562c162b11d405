package standin

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// The samples are written by hand: invented shops, people and accounts. Each
// begins with its id, 0, which is replaced.
//
//go:embed documents/*.json
var samples embed.FS

// leadingID finds the id of a sample.
var leadingID = regexp.MustCompile(`^(\{"id":)0`)

// Receipt returns a receipt in a language with accents.
func Receipt(id int64) []byte { return load("receipt", id) }

// Invoice returns an invoice whose numbers no float64 can hold: 12.10, an
// integer of 19 digits and decimals of 38.
func Invoice(id int64) []byte { return load("invoice", id) }

// BankStatement returns a bank statement. Its external_id is in its meta, as that of a
// check.
func BankStatement(id int64) []byte { return load("bank_statement", id) }

// Check returns a check. As all that follow, it has no status.
func Check(id int64) []byte { return load("check", id) }

// W2 returns a W-2.
func W2(id int64) []byte { return load("w2", id) }

// AnyDocument returns a delivery note in the form that a blueprint gives it, with
// {value, score} in place of most scalars.
func AnyDocument(id int64) []byte { return load("any_document", id) }

// Large returns a receipt of at least size bytes, most of it line items.
func Large(id int64, size int) []byte {
	base := Receipt(id)
	var items strings.Builder
	for n := 1; items.Len() < size; n++ {
		fmt.Fprintf(&items, `{"order":%d,"id":%d,"description":"Artículo %d de la lista larga","quantity":%d,"price":%d.10,"total":%d.%02d,"sku":"%08X","tags":[]},`,
			n, 9_000_000+n, n, n%7+1, n%90+1, n%630+1, n%100, uint32(n)*2654435761)
	}
	return bytes.Replace(base, []byte(`"line_items":[`), []byte(`"line_items":[`+items.String()), 1)
}

// sampleOf names the samples of kinds that have one of their own.
var sampleOf = map[Kind]string{Documents: "receipt", BankStatements: "bank_statement", Checks: "check", W2s: "w2"}

// sample returns a document for an id that nobody put there.
func sample(kind Kind, id int64) []byte {
	if kind == Documents && id%2 == 0 {
		return Invoice(id)
	}
	return load(cmp.Or(sampleOf[kind], "any_document"), id)
}

// load returns a sample under an id, compact as Veryfi sends it. Compacting
// keeps every digit.
func load(name string, id int64) []byte {
	text, err := samples.ReadFile("documents/" + name + ".json")
	if err != nil {
		panic(err) // embedded
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		panic(fmt.Errorf("sample %s: %w", name, err))
	}
	return leadingID.ReplaceAll(compact.Bytes(), fmt.Appendf(nil, `${1}%d`, id))
}

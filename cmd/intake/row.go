package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/shared/store"
)

type getCommand struct {
	ID       string `arg:"" help:"The document's id, the row's key, or the external_id it was submitted with."`
	Document bool   `help:"Print the document only, as JSON."`
}

// Help is shown by --help.
func (getCommand) Help() string {
	return `Looks for a row of that key; then for a bank statement and a failed set of that number; then asks Veryfi which documents have that external_id. Numbers are printed to the digit.`
}

// Run prints a row, or those of all documents with the external id.
func (c getCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	rows, err := c.find(a, d)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := c.print(a, row); err != nil {
			return err
		}
	}
	return nil
}

func (c getCommand) find(a *app, d *deployment) ([]item, error) {
	for _, key := range []string{c.ID, "bank_statement#" + c.ID, "bank_statement_set#" + c.ID} {
		row, err := d.row(a, key)
		if row != nil || err != nil {
			return []item{row}, err
		}
	}
	credentials, client, err := d.filled(a)
	if err != nil {
		return nil, fmt.Errorf("there is no row %s; to look for an external_id, %w", c.ID, err)
	}
	ids, err := client.FindByExternalID(a, credentials, c.ID)
	if err != nil {
		return nil, fmt.Errorf("there is no row %s, and Veryfi could not be asked for an external_id: %w", c.ID, err)
	}
	var rows []item
	for _, id := range ids {
		row, err := d.row(a, strconv.FormatInt(id, 10))
		if err != nil {
			return nil, err
		}
		if row != nil {
			rows = append(rows, row)
		}
	}
	switch {
	case rows != nil:
		return rows, nil
	case ids != nil:
		return nil, fmt.Errorf("Veryfi has %s as %d, and there is no row of it yet: `intake reconcile %d` fetches it", c.ID, ids, ids[0])
	default:
		return nil, fmt.Errorf("there is no row %s, and Veryfi knows no document with that external_id (one that it has deleted it does not name)", c.ID)
	}
}

func (c getCommand) print(a *app, row item) error {
	document, err := row.document()
	switch {
	case err != nil:
		return err
	case c.Document && document == nil:
		return fmt.Errorf("the row has no document: its status is %s", row["status"])
	case c.Document:
		_, err := fmt.Fprintf(a.out, "%s\n", document)
		return err
	}
	plain := row.plain()
	if a.JSON {
		if document != nil {
			delete(plain, "document_gzip")
			plain["document"] = document
		}
		return a.printJSON(plain)
	}
	for _, name := range []string{
		"id", "status", "error", "external_id", "document_type", "parent_id", "event", "created", "received_at", "retrieved_at", "updated_at", "expires_at",
		"attempts", "request_id", "data",
	} {
		switch value, has := plain[name]; {
		case has && name == "expires_at":
			seconds, _ := strconv.ParseInt(fmt.Sprint(value), 10, 64) // written by the processor
			a.console.Field(name, time.Unix(seconds, 0).UTC().Format(time.RFC3339))
		case has:
			a.console.Field(name, fmt.Sprint(value))
		}
	}
	if document != nil {
		a.console.Field("document", fmt.Sprintf("%d bytes of JSON, printed by --document", len(document)))
	}
	return nil
}

// An item is a row as DynamoDB has it.
type item map[string]types.AttributeValue

// row returns the row of a key, or nil.
func (d *deployment) row(a *app, key string) (item, error) {
	out, err := dynamodb.NewFromConfig(d.aws).GetItem(a, &dynamodb.GetItemInput{
		TableName: aws.String(d.outputs[tableName]), Key: item{"id": &types.AttributeValueMemberS{Value: key}}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// plain returns the row without the document, for JSON. Numbers keep their digits.
func (i item) plain() map[string]any {
	plain := map[string]any{}
	for name, value := range i {
		if name != "document" {
			plain[name] = plainValue(value)
		}
	}
	return plain
}

func (i item) status() store.Status {
	status, _ := i["status"].(*types.AttributeValueMemberS)
	if status == nil {
		return ""
	}
	return store.Status(status.Value)
}

// document returns the document, or nil when there is none. What was stored gzipped is
// to the byte as Veryfi sent it; else the members are sorted by name.
func (i item) document() (json.RawMessage, error) {
	if zipped, ok := i["document_gzip"].(*types.AttributeValueMemberB); ok {
		reader, err := gzip.NewReader(bytes.NewReader(zipped.Value))
		if err != nil {
			return nil, fmt.Errorf("the row's document_gzip cannot be read: %w", err)
		}
		return io.ReadAll(reader)
	}
	if i["document"] == nil {
		return nil, nil //nolint:nilnil // most rows that need attention have none
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(plainValue(i["document"]))
	return bytes.TrimSpace(out.Bytes()), err
}

func plainValue(value types.AttributeValue) any {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return json.Number(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberB:
		return v.Value
	case *types.AttributeValueMemberL:
		list := make([]any, len(v.Value))
		for i, one := range v.Value {
			list[i] = plainValue(one)
		}
		return list
	case *types.AttributeValueMemberM:
		members := make(map[string]any, len(v.Value))
		for name, one := range v.Value {
			members[name] = plainValue(one)
		}
		return members
	default: // null; a row has no sets
		return nil
	}
}

type problemsCommand struct {
	Status string `enum:"failed,retrying,error,unsupported," default:"" help:"Only rows of this status: failed, retrying, error or unsupported."`
	Class  string `placeholder:"CLASS" help:"Only rows whose error begins with this class, such as 'not found'."`
	Limit  int    `default:"50" help:"How many rows of each status to look at, at most (${default})."`
}

// Help is shown by --help.
func (problemsCommand) Help() string {
	return `failed: Veryfi could not process the document. retrying: will be tried again by itself. error: given up, with a copy among the dead letters ('intake redrive'). unsupported: an event that this version does not know.`
}

// A problem is a row that needs attention.
type problem struct {
	ID        string       `json:"id"`
	Status    store.Status `json:"status"`
	Class     string       `json:"class"`
	Error     string       `json:"error"`
	Attempts  int          `json:"attempts"`
	UpdatedAt time.Time    `json:"updated_at"`
	RequestID string       `json:"request_id"`
}

// Run lists problems.
func (c problemsCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	if c.Limit < 1 {
		return errors.New("--limit must be 1 or more")
	}
	statuses := []store.Status{store.Error, store.Retrying, store.Failed, store.Unsupported}
	if c.Status != "" {
		statuses = []store.Status{store.Status(c.Status)}
	}
	found := []problem{}
	for _, status := range statuses {
		rows, err := store.NewReader(dynamodb.NewFromConfig(d.aws), d.outputs[tableName]).Problems(a, status, c.Limit)
		if err != nil {
			return err
		}
		for _, row := range rows {
			class := classOf(row.Status, row.Error)
			if c.Class == "" || c.Class == class {
				found = append(found, problem{row.ID, row.Status, class, row.Error, row.Attempts, row.UpdatedAt, row.RequestID})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b problem) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	if a.JSON {
		return a.printJSON(found)
	}
	if len(found) == 0 {
		a.console.Good("no row needs attention")
		return nil
	}
	byClass := map[string]int{}
	var rows [][]string
	for _, p := range found {
		byClass[string(p.Status)+" "+p.Class]++
		rows = append(rows, []string{string(p.Status), p.ID, p.UpdatedAt.Format(time.DateTime), strconv.Itoa(p.Attempts), shorten(p.Error, 100)})
	}
	var classes [][]string
	for _, class := range slices.SortedFunc(maps.Keys(byClass), func(a, b string) int { return byClass[b] - byClass[a] }) {
		status, name, _ := strings.Cut(class, " ")
		classes = append(classes, []string{status, name, strconv.Itoa(byClass[class])})
	}
	a.console.Table("By class", []string{"status", "class", "rows"}, classes)
	a.console.Table("Newest first", []string{"status", "id", "updated (UTC)", "tries", "why"}, rows)
	return nil
}

// classOf returns the class that a row's error begins with. What Veryfi says of a
// document that has failed has none.
func classOf(status store.Status, text string) string {
	if status == store.Error || status == store.Retrying {
		if class, _, ok := strings.Cut(text, ": "); ok {
			return class
		}
	}
	return ""
}

func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

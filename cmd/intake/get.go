package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

type getCommand struct {
	ID       string `arg:"" help:"The document's id, the row's key, or the external_id it was submitted with."`
	Document bool   `help:"Print the document only, as JSON."`
}

// Help is shown by --help.
func (getCommand) Help() string {
	return `Looks for a row of that key; then for a bank statement and a failed set of that number; then asks Veryfi which documents have that external_id. Numbers are printed to the digit; NaN and Infinity, which JSON does not have, as strings. With --json it is an object, or an array of them where several documents have the external_id; with --document one line for each.`
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
	if a.JSON && !c.Document && len(rows) > 1 {
		var all []map[string]any
		for _, row := range rows {
			plain, err := row.whole()
			if err != nil {
				return err
			}
			all = append(all, plain)
		}
		return a.printJSON(all)
	}
	for i, row := range rows {
		if i > 0 && !c.Document {
			a.say("")
		}
		if err := c.print(a, row); err != nil {
			return err
		}
	}
	return nil
}

// Validate knows the limit of DynamoDB.
func (c getCommand) Validate() error {
	const most = 2000 // bytes of a key, with what is tried in front of the id
	if c.ID == "" || len(c.ID) > most {
		return errors.New("an id has 1 to 2000 characters")
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
	client, err := d.filled(a)
	if err != nil {
		return nil, fmt.Errorf("there is no row %s; to look for an external_id, %w", c.ID, err)
	}
	ids, err := client.FindByExternalID(a, c.ID)
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
	}
	if _, err := strconv.ParseInt(c.ID, 10, 64); err == nil {
		return nil, fmt.Errorf("there is no row %s: if that is a document's id, `intake reconcile %s` fetches it. Veryfi knows no document with that external_id", c.ID, c.ID)
	}
	return nil, fmt.Errorf("there is no row %s, and Veryfi knows no document with that external_id (one that it has deleted it does not name)", c.ID)
}

func (c getCommand) print(a *app, row item) error {
	document, err := row.document()
	switch {
	case err != nil:
		return err
	case c.Document && document == nil:
		return fmt.Errorf("the row has no document: its status is %s", row.status())
	case c.Document:
		return a.result.JSON(document, false)
	}
	if a.JSON {
		whole, err := row.whole()
		if err != nil {
			return err
		}
		return a.printJSON(whole)
	}
	plain := row.plain()
	for _, name := range []string{
		"id", "status", "error", "external_id", "document_type", "parent_id", "event", "created", "received_at", "retrieved_at", "updated_at", "expires_at",
		"attempts", "request_id", "data",
	} {
		switch value, has := plain[name]; {
		case has && name == "expires_at":
			seconds, _ := strconv.ParseInt(fmt.Sprint(value), 10, 64) // written by the processor
			a.result.Field(name, time.Unix(seconds, 0).UTC().Format(time.RFC3339))
		case has:
			a.result.Field(name, fmt.Sprint(value))
		}
	}
	if document != nil {
		a.result.Field("document", fmt.Sprintf("%d bytes of JSON, printed by --document", len(document)))
	}
	return nil
}

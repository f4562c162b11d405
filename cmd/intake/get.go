package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"veryfi-intake/deployment"
)

type getCommand struct {
	ID       string `arg:"" help:"The document's id, the row's key, or the external_id it was submitted with."`
	Document bool   `help:"Print the document only, as JSON."`
}

func (getCommand) Help() string {
	return `Looks for a row with that key; then for the rows of other kinds and of failed sets with that number, such as check#5 for 5; then asks Veryfi which documents, of each kind, have that external_id. Numbers are printed to the digit; NaN and Infinity, which JSON does not have, as strings. With --json it is an object, or an array of them where several documents have the number or the external_id; with --document one line for each.`
}

// Validate knows the limit of DynamoDB.
func (c getCommand) Validate() error {
	const most = 2000 // DynamoDB takes keys of 2048 bytes
	if c.ID == "" || len(c.ID) > most {
		return errors.New("an id has 1 to 2000 characters")
	}
	return nil
}

// Run prints a row, or several where more documents have the number or the external_id.
func (c getCommand) Run(a *app, s *deployment.Stack) error {
	rows, err := s.Rows(a, c.ID)
	if err != nil {
		return err
	}
	var all []map[string]any
	for i, row := range rows {
		whole, err := row.Whole()
		if err != nil {
			return err
		}
		document, has := whole["document"].(json.RawMessage)
		switch {
		case c.Document && !has:
			return fmt.Errorf("the row has no document: its status is %s", row.Status())
		case c.Document:
			if err := a.result.JSON(document, false); err != nil {
				return err
			}
		case a.JSON:
			all = append(all, whole)
		default:
			if i > 0 {
				a.say("")
			}
			printRow(a, whole, document)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return a.printJSON(all[0])
	default:
		return a.printJSON(all)
	}
}

func printRow(a *app, row map[string]any, document json.RawMessage) {
	for _, name := range []string{
		"id", "status", "error", "external_id", "document_type", "vendor", "date", "total", "currency_code", "is_duplicate",
		"parent_id", "event", "created", "received_at", "retrieved_at", "updated_at", "expires_at", "attempts", "request_id", "data",
	} {
		switch value, has := row[name]; {
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
}

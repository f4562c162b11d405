package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"veryfi-intake/deployment"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
	"veryfi-intake/shared/veryfi"
)

type submitCommand struct {
	Files      []string      `arg:"" name:"file" help:"Files of 250 bytes to 20 MB, or addresses that begin with https://."`
	Kind       string        `default:"document" help:"What they are (${default}, for receipts and invoices): ${kinds}, or a kind of the stack's MoreKinds."`
	Blueprint  string        `placeholder:"NAME" help:"What Veryfi extracts from an any-document: the name of a blueprint."`
	MaxPages   int           `placeholder:"N" help:"How many pages of a file Veryfi takes from your account, if it has raised the limit."`
	ExternalID string        `placeholder:"ID" help:"The external_id of the document, to find it by; of several, with -1, -2, … behind it."`
	Tag        []string      `placeholder:"TAG" help:"Tags of the documents."`
	AutoDelete bool          `help:"Have Veryfi delete the documents after they were retrieved."`
	Wait       bool          `help:"Wait until each document has a row that is final; the exit status is 1 unless all are processed."`
	Timeout    time.Duration `default:"10m" help:"How long to wait (${default})."`
}

func (submitCommand) Help() string {
	var limits []string
	for _, kind := range (event.Kinds{}).All() {
		if most := veryfi.Resource(kind.Resource).MaxPages(); most > 0 {
			limits = append(limits, fmt.Sprintf("%s %d", nameOf(kind), most))
		}
	}
	return fmt.Sprintf(`Checks all files before it sends the first: their sizes, and the pages of a PDF (%s; of other kinds no limit is known). A PDF whose pages cannot be counted is sent: Veryfi says whether it can read it.`, strings.Join(limits, ", "))
}

// A submitted is what has become of a file.
type submitted struct {
	File       string       `json:"file"`
	ID         int64        `json:"id"`
	ExternalID string       `json:"external_id,omitempty"`
	Key        string       `json:"key"` // of its row
	Status     store.Status `json:"status,omitempty"`
	Error      string       `json:"error,omitempty"`
}

// Run submits files, one after the other. It looks at all of them before it looks for
// the stack.
func (c submitCommand) Run(a *app) error {
	submissions := make([]veryfi.Submission, len(c.Files))
	for i, file := range c.Files {
		var err error
		if submissions[i], err = c.submission(i, file); err != nil {
			return err
		}
	}
	stack, err := a.stack()
	if err != nil {
		return err
	}
	kind, err := c.kind(stack)
	if err != nil {
		return err
	}
	client, err := stack.VeryfiClient(a)
	if err != nil {
		return err
	}
	show, end := a.progress("submitting")
	var done []*submitted
	for i, s := range submissions {
		if s.FileURL == "" {
			if s.FileData, err = os.ReadFile(c.Files[i]); err != nil {
				break
			}
		}
		var id int64
		if id, err = client.Submit(a, veryfi.Resource(kind.Resource), s); err != nil {
			err = unsubmitted(c.Files[i], err)
			break
		}
		done = append(done, &submitted{File: c.Files[i], ID: id, Key: kind.Key(id), ExternalID: s.ExternalID})
		show(len(done), len(c.Files))
	}
	end()
	if c.Wait && len(done) > 0 && a.Err() == nil {
		waited := c.wait(a, stack, done)
		if err != nil && waited != nil {
			waited = fmt.Errorf("%w; and %w", err, waited)
		}
		err = cmp.Or(waited, err)
	}
	if err := cmp.Or(c.print(a, done), err); err != nil {
		return err
	}
	if c.Wait && slices.ContainsFunc(done, func(s *submitted) bool { return s.Status != store.Processed }) {
		return errUnwell
	}
	return nil
}

// unsubmitted says what is known of a file when Veryfi has not said that it took it.
// Nothing is sent a second time: Veryfi may have it, and charges for each.
func unsubmitted(file string, err error) error {
	if answer, ok := errors.AsType[*veryfi.Error](err); ok && answer.Status >= 400 && answer.Status < 500 {
		return fmt.Errorf("%s was refused, and what follows it was not sent: %w", file, err)
	}
	return fmt.Errorf("%s may have been submitted, and what follows it was not sent: %v. Look for it by its external_id (`intake get EXTERNAL_ID`) or in Veryfi's portal before you send it again", file, err) //nolint:errorlint // also when the command was stopped
}

// nameOf returns the name of a kind for people: its resource, without the s.
func nameOf(kind event.Kind) string { return strings.TrimSuffix(kind.Resource, "s") }

func namesOf(kinds event.Kinds) string {
	var names []string
	for _, kind := range kinds.All() {
		names = append(names, nameOf(kind))
	}
	return strings.Join(names, ", ")
}

func kindNamed(name string, kinds event.Kinds) (kind event.Kind, ok bool) {
	for _, kind := range kinds.All() {
		if nameOf(kind) == name {
			return kind, true
		}
	}
	return event.Kind{}, false
}

// kind returns the kind that the files are.
func (c submitCommand) kind(stack *deployment.Stack) (event.Kind, error) {
	kinds, err := stack.Kinds()
	if err != nil {
		return event.Kind{}, err
	}
	kind, ok := kindNamed(c.Kind, kinds)
	if !ok {
		return kind, fmt.Errorf("%s is not a kind of document: this stack knows %s", c.Kind, namesOf(kinds))
	}
	needsBlueprint := kind.Resource == string(veryfi.AnyDocuments)
	switch {
	case needsBlueprint && c.Blueprint == "":
		err = fmt.Errorf("%s needs --blueprint NAME: Veryfi's portal lists them in Any Docs > Blueprints", c.Kind)
	case !needsBlueprint && c.Blueprint != "":
		err = fmt.Errorf("%s has no blueprints: leave out --blueprint", c.Kind)
	}
	return kind, err
}

// submission checks a file before it is sent.
func (c submitCommand) submission(i int, file string) (veryfi.Submission, error) {
	s := veryfi.Submission{Tags: c.Tag, AutoDelete: c.AutoDelete, ExternalID: c.ExternalID, Blueprint: c.Blueprint}
	if c.ExternalID != "" && len(c.Files) > 1 {
		s.ExternalID += "-" + strconv.Itoa(i+1)
	}
	if strings.HasPrefix(file, "https://") || strings.HasPrefix(file, "http://") {
		if address, err := url.Parse(file); err != nil || address.Host == "" {
			return s, fmt.Errorf("%s is not an address", file)
		}
		s.FileURL = file
		return s, nil
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return s, fmt.Errorf("cannot read %s: %w", file, err)
	case !info.Mode().IsRegular():
		return s, fmt.Errorf("%s is not a file", file)
	case info.Size() < veryfi.MinFile || info.Size() > veryfi.MaxFile:
		return s, fmt.Errorf("%s has %d bytes: Veryfi takes files of %d bytes to 20 MB", file, info.Size(), veryfi.MinFile)
	}
	s.FileName = filepath.Base(file)
	kind, _ := kindNamed(c.Kind, event.Kinds{}) // of others no limit is known
	return s, checkPages(file, cmp.Or(c.MaxPages, veryfi.Resource(kind.Resource).MaxPages()))
}

// wait looks at the rows until all are final.
func (c submitCommand) wait(a *app, stack *deployment.Stack, all []*submitted) error {
	show, end := a.progress("waiting for rows")
	defer end()
	for timeout := time.Now().Add(c.Timeout); ; {
		left := 0
		for _, s := range all {
			if isFinal(s.Status) {
				continue
			}
			row, err := stack.Row(a, s.Key)
			if err != nil {
				return err
			}
			s.Status, s.Error = row.Status(), row.Text("error")
			if !isFinal(s.Status) {
				left++
			}
		}
		show(len(all)-left, len(all))
		switch {
		case left == 0:
			return nil
		case time.Now().After(timeout):
			return fmt.Errorf("after %v %s without a final row: `intake tail` shows whether webhooks have come", c.Timeout, deployment.Documents(left))
		case !deployment.Wait(a, time.Second):
			return a.Err()
		}
	}
}

// isFinal reports whether a row stays as it is by itself.
func isFinal(status store.Status) bool { return status != "" && status != store.Retrying }

func (submitCommand) print(a *app, documents []*submitted) error {
	if a.JSON {
		if documents == nil {
			documents = []*submitted{}
		}
		return a.printJSON(documents)
	}
	for _, s := range documents {
		line := fmt.Sprintf("%s  %s", s.Key, s.File)
		if s.ExternalID != "" {
			line += "  external_id " + s.ExternalID
		}
		if s.Status != "" {
			line += "  " + string(s.Status)
		}
		if s.Error != "" {
			line += ": " + s.Error
		}
		a.say("%s", line)
	}
	return nil
}

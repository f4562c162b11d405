package veryfi

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/jsonscan"
)

const (
	// PageSize is the number of documents on a page of a list (Veryfi's limit).
	PageSize = 50
	// maxPage is the largest page that is read, in bytes. Fifty documents with all
	// details are about 30 MB.
	maxPage = 64 << 20
)

// A Listed is what a list says of a document.
type Listed struct {
	ID      int64
	Created string // as received
	Status  string // "" for most kinds
}

// A Page is one page of a list.
type Page struct {
	Documents []Listed
	// Unusable is how many entries have no usable id.
	Unusable int
	// IsLast is true when Veryfi says that no page follows, or this one is empty.
	IsLast bool
}

// List returns one page of the documents of a kind that Veryfi created from since to before
// until, both to the second; the first page is 1. [Documents] come in the order of their
// creation, other kinds in an order that is not documented: the latest came first where
// answers were recorded. Answers and errors are those of [Client.Get].
//
// Veryfi writes times without a zone; they are taken as UTC.
func (c *Client) List(ctx context.Context, resource Resource, since, until time.Time, page int) (Page, []Answer, error) {
	from, to := since.UTC().Format(time.DateTime), until.UTC().Format(time.DateTime)
	if resource == Documents {
		return c.list(ctx, resource, url.Values{"created__gte": {from}, "created__lt": {to}, "order_by": {"created"}}, page)
	}
	return c.list(ctx, resource, url.Values{"created_date__gte": {from}, "created_date__lt": {to}}, page)
}

func (c *Client) list(ctx context.Context, resource Resource, query url.Values, page int) (Page, []Answer, error) {
	query.Set("page", strconv.Itoa(page))
	query.Set("page_size", strconv.Itoa(PageSize))
	list := c.base.JoinPath(root, string(resource))
	list.RawQuery = query.Encode()
	var body []byte
	answers, err := c.ask(ctx, list, maxPage, func(answer io.Reader, _ int64) (err error) {
		body, err = io.ReadAll(answer)
		return err
	})
	switch {
	case failure.ClassOf(err) == failure.NotFound && resource != Documents && page > 1:
		// Lists of this form (of Django REST framework) answer so behind the last page:
		// there were more documents when the page before was read.
		return Page{IsLast: true}, answers, nil
	case err != nil:
		return Page{}, answers, err
	}
	read, ok := readPage(body, page)
	if !ok {
		return Page{}, answers, &Error{Class: failure.Unexpected, Status: http.StatusOK, detail: "it is not a list"}
	}
	return read, answers, nil
}

// readPage reads the page with that number, and three members of each document, in
// whichever form Veryfi's flags give them. Documents are listed as {"documents", "meta":
// {"total_pages"}}, other kinds as {"results", "next"}. Their "count" may be inexact.
func readPage(body []byte, number int) (page Page, ok bool) {
	total := -1
	var isList, ofDocuments bool
	next := "null"
	ok = jsonscan.Each(body, func(name string, value []byte) {
		switch name {
		case "documents", "results":
			ofDocuments = name == "documents"
			isList = jsonscan.Each(value, func(_ string, document []byte) {
				if listed, ok := readListed(document); ok {
					page.Documents = append(page.Documents, listed)
				} else {
					page.Unusable++
				}
			}) && value[0] == '['
		case "meta":
			jsonscan.Each(value, func(name string, value []byte) {
				if n, err := strconv.Atoi(scalar(value)); name == "total_pages" && err == nil {
					total = n
				}
			})
		case "next":
			next = string(value)
		}
	})
	entries := len(page.Documents) + page.Unusable
	switch {
	case entries == 0:
		page.IsLast = true
	case ofDocuments:
		page.IsLast = total >= 0 && number >= total
	default: // Veryfi's recorded answers have "" in place of the next page's address
		page.IsLast = next == "null" || next == `""` && entries < PageSize
	}
	return page, ok && isList
}

func readListed(document []byte) (listed Listed, ok bool) {
	jsonscan.Each(document, func(name string, value []byte) {
		switch name {
		case "id":
			id, err := strconv.ParseInt(scalar(value), 10, 64)
			listed.ID, ok = id, err == nil && id > 0
		case "created_date", "created":
			listed.Created = cmp.Or(listed.Created, scalar(value))
		case "status":
			listed.Status = scalar(value)
		}
	})
	return listed, ok
}

// scalar returns the string or number that a value is. In detailed answers it is
// the member "value" of an object.
func scalar(value []byte) string {
	switch value[0] {
	case '"':
		return string(jsonscan.Bytes(value[1 : len(value)-1]))
	case '{':
		var inner string
		jsonscan.Each(value, func(name string, value []byte) {
			if name == "value" && value[0] != '{' {
				inner = scalar(value)
			}
		})
		return inner
	default:
		return string(value)
	}
}

package veryfi

import (
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
	// PageSize is the number of documents on a page of the list (Veryfi's limit).
	PageSize = 50
	// maxPage is the largest page that is read, in bytes. Fifty documents with all
	// details are about 30 MB.
	maxPage = 64 << 20
)

// A Listed is what the list says of a document.
type Listed struct {
	ID      int64
	Created string // as received
	Status  string
}

// A Page is one page of the list.
type Page struct {
	Documents []Listed
	// Unusable is how many entries have no usable id.
	Unusable int
	// IsLast is true when Veryfi says that no page follows, or this one is empty.
	IsLast bool
}

// List returns one page of the documents that Veryfi created from since to before until,
// both to the second; the first page is 1. They come in the order of
// their creation. Answers and errors are those of [Client.Get].
//
// Veryfi writes times without a zone; they are taken as UTC.
func (c *Client) List(ctx context.Context, since, until time.Time, page int) (Page, []Answer, error) {
	return c.list(ctx, url.Values{
		"created__gte": {since.UTC().Format(time.DateTime)},
		"created__lt":  {until.UTC().Format(time.DateTime)},
		"order_by":     {"created"},
	}, page)
}

func (c *Client) list(ctx context.Context, query url.Values, page int) (Page, []Answer, error) {
	query.Set("page", strconv.Itoa(page))
	query.Set("page_size", strconv.Itoa(PageSize))
	list := c.base.JoinPath(root, string(Documents))
	list.RawQuery = query.Encode()
	var body []byte
	answers, err := c.ask(ctx, list, maxPage, func(answer io.Reader, _ int64) (err error) {
		body, err = io.ReadAll(answer)
		return err
	})
	if err != nil {
		return Page{}, answers, err
	}
	read, ok := readPage(body, page)
	if !ok {
		return Page{}, answers, &Error{Class: failure.Unexpected, Status: http.StatusOK, detail: "it is not a list"}
	}
	return read, answers, nil
}

// readPage reads the page with that number, and three members of each document, in
// whichever form Veryfi's flags give them.
func readPage(body []byte, number int) (page Page, ok bool) {
	total := -1
	var isList bool
	ok = jsonscan.Each(body, func(name string, value []byte) {
		switch name {
		case "documents":
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
		}
	})
	empty := len(page.Documents)+page.Unusable == 0
	page.IsLast = empty || total >= 0 && number >= total
	return page, ok && isList
}

func readListed(document []byte) (listed Listed, ok bool) {
	jsonscan.Each(document, func(name string, value []byte) {
		switch name {
		case "id":
			id, err := strconv.ParseInt(scalar(value), 10, 64)
			listed.ID, ok = id, err == nil && id > 0
		case "created":
			listed.Created = scalar(value)
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

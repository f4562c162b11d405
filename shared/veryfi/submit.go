package veryfi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/jsonscan"
)

// Veryfi's limits for a file, in bytes.
const (
	MinFile = 250
	MaxFile = 20 << 20
)

// MaxPages returns how many pages of a file Veryfi processes (its FAQ, API docs and Node.js
// SDK), or 0 where no limit is known. Its support raises the limit for an account.
func (r Resource) MaxPages() int {
	switch r {
	case Documents:
		return 15
	case AnyDocuments, "bank-statements":
		return 50
	case "w2s":
		return 2
	default:
		return 0
	}
}

// A Submission is a document for asynchronous processing. It has either a file or
// the address of one.
type Submission struct {
	FileURL    string `json:"file_url,omitempty"`
	FileName   string `json:"file_name,omitempty"`
	FileData   []byte `json:"file_data,omitempty"`
	ExternalID string `json:"external_id,omitempty"`
	// Blueprint names what to extract, for [AnyDocuments], which need one.
	Blueprint string   `json:"blueprint_name,omitempty"`
	Tags      []string `json:"-"`
	// AutoDelete has Veryfi delete the document after its first retrieval.
	AutoDelete bool `json:"auto_delete,omitempty"`
}

// encode returns the body of the request that submits a document, and where it goes. Other
// kinds than [Documents] have a route for asynchronous processing, and tags in "meta.tags".
func (s Submission) encode(resource Resource) (body []byte, path string, err error) {
	request := struct {
		Submission

		Async    bool     `json:"async,omitempty"`
		Tags     []string `json:"tags,omitempty"`
		MetaTags []string `json:"meta.tags,omitempty"`
	}{Submission: s}
	path = string(resource)
	if resource == Documents {
		request.Async, request.Tags = true, s.Tags
	} else {
		path += "/async"
		request.MetaTags = s.Tags
	}
	body, err = json.Marshal(request)
	return body, path, err
}

// Submit sends a document to Veryfi, once, and returns its id. The error holds what Veryfi
// says is wrong, unlike those of other requests: it is for the person who submits.
func (c *Client) Submit(ctx context.Context, resource Resource, s Submission) (id int64, err error) {
	body, path, err := s.encode(resource)
	if err != nil {
		return 0, err
	}
	known, err := credentials(c.secrets.Get(ctx))
	if err != nil {
		return 0, err
	}
	if err := c.pacer.wait(ctx); err != nil {
		return 0, err
	}
	within, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(within, http.MethodPost, c.base.JoinPath(root, path).String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.GetBody = nil // net/http would send it a second time by itself
	req.Header.Set("Content-Type", "application/json")
	authorize(req, known)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return 0, broken(ctx, submitTimeout, 0, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, broken(ctx, submitTimeout, resp.StatusCode, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		refused := c.refused(resp)
		if refused.Class == failure.NotFound { // there is no such route
			refused.Class = failure.Refused
		}
		var told struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(answer, &told) == nil {
			refused.detail = fmt.Sprintf("%.200s", told.Error)
		}
		return 0, refused
	}
	jsonscan.Each(answer, func(name string, value []byte) {
		if name == "id" {
			id, err = strconv.ParseInt(scalar(value), 10, 64)
		}
	})
	if err != nil || id < 1 {
		return 0, errors.New("Veryfi took the document and did not say its id")
	}
	return id, nil
}

// FindByExternalID returns the ids of the documents of a kind that were submitted with an
// external_id, at most [PageSize] of them, newest first where the order is known, without those that Veryfi has
// deleted.
func (c *Client) FindByExternalID(ctx context.Context, resource Resource, externalID string) ([]int64, error) {
	query := url.Values{"meta.external_id": {externalID}}
	if resource == Documents {
		query = url.Values{"external_id": {externalID}, "order_by": {"-created"}}
	}
	page, _, err := c.list(ctx, resource, query, 1)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, d := range page.Documents {
		ids = append(ids, d.ID)
	}
	return ids, nil
}

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

	"veryfi-intake/shared/jsonscan"
)

// Veryfi's limits for a file, in bytes.
const (
	MinFile = 250
	MaxFile = 20 << 20
)

// A Submission is a document for asynchronous processing. It has either a file or
// the address of one.
type Submission struct {
	FileURL    string   `json:"file_url,omitempty"`
	FileName   string   `json:"file_name,omitempty"`
	FileData   []byte   `json:"file_data,omitempty"`
	ExternalID string   `json:"external_id,omitempty"`
	Tags       []string `json:"tags,omitempty"`
	// AutoDelete has Veryfi delete the document after its first retrieval.
	AutoDelete bool `json:"auto_delete,omitempty"`
	Async      bool `json:"async"`
}

// Submit sends a document to Veryfi, once, and returns its id. The error holds what Veryfi
// says is wrong, unlike those of other requests: it is for the person who submits.
func (c *Client) Submit(ctx context.Context, s Submission) (id int64, err error) {
	s.Async = true
	body, err := json.Marshal(s)
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
	req, err := http.NewRequestWithContext(within, http.MethodPost, c.base.JoinPath(root, string(Documents)).String(), bytes.NewReader(body))
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

// FindByExternalID returns the ids of the documents that were submitted with an
// external_id, newest first, at most [PageSize] of them, without those that Veryfi has
// deleted.
func (c *Client) FindByExternalID(ctx context.Context, externalID string) ([]int64, error) {
	page, _, err := c.list(ctx, Documents, url.Values{"external_id": {externalID}, "order_by": {"-created"}}, 1)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, d := range page.Documents {
		ids = append(ids, d.ID)
	}
	return ids, nil
}

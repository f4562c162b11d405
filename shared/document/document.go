// Package document reads a document as Veryfi sends it, and turns it into the
// form in which DynamoDB takes it, in one pass and exact to the digit.
package document

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strconv"
	"sync"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/jsonscan"
)

// Why an answer is not the document that was asked for. A later answer may be.
var (
	// ErrNotDocument means that it is not a JSON object, or one that was cut short.
	ErrNotDocument = failure.Unexpected.New("the answer is not a document")
	// ErrOtherDocument means that its id is missing or another one.
	ErrOtherDocument = failure.Unexpected.New("the answer is not the document that was asked for")
	// ErrInProgress means that Veryfi is still working on it.
	ErrInProgress = failure.InProgress.New("the document is still in progress")
)

// A Document is what Veryfi knows about a receipt, an invoice or a statement.
type Document struct {
	// JSON is the document as received.
	JSON []byte
	// Native is the document as a DynamoDB attribute value in DynamoDB's JSON, or
	// nil when DynamoDB cannot hold it.
	Native []byte
	// NativeSize is how much of DynamoDB's item limit Native takes, in bytes. It is
	// never less than what DynamoDB counts.
	NativeSize int
	// Lifted are the attributes that make its row useful without opening the document.
	Lifted []Attribute
}

// mostNative is the usual length of the longest native form that fits an item.
const mostNative = 2 * MaxItemSize

// Read reads the document with that id. The JSON may be anything that Python
// writes; the errors are [ErrNotDocument], [ErrOtherDocument] and
// [ErrInProgress].
func Read(json []byte, id int64) (*Document, error) {
	c := converter{
		scan: jsonscan.New(json), json: json, native: true,
		out:  make([]byte, 0, min(2*len(json), mostNative)),
		keys: make([][]byte, 0, 128), // of most documents
	}
	if c.scan.Next() != '{' || !c.object(1) || !c.scan.AtEnd() {
		return nil, ErrNotDocument
	}
	switch {
	case scalar(c.status) == "in_progress":
		return nil, ErrInProgress
	case scalar(c.id) != strconv.FormatInt(id, 10):
		return nil, ErrOtherDocument
	}
	d := &Document{JSON: json, Lifted: c.lift()}
	if c.native {
		d.Native, d.NativeSize = c.out, c.size
	}
	return d, nil
}

// MaxJSON is the largest document that is read, in bytes. One of 15 pages with all
// details has about 600 KB; one of ten times that cannot be stored any more.
const MaxJSON = 8 << 20

// ReadGzip is [Read] for what [Document.Gzip] returns.
func ReadGzip(gzipped []byte, id int64) (*Document, error) {
	r, err := gzip.NewReader(bytes.NewReader(gzipped))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotDocument, err)
	}
	json, err := io.ReadAll(io.LimitReader(r, MaxJSON+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotDocument, err)
	case len(json) > MaxJSON:
		return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrNotDocument, MaxJSON)
	}
	return Read(json, id)
}

var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// Gzip returns the JSON as received, gzipped.
func (d *Document) Gzip() ([]byte, error) {
	w := gzipWriters.Get().(*gzip.Writer) //nolint:errcheck // the pool holds nothing else
	defer gzipWriters.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	if _, err := w.Write(d.JSON); err != nil {
		return nil, fmt.Errorf("gzip the document: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("gzip the document: %w", err)
	}
	return b.Bytes(), nil
}

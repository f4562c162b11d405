// Package signature verifies that a webhook comes from Veryfi.
//
// Veryfi signs str(payload["data"]), where payload = json.loads(body): the text
// that Python prints for the decoded data, not the bytes that were sent. So this
// package prints what CPython would print. Start with [Payload.Parse], then
// [Payload.Verify].
//
// A signature covers data and nothing else. It does not cover the event's name,
// the time of sending or the address, and it has no nonce: anyone who has seen a
// signed request can send it again, forever, under any event name. Callers must
// make that harmless.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"strings"
	"sync"

	"veryfi-intake/shared/jsonscan"
)

// Why a payload is refused.
var (
	// ErrNotObject means that the body is not a JSON object. A byte order mark
	// is not JSON, nor are bytes that are not UTF-8.
	ErrNotObject = errors.New("the body is not a JSON object")
	// ErrNotJSON means that a value is not JSON.
	ErrNotJSON = errors.New("the data is not JSON")
	// ErrNoSignature means that the header is missing or empty.
	ErrNoSignature = errors.New("the signature is missing")
	// ErrMalformed means that the header is not the base64 of 32 bytes.
	ErrMalformed = errors.New("the signature is malformed")
	// ErrNoData means that the body has no data, so that nothing in it is signed.
	ErrNoData = errors.New("the body has no data to verify")
	// ErrUnsignable means that the body is JSON that CPython refuses: integers of
	// more than 4,300 digits, nesting beyond the recursion limit, or data that is
	// a string with a lone surrogate. Veryfi cannot have signed it.
	ErrUnsignable = errors.New("the data cannot have been signed")
	// ErrMismatch means that the signature belongs to other data or to another
	// client secret.
	ErrMismatch = errors.New("the signature does not match")
)

// A Payload is the body of a webhook. Its zero value is ready for use. One Payload
// can parse many bodies, one after the other: each [Payload.Parse] invalidates what
// the Payload has returned before. It is not safe for concurrent use.
type Payload struct {
	printer printer
	newest  []byte // the text as the newest Python prints it
	newer   []newer
	older   []byte // the text as another Python prints it
	event   []byte // the JSON of its value, nil when there is none
	data    Data   // without JSON when there is none
	// loneSurrogate is set when data is a string with a lone surrogate: Python
	// decodes it, but cannot encode it again.
	loneSurrogate bool
}

// Data is the data of a webhook.
type Data struct {
	// JSON is the value as received.
	JSON []byte
	// Text is what Python prints for it: the text that is signed.
	Text []byte

	members []member
	printed []byte // where the members' keys are
	body    []byte
}

// Field returns the JSON text of a member of data, or nil when data is not an
// object or has no such member. The name must be plain ASCII without quotes.
func (d Data) Field(name string) []byte {
	for _, m := range d.members {
		// The printed key is the name in quotes.
		if key := m.key.of(d.printed); string(key[1:len(key)-1]) == name {
			return m.raw.of(d.body)
		}
	}
	return nil
}

// Parse reads a body. It returns [ErrNotObject], or [ErrUnsignable] for what
// CPython refuses to decode. The payload refers to the body from then on.
func (p *Payload) Parse(body []byte) error {
	pr := &p.printer
	if pr.text == nil { // most text is shorter than its JSON, and most data has few members
		pr.text, pr.members = make([]byte, 0, len(body)), make([]member, 0, 4)
	}
	pr.json, pr.scan, pr.unsignable, pr.work = body, jsonscan.New(body), false, 0
	pr.clear()
	p.event, p.data, p.newer, p.loneSurrogate = nil, Data{}, p.newer[:0], false
	ok := p.members()
	switch {
	case pr.unsignable || ok && p.loneSurrogate:
		return ErrUnsignable
	case !ok:
		return ErrNotObject
	default:
		return nil
	}
}

// members reads the members of the body: it prints data, keeps event, and
// checks that the others are JSON.
func (p *Payload) members() (ok bool) {
	pr := &p.printer
	if pr.scan.Next() != '{' {
		return false
	}
	for more := pr.scan.Open('}'); more; {
		// Only the text of data stays, at the beginning. All else is cut off again.
		mark := len(pr.text)
		pr.scan.Next()
		if !pr.string() || !pr.scan.Take(':') {
			return false
		}
		name := string(pr.text[mark:])
		pr.text = pr.text[:mark]
		if name == "'data'" {
			ok = p.readData()
		} else {
			var raw span
			raw, ok = pr.value(1)
			pr.text = pr.text[:mark]
			if name == "'event'" {
				p.event = raw.of(pr.json)
			}
		}
		if !ok {
			return false
		}
		if more, ok = pr.scan.More('}'); !ok {
			return false
		}
	}
	return pr.scan.AtEnd()
}

// readData prints the value of data. If data is repeated, the last one counts.
func (p *Payload) readData() bool {
	pr := &p.printer
	pr.clear()
	p.loneSurrogate = false
	raw, ok := pr.value(1)
	if !ok {
		return false
	}
	json := raw.of(pr.json)
	if json[0] == '"' {
		pr.text, pr.newer = pr.text[:0], 0
		p.loneSurrogate = !pr.bare(json)
	}
	p.newest = pr.result()
	p.findNewer()
	p.data = Data{JSON: json, Text: p.text(pythons[0]), members: pr.members, printed: pr.text, body: pr.json}
	return true
}

// Event returns the event's name, which may be a part of the body. ok is false when
// it is missing or not a string. It is not signed.
func (p *Payload) Event() (name []byte, ok bool) {
	return jsonscan.Text(p.event)
}

// Unverified returns the data without looking at a signature. It is empty when
// the body has none. Do not store or retrieve anything because of it.
func (p *Payload) Unverified() Data { return p.data }

// Verify returns the data if the signature (the value of the header
// x-veryfi-signature, spaces around it ignored) was made of it with one of the
// keys. The other results are [ErrNoSignature], [ErrMalformed], [ErrNoData] and
// [ErrMismatch].
//
// Versions of Python print some newer characters differently, and Veryfi does not
// say which one it runs. If data has such characters, Verify tries CPython 3.8 to
// 3.15.
func (p *Payload) Verify(signature string, keys ...*Key) (Data, error) {
	signature = strings.TrimSpace(signature)
	if signature == "" {
		return Data{}, ErrNoSignature
	}
	var want digest
	if !want.decode(signature) {
		return Data{}, ErrMalformed
	}
	if p.data.JSON == nil {
		return Data{}, ErrNoData
	}
	for _, version := range p.versions() {
		p.data.Text = p.text(version)
		for _, key := range keys {
			if key.signed(p.data.Text, &want) {
				return p.data, nil
			}
		}
	}
	return Data{}, ErrMismatch
}

type digest [sha256.Size]byte

// strictBase64 is made once: it is a table.
var strictBase64 = base64.StdEncoding.Strict()

// decode reads a digest in base64 and reports whether it was one.
func (d *digest) decode(s string) bool {
	const encodedLen = (sha256.Size + 2) / 3 * 4
	if len(s) != encodedLen {
		return false
	}
	var src [encodedLen]byte
	var dst [encodedLen / 4 * 3]byte // Decode counts the padding in
	copy(src[:], s)
	n, err := strictBase64.Decode(dst[:], src[:])
	copy(d[:], dst[:])
	return err == nil && n == len(d)
}

// A Key is a client secret, ready to verify with. It is safe for concurrent use.
type Key struct {
	mu  sync.Mutex
	mac hash.Hash // nil when the secret is empty
	sum digest    // kept here so that a verification allocates nothing
}

// NewKey returns the key of a client secret. The key of an empty secret
// verifies nothing: anybody could sign with it.
func NewKey(clientSecret string) *Key {
	if clientSecret == "" {
		return &Key{}
	}
	return &Key{mac: hmac.New(sha256.New, []byte(clientSecret))}
}

// Equal reports whether both keys verify the same.
func (k *Key) Equal(other *Key) bool {
	return k.digest(nil) == other.digest(nil)
}

// digest returns the digest of text, zeros for the key of an empty secret.
func (k *Key) digest(text []byte) (d digest) {
	if k.mac == nil {
		return d
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mac.Reset()
	k.mac.Write(text)
	k.mac.Sum(k.sum[:0])
	return k.sum
}

// signed reports, in constant time, whether want is the digest of text.
func (k *Key) signed(text []byte, want *digest) bool {
	if k.mac == nil {
		return false
	}
	sum := k.digest(text)
	return hmac.Equal(sum[:], want[:])
}

// Text returns what Python prints for a JSON value: the text that Veryfi signs
// when the value is the data of a webhook. It returns [ErrNotJSON], or
// [ErrUnsignable] where CPython refuses.
func Text(data []byte) ([]byte, error) {
	p := Payload{printer: printer{json: data, scan: jsonscan.New(data)}}
	ok := p.readData() && p.printer.scan.AtEnd()
	switch {
	case p.printer.unsignable || ok && p.loneSurrogate:
		return nil, ErrUnsignable
	case !ok:
		return nil, ErrNotJSON
	default:
		return p.data.Text, nil
	}
}

// Sign returns the header that Veryfi would send with data, a JSON value. It is
// for tests, samples and stand-ins. The errors are those of [Text].
func Sign(data []byte, clientSecret string) (string, error) {
	text, err := Text(data)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(clientSecret))
	mac.Write(text)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

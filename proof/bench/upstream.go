package bench

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"veryfi-intake/local/standin"
	"veryfi-intake/shared/secret"
)

// An upstream stands in for AWS and Veryfi, over TLS and HTTP/1.1, and answers at
// once: what is measured is the function.
type upstream struct {
	url string
	// authority is the certificate, in PEM, that vouches for the upstream's.
	authority []byte

	server      *http.Server
	credentials []byte
	document    atomic.Pointer[[]byte] // but for its beginning, which is the id
	// delay is how long a document takes.
	delay atomic.Int64
	// messages and rows count what was taken over.
	messages, rows atomic.Int64
}

const (
	documentSize  = 15_000 // bytes
	documentStart = `{"id":`
	documents     = "/api/v8/partner/documents/" // before the id
)

func startUpstream(credentials secret.Credentials) (*upstream, error) {
	text, err := json.Marshal(credentials)
	if err != nil {
		return nil, err
	}
	certificate, authority, err := newCertificate()
	if err != nil {
		return nil, err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return nil, err
	}
	u := &upstream{
		url: "https://" + listener.Addr().String(), authority: authority, credentials: text,
	}
	u.serveDocuments(documentSize)
	u.server = &http.Server{Handler: u, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = u.server.Serve(listener) }() // until stop
	return u, nil
}

// serveDocuments makes all documents about as large as that, in bytes.
func (u *upstream) serveDocuments(size int) {
	document := bytes.TrimPrefix(standin.Large(0, size-len(standin.Receipt(0))), []byte(documentStart+"0"))
	u.document.Store(&document)
}

func (u *upstream) stop() { u.server.Close() }

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case strings.HasPrefix(r.URL.Path, documents):
		u.serveDocument(w, r)
	case operation == "SendMessageBatch":
		u.takeMessages(w, body)
	case operation == "SendMessage":
		u.takeMessage(w, body)
	case operation == "GetSecretValue":
		u.serveSecret(w, body)
	case operation == "PutItem":
		u.rows.Add(1)
		io.WriteString(w, `{}`)
	case operation == "GetItem", operation == "BatchGetItem", strings.HasPrefix(r.URL.Path, "/bare/"):
		io.WriteString(w, `{}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (u *upstream) serveDocument(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(u.delay.Load()))
	io.WriteString(w, documentStart+strings.Trim(strings.TrimPrefix(r.URL.Path, documents), "/"))
	w.Write(*u.document.Load())
}

func (u *upstream) takeMessages(w http.ResponseWriter, body []byte) {
	var request struct {
		Entries []struct {
			ID          string `json:"Id"`
			MessageBody string
		}
	}
	if json.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var successful []map[string]string
	for _, entry := range request.Entries {
		successful = append(successful, map[string]string{"Id": entry.ID, "MessageId": "m", "MD5OfMessageBody": sum(entry.MessageBody)})
	}
	u.messages.Add(int64(len(request.Entries)))
	answer(w, map[string]any{"Successful": successful})
}

func (u *upstream) takeMessage(w http.ResponseWriter, body []byte) {
	var request struct{ MessageBody string }
	if json.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	u.messages.Add(1)
	answer(w, map[string]string{"MessageId": "m", "MD5OfMessageBody": sum(request.MessageBody)})
}

func answer(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings always marshal
	}
	w.Write(text)
}

// sum is what SQS shows it has received.
func sum(body string) string {
	digest := md5.Sum([]byte(body))
	return hex.EncodeToString(digest[:])
}

func (u *upstream) serveSecret(w http.ResponseWriter, body []byte) {
	var request struct{ VersionStage string }
	if json.Unmarshal(body, &request) == nil && request.VersionStage == "AWSPREVIOUS" {
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"__type":"ResourceNotFoundException"}`)
		return
	}
	answer(w, map[string]string{"SecretString": string(u.credentials)})
}

// newCertificate returns a certificate for the loopback address and the
// authority, in PEM, that has signed it.
func newCertificate() (certificate tls.Certificate, authority []byte, err error) {
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "veryfi-intake benchmark"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate, nil, err
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return certificate, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, rootKey)
	if err != nil {
		return certificate, nil, err
	}
	authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority, nil
}

package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"

	"veryfi-intake/shared/signature"
)

const (
	benchmarkSecret = "the client secret"
	benchmarkData   = `{"id":63184393,"created":"2022-03-28 21:12:14"}`
	benchmarkBody   = `{"event":"document.created","data":` + benchmarkData + `}`
)

// BenchmarkHMACFresh is what BenchmarkVerifiedEvent is compared with: what a
// receiver does that makes an HMAC for each request, and nothing else.
func BenchmarkHMACFresh(b *testing.B) {
	text, err := signature.Text([]byte(benchmarkData))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		mac := hmac.New(sha256.New, []byte(benchmarkSecret))
		mac.Write(text)
		mac.Sum(nil)
	}
}

// BenchmarkVerifiedEvent goes from a body to the ids in it.
func BenchmarkVerifiedEvent(b *testing.B) {
	header, err := signature.Sign([]byte(benchmarkData), benchmarkSecret)
	if err != nil {
		b.Fatal(err)
	}
	key := signature.NewKey(benchmarkSecret)
	body := []byte(benchmarkBody)
	b.ReportAllocs()
	for b.Loop() {
		if e := verifiedEvent(b, body, header, key); len(e.IDs) != 1 {
			b.Fatal("no id")
		}
	}
}

func verifiedEvent(tb testing.TB, body []byte, header string, key *signature.Key) Event {
	var payload signature.Payload
	if err := payload.Parse(body); err != nil {
		tb.Fatal(err)
	}
	data, err := payload.Verify(header, key)
	if err != nil {
		tb.Fatal(err)
	}
	return Kinds{}.Event(Name(&payload), data)
}

var benchmarkMessage = Message{
	Version: 1, Event: DocumentCreated, ID: 63184393, Created: "2022-03-28 21:12:14",
	ReceivedAt: time.Date(2026, 6, 25, 14, 3, 11, 0, time.UTC), RequestID: "8DHo+vZrkQnGKUw=",
}

func BenchmarkEncode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		benchmarkMessage.Encode()
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	body := benchmarkMessage.Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeMessage(body); err != nil {
			b.Fatal(err)
		}
	}
}

package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

var benchmarkBody = []byte(`{"event":"document.created","data":{"id":63184393,"created":"2022-03-28 21:12:14"}}`)

func BenchmarkHMACReused(b *testing.B) {
	text, err := Text([]byte(`{"id":63184393,"created":"2022-03-28 21:12:14"}`))
	if err != nil {
		b.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	var sum [sha256.Size]byte
	b.ReportAllocs()
	for b.Loop() {
		mac.Reset()
		mac.Write(text)
		mac.Sum(sum[:0])
	}
}

func BenchmarkParseAndVerify(b *testing.B) {
	signature := sign(b, `{"id":63184393,"created":"2022-03-28 21:12:14"}`)
	key := NewKey(secret)
	var p Payload
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Parse(benchmarkBody); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Verify(signature, key); err != nil {
			b.Fatal(err)
		}
	}
}

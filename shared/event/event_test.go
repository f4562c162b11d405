package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"veryfi-intake/shared/signature"
)

// read parses the body of a webhook, whoever signed it.
func read(t *testing.T, body string) Event {
	t.Helper()
	var p signature.Payload
	if err := p.Parse([]byte(body)); err != nil {
		t.Fatal(err)
	}
	return Kinds{}.Event(Name(&p), p.Unverified())
}

func TestEventsThatVeryfiSends(t *testing.T) {
	tests := []struct {
		body string
		want Event
	}{
		{
			`{"event":"document.created","data":{"id":123456789,"created":"2021-10-20 15:27:26"}}`,
			Event{Name: DocumentCreated, IDs: []int64{123456789}, Created: "2021-10-20 15:27:26"},
		},
		{
			`{"event":"document.created","data":{"id":[1031,"1032",1031,1033],"created":"2022-06-01 20:00:00"}}`,
			Event{Name: DocumentCreated, IDs: []int64{1031, 1032, 1033}, Created: "2022-06-01 20:00:00"},
		},
		{
			`{"event":"document.failed","data":{"id":7,"created":"2023-08-10 19:11:32","error":"Couldn't download file \u2014 sorry"}}`,
			Event{Name: DocumentFailed, IDs: []int64{7}, Created: "2023-08-10 19:11:32", Error: "Couldn't download file — sorry"},
		},
		{
			`{"event":"document.failed","data":{"id":7,"created":"2023-08-10 19:11:32","error":null}}`,
			Event{Name: DocumentFailed, IDs: []int64{7}, Created: "2023-08-10 19:11:32"},
		},
		{
			`{"event":"bank_statement_set.created","data":{"parent_id":42000,"id":[690001,690003],"created":"2025-08-02 06:06:04"}}`,
			Event{Name: BankStatementSetCreated, IDs: []int64{690001, 690003}, ParentID: 42000, Created: "2025-08-02 06:06:04"},
		},
		{
			`{"event":"bank_statement_set.failed","data":{"parent_id":"42000","id":[],"created":"2025-08-02 06:06:04"}}`,
			Event{Name: BankStatementSetFailed, IDs: []int64{42000}, ParentID: 42000, Created: "2025-08-02 06:06:04"},
		},
		{
			`{"event":"w2_set.created","data":{"parent_id":42000,"id":[690001,690002],"created":"2026-02-18 19:45:35"}}`,
			Event{Name: "w2_set.created", IDs: []int64{690001, 690002}, ParentID: 42000, Created: "2026-02-18 19:45:35"},
		},
		{`{"event":"w2_set.failed","data":{"parent_id":42000,"id":[]}}`, Event{Name: "w2_set.failed", IDs: []int64{42000}, ParentID: 42000}},
		{`{"event":"bank_statement.created","data":{"id":5}}`, Event{Name: "bank_statement.created", IDs: []int64{5}}},
		{`{"event":"w2.failed","data":{"id":5,"error":"no"}}`, Event{Name: "w2.failed", IDs: []int64{5}, Error: "no"}},
		{`{"event":"check.created","data":{"id":5,"created":"x"}}`, Event{Name: "check.created", IDs: []int64{5}, Created: "x"}},
		{`{"event":"anydocument.created","data":{"id":[5,6]}}`, Event{Name: "anydocument.created", IDs: []int64{5, 6}}},
		{`{"event":"document.enriched","data":{"id":5,"created":"x"}}`, Event{Name: DocumentEnriched, IDs: []int64{5}, Created: "x"}},
		{
			`{"event":"parse.created","data":{"id": 5, "created": "x"}}`,
			Event{Name: "parse.created", Created: "x", Data: `{"id": 5, "created": "x"}`},
		},
		// Names like those that there are, and the reconciler's own.
		{`{"event":"check_set.created","data":{"id":[5]}}`, Event{Name: "check_set.created", Data: `{"id":[5]}`}},
		{`{"event":"document_set.created","data":{"id":[5]}}`, Event{Name: "document_set.created", Data: `{"id":[5]}`}},
		{`{"event":"check.enriched","data":{"id":5}}`, Event{Name: "check.enriched", Data: `{"id":5}`}},
		{`{"event":"document.deleted","data":{"id":5}}`, Event{Name: "document.deleted", Data: `{"id":5}`}},
		{`{"event":"document.created.x","data":{"id":5}}`, Event{Name: "document.created.x", Data: `{"id":5}`}},
		{`{"event":"document","data":{"id":5}}`, Event{Name: "document", Data: `{"id":5}`}},
		{`{"event":"reconciled","data":{"id":5}}`, Event{Name: Reconciled, Data: `{"id":5}`}},
		{`{"event":"document.reconciled","data":{"id":5}}`, Event{Name: "document.reconciled", Data: `{"id":5}`}},
		{`{"event":"check.reconciled","data":{"id":5}}`, Event{Name: "check.reconciled", Data: `{"id":5}`}},
		{`{"data":[1, 2]}`, Event{Name: Unknown, Data: `[1, 2]`}},
		{`{"event":17,"data":null}`, Event{Name: Unknown, Data: `null`}},
		{`{"event":"bank_statement_set.failed","data":{"id":[1]}}`, Event{Name: BankStatementSetFailed, Data: `{"id":[1]}`}},
		{`{"event":"bank_statement_set.failed","data":{"parent_id":4}}`, Event{Name: BankStatementSetFailed, IDs: []int64{4}, ParentID: 4}},
		{`{"event":"bank_statement_set.failed","data":{"parent_id":4,"id":null}}`, Event{Name: BankStatementSetFailed, IDs: []int64{4}, ParentID: 4}},
		// A caught call of a set that is ready.
		{`{"event":"bank_statement_set.failed","data":{"parent_id":4,"id":[5]}}`, Event{Name: BankStatementSetFailed, Data: `{"parent_id":4,"id":[5]}`}},
		{`{"event":"bank_statement_set.failed","data":{"parent_id":4,"id":5}}`, Event{Name: BankStatementSetFailed, Data: `{"parent_id":4,"id":5}`}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, read(t, test.body)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.body, diff)
		}
	}
}

func TestOneUnusableIDMakesAnEventUnsupported(t *testing.T) {
	for count, ids := range map[int][]string{
		1:      {`1`, `"1"`, `9223372036854775807`, `"9223372036854775807"`, `[1]`, `"\u0031"`},
		2:      {`["1", 2]`},
		maxIDs: {list(maxIDs)},
		0: {
			`0`, `-1`, `1.0`, `1e3`, `9223372036854775808`, `"9223372036854775808"`, `""`, `"0"`, `"-1"`, `"+1"`, `"01"`, `" 1"`, `"1.0"`, `"１"`,
			`null`, `true`, `NaN`, `{}`, `{"id":1}`, `[]`, `[[1]]`, `[1, null]`, `[1, "x"]`, `[1, 0]`, `["x", 1]`, list(maxIDs + 1),
		},
	} {
		for _, id := range ids {
			data := `{"id":` + id + `}`
			kept := map[bool]string{true: data}[count == 0]
			if e := read(t, `{"event":"document.created","data":`+data+`}`); len(e.IDs) != count || string(e.Data) != kept {
				t.Errorf("%.40s: %d ids", id, len(e.IDs))
			}
		}
	}
	if e := read(t, `{"event":"document.created","data":{"created":"x"}}`); len(e.IDs) != 0 {
		t.Error("no id at all is usable")
	}
}

func list(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strconv.Itoa(i + 1)
	}
	return "[" + strings.Join(ids, ",") + "]"
}

// TestTextIsCutAtACharacter is at each bound, one beyond, and far beyond.
func TestTextIsCutAtACharacter(t *testing.T) {
	for bound, field := range map[int]string{256: "event", 64: "created", 1024: "error"} {
		for _, length := range []int{bound - 1, bound, bound + 1, 5000} {
			text, want := strings.Repeat("é", length), strings.Repeat("é", min(length, bound))
			named := map[string]string{"event": DocumentFailed, field: text}
			e := read(t, fmt.Sprintf(`{"event":%q,"data":{"id":7,"created":%q,"error":%q}}`, named["event"], named["created"], named["error"]))
			m := e.Messages(time.Time{}, "")[0]
			for of, got := range map[string]string{"event": e.Name + m.Event, "created": e.Created + m.Created, "error": e.Error + m.Error} {
				if of == field && got != want+want {
					t.Errorf("%s of %d characters has %d", field, length, utf8.RuneCountInString(got)/2)
				}
			}
		}
	}
}

func TestCreatedTime(t *testing.T) {
	want := time.Date(2021, 10, 20, 15, 27, 26, 0, time.UTC)
	for _, s := range []string{"2021-10-20 15:27:26", "2021-10-20T15:27:26", "2021-10-20T15:27:26Z", "2021-10-20 17:27:26+02:00", "2021-10-20 15:27:26.000"} {
		if got, ok := CreatedTime(s); !ok || !got.Equal(want) {
			t.Errorf("%s: got %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "yesterday", "2021-10-20", "2021-13-20 15:27:26", "1634743646"} {
		if got, ok := CreatedTime(s); ok {
			t.Errorf("%s: got %v", s, got)
		}
	}
}

func TestMessagesCarryEachIDOnce(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))
	e := Event{Name: BankStatementSetCreated, IDs: []int64{8, 9}, ParentID: 7, Created: "c"}
	at := time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC)
	want := []Message{
		{Version: 1, Event: e.Name, ID: 8, ParentID: 7, Created: "c", ReceivedAt: at, RequestID: "r"},
		{Version: 1, Event: e.Name, ID: 9, ParentID: 7, Created: "c", ReceivedAt: at, RequestID: "r"},
	}
	if diff := cmp.Diff(want, e.Messages(now, "r")); diff != "" {
		t.Error(diff)
	}
}

func TestKey(t *testing.T) {
	tests := []struct {
		message Message
		want    string
	}{
		{Message{Event: DocumentCreated, ID: 123456789}, "123456789"},
		{Message{Event: DocumentFailed, ID: 123456789}, "123456789"},
		{Message{Event: BankStatementSetCreated, ID: 690001, ParentID: 42000}, "bank_statement#690001"},
		{Message{Event: BankStatementSetFailed, ID: 42000, ParentID: 42000}, "bank_statement_set#42000"},
		{Message{Event: DocumentEnriched, ID: 5}, "5"},
		{Message{Event: "w2_set.created", ID: 5, ParentID: 4}, "w2#5"},
		{Message{Event: "w2_set.failed", ID: 4, ParentID: 4}, "w2_set#4"},
		{Message{Event: "w2.failed", ID: 5}, "w2#5"},
		{Message{Event: "check.created", ID: 5}, "check#5"},
		{Message{Event: "check.reconciled", ID: 5}, "check#5"},
		{Message{Event: "anydocument.created", ID: 5}, "anydocument#5"},
		{Message{Event: "parse.created", ID: 5}, "parse#5"}, // also where the kind is not known
		// printf "{'id': 5}" | sha256sum
		{Message{Event: "check.created", Data: `{"id":5}`}, "unsupported#8d517b42b2c47503"},
		{Message{Event: "check.created", Data: ` { "id" : 5 } `}, "unsupported#8d517b42b2c47503"},
	}
	for _, test := range tests {
		if got := test.message.Key(); got != test.want {
			t.Errorf("%+v: key is %s, want %s", test.message, got, test.want)
		}
	}
}

func TestMessageSurvivesTheQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, err := json.Marshal(rapid.String().Draw(t, "data"))
		if err != nil {
			t.Fatal(err)
		}
		m := Message{
			Version:    Version,
			Event:      rapid.String().Draw(t, "event"),
			ID:         rapid.Int64Min(0).Draw(t, "id"),
			ParentID:   rapid.Int64Min(0).Draw(t, "parent"),
			Created:    rapid.String().Draw(t, "created"),
			Error:      rapid.String().Draw(t, "error"),
			Data:       Text(data),
			ReceivedAt: time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "received")).UTC(),
			RequestID:  rapid.String().Draw(t, "request"),
			Attempts:   rapid.IntMin(0).Draw(t, "attempts"),
		}
		body := m.Encode()
		for _, c := range []byte(body) {
			if c < 0x20 || c > 0x7f {
				t.Fatalf("byte %#x in %s", c, body)
			}
		}
		got, err := DecodeMessage(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestUnsupportedDataIsKeptToTheByte takes data through a webhook, a message and
// back, with what JSON can hold and Unicode cannot.
func TestUnsupportedDataIsKeptToTheByte(t *testing.T) {
	for _, data := range []string{
		` { "a" : [ 1.0, 1e5 ] , "b":"\u00e9é\/\ud800" } `, `"text"`, `"17"`, `null`, `NaN`, `12345678901234567890123`,
	} {
		e := read(t, `{"event":"x","data":`+data+`}`)
		got, err := DecodeMessage(e.Messages(time.Time{}, "")[0].Encode())
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Data) != strings.TrimSpace(data) {
			t.Errorf("got %s, want %s", got.Data, data)
		}
	}
	// A surrogate in bytes is no Unicode text; its escape is the same JSON.
	if e := read(t, "{\"data\":[\"\xed\xa0\x80é\"]}"); e.Data != `["\ud800é"]` {
		t.Errorf("got %s", e.Data)
	}
}

// TestLargestBodyFitsAMessage fills the data of an unsupported event with what grows
// most when it is written as ASCII, or as a string in JSON.
func TestLargestBodyFitsAMessage(t *testing.T) {
	const largestBody = 262_144
	for _, filling := range []string{"<", "&", "\u007f", "\u0080", "é", "\u07ff", "\u2028", "\uffff", "\U00010000", "\U0010ffff", "\xed\xa0\x80", `\"`, `\\`, `\u003c`, " "} {
		body := func(n int) string { return `{"data":["` + strings.Repeat(filling, n) + `"]}` }
		n := (largestBody - len(body(0))) / len(filling)
		m := read(t, body(n)).Messages(time.Time{}, strings.Repeat("r", 64))[0]
		encoded := m.Encode()
		if strings.ContainsFunc(encoded, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%q: the message is not ASCII", filling)
		}
		if most := 3*largestBody + 1024; len(encoded) > most {
			t.Errorf("%q: the message has %d bytes, more than %d", filling, len(encoded), most)
		}
		if got, err := DecodeMessage(encoded); err != nil || got.Data != m.Data {
			t.Errorf("%q: the message does not come back: %v", filling, err)
		}
	}
}

func TestMalformedMessageTellsWhatItCan(t *testing.T) {
	const neither, noVersion = "it has neither a usable event and id nor data", "it has no version"
	const noMessage = "it is not the JSON of a message"
	for _, test := range []struct {
		body string
		id   int64
		says string // after "malformed message: ", or of a newer version
	}{
		{``, 0, noMessage},
		{`null`, 0, noVersion},
		{`[]`, 0, noMessage},
		{`private`, 0, noMessage},
		{`{}`, 0, noVersion},
		{`{"version":1}`, 0, neither},
		{`{"version":1,"event":"document.created"}`, 0, neither},
		{`{"version":1,"event":"document.created","id":-5}`, -5, neither},
		{`{"version":1,"event":"no such event","id":5}`, 5, neither},
		{`{"version":1,"event":"check.created","id":5}`, 5, neither}, // version 1 has no such message
		{`{"version":2}`, 0, neither},
		{`{"version":0,"event":"document.created","id":5}`, 5, noVersion},
		{`{"version":1,"event":["private"]}`, 0, "the type of event is wrong"},
		{`{"version":1,"event":"document.created","id":"5"}`, 0, "the type of id is wrong"},
		{`{"version":1,"event":"document.created","id":5,"created":6}`, 5, "the type of created is wrong"},
		{`{"version":1,"event":"document.created","id":5,"received_at":"private"}`, 5, noMessage},
		{`{"version":3,"event":"document.created","id":5,"news":[]}`, 5, "3, and this code knows 2"},
		{`{"version":3,"id":"a new form"}`, 0, "3, and this code knows 2"},
		{`{"version":3,"event":"x","data":{}}`, 0, "3, and this code knows 2"},
	} {
		want := ErrMalformed
		if strings.HasPrefix(test.body, `{"version":3`) {
			want = ErrNewerVersion
		}
		m, err := DecodeMessage(test.body)
		if !errors.Is(err, want) || m.ID != test.id || err.Error() != want.Error()+": "+test.says {
			t.Errorf("%s: got id %d, %v", test.body, m.ID, err)
		}
	}
}

func FuzzDecodeMessage(f *testing.F) {
	f.Add(`{"version":1,"event":"document.created","id":5,"created":"2021-10-20 15:27:26","received_at":"2026-01-02T03:04:05.678Z","request_id":"r","attempts":2}`)
	f.Add(`{"version":1,"event":"x","data":"{\"a\":[1]}"}`)
	f.Add(`{"version":2}`)
	f.Fuzz(func(t *testing.T, body string) {
		m, err := DecodeMessage(body)
		if err != nil {
			return
		}
		again, err := DecodeMessage(m.Encode())
		if err != nil || again.Key() != m.Key() {
			t.Errorf("%s became %s: %v", body, m.Encode(), err)
		}
	})
}

func TestTimesAreComparedOnlyWhenBothCanBeRead(t *testing.T) {
	for _, test := range []struct {
		now, before string
		later, same bool
	}{
		{"2026-01-02 03:04:05", "2026-01-02 03:04:04", true, false},
		{"2026-01-02 03:04:05", "2026-01-02 03:04:05", false, true},
		{"2026-01-02 03:04:05", "2026-01-02T04:04:05+01:00", false, true},
		{"2026-01-02 03:04:04", "2026-01-02 03:04:05", false, false},
		{"2026-01-02 03:04:05", "", false, false},
		{"", "2026-01-02 03:04:05", false, false},
		{"0001-01-01 00:00:00", "yesterday", false, false}, // what cannot be read is no time
		{"yesterday", "0001-01-01 00:00:00", false, false},
		{"", "", false, false},
	} {
		m := Message{Created: test.now}
		if later, same := m.IsLater(test.before), m.IsOf(test.before); later != test.later || same != test.same {
			t.Errorf("%q against %q: later %v, the same %v", test.now, test.before, later, same)
		}
	}
}

func TestTextTakesTheJSONItself(t *testing.T) {
	if m, err := DecodeMessage(`{"version":1,"event":"x","data":{"a":[1]}}`); err != nil || m.Data != `{"a":[1]}` {
		t.Errorf("%q, %v", m.Data, err)
	}
	if a, b := (Message{Event: "x", Data: "no JSON"}).Key(), (Message{Event: "x", Data: "none"}).Key(); a == b {
		t.Errorf("two data that are no JSON have the key %s", a)
	}
}

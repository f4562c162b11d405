package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"veryfi-intake/shared/signature"
)

// TestKindsOfThisVersion has known answers for each kind. Whoever adds one gives Version
// the next number: rows of unsupported events are read again when it changes.
func TestKindsOfThisVersion(t *testing.T) {
	want := []string{
		"document documents 5 sets false since 1",
		"bank_statement bank-statements bank_statement#5 sets true since 2",
		"w2 w2s w2#5 sets true since 2",
		"check checks check#5 sets false since 2",
		"anydocument any-documents anydocument#5 sets false since 2",
	}
	var got []string
	for _, k := range (Kinds{}).All() {
		got = append(got, fmt.Sprint(k.Name, " ", k.Resource, " ", k.Key(5), " sets ", k.HasSets, " since ", k.since))
	}
	if diff := cmp.Diff(want, got); diff != "" || Version != 2 {
		t.Errorf("version %d: %s", Version, diff)
	}
}

// TestSignedTextOfEachEvent has known answers, computed with CPython 3.11: what is signed, the
// header for it, and the keys of the rows that follow.
func TestSignedTextOfEachEvent(t *testing.T) {
	key := signature.NewKey("the client secret")
	names := map[string]bool{}
	for _, test := range []struct{ name, data, text, header, keys string }{
		{"document.created", `{"id": 123456789, "created": "2021-10-20 15:27:26"}`, `{'id': 123456789, 'created': '2021-10-20 15:27:26'}`, "LCiuqMTbcfO5ffHaZkvZ19Jo/OAwYNrog6RwkyR4wF0=", "123456789"},
		{"document.created", `{"id": [1031, 1032, 1033], "created": "2022-06-01 20:00:00"}`, `{'id': [1031, 1032, 1033], 'created': '2022-06-01 20:00:00'}`, "cy3Nm7qKxMO6tepMLNFMY9dJH8DpX+89mMOKfwBEHBU=", "1031 1032 1033"},
		{"document.failed", `{"id": 123456790, "created": "2023-08-10 19:11:32", "error": "Couldn't download file from provided url."}`, `{'id': 123456790, 'created': '2023-08-10 19:11:32', 'error': "Couldn't download file from provided url."}`, "0UeeDI6oPpGLQD+Fwwn0Upc7rMCuQGSCn4whEFLBs8A=", "123456790"},
		{"document.enriched", `{"id": 123456789, "created": "2021-10-20 15:27:26"}`, `{'id': 123456789, 'created': '2021-10-20 15:27:26'}`, "LCiuqMTbcfO5ffHaZkvZ19Jo/OAwYNrog6RwkyR4wF0=", "123456789"},
		{"bank_statement_set.created", `{"parent_id": 42000, "id": [690001, 690003], "created": "2025-08-02 06:06:04"}`, `{'parent_id': 42000, 'id': [690001, 690003], 'created': '2025-08-02 06:06:04'}`, "og/SYcP2CjhPp6ZwXbpeJAdqllEaUriRGG4THbGAy9U=", "bank_statement#690001 bank_statement#690003"},
		{"bank_statement_set.failed", `{"parent_id": 42001, "id": [], "created": "2025-08-02 06:06:04"}`, `{'parent_id': 42001, 'id': [], 'created': '2025-08-02 06:06:04'}`, "Vvqg4oiZMfwwVKNwWgRfR+aqxs6iSi4+Hyp1RjXlqcM=", "bank_statement_set#42001"},
		{"bank_statement.created", `{"id": 690004, "created": "2025-08-02 06:06:04"}`, `{'id': 690004, 'created': '2025-08-02 06:06:04'}`, "mfPcWunEGe2jBd6/HYmitxAa28eWPMfH8lGOZS4VaPo=", "bank_statement#690004"},
		{"w2_set.created", `{"parent_id": 42000, "id": [690001, 690002], "created": "2026-02-18 19:45:35"}`, `{'parent_id': 42000, 'id': [690001, 690002], 'created': '2026-02-18 19:45:35'}`, "f37PVzqwilVD3ucT0sEBcE7bpKg75QCsN1CuETbRb40=", "w2#690001 w2#690002"},
		{"w2_set.failed", `{"parent_id": 42002, "id": [], "created": "2026-02-18 19:45:35"}`, `{'parent_id': 42002, 'id': [], 'created': '2026-02-18 19:45:35'}`, "TEhy6cXj9bs/DyxdXdYMPuMbWLnpQqsTZWCl/k5oAh4=", "w2_set#42002"},
		{"w2.created", `{"id": 690005, "created": "2026-02-18 19:45:35"}`, `{'id': 690005, 'created': '2026-02-18 19:45:35'}`, "jmYsTqwQXBXXaoQfa96WqnqGHdYLrAQytKKQq5lJhwY=", "w2#690005"},
		{"check.created", `{"id": 5, "created": "2026-02-18 19:45:35"}`, `{'id': 5, 'created': '2026-02-18 19:45:35'}`, "sIiksjb/5aQXz5ECJx+FY+RXU7/gJKUJuZiawV0Izfc=", "check#5"},
		{"check.failed", `{"id": 6, "created": "2026-02-18 19:45:35", "error": "No check was found: \u2446 \"MICR\""}`, `{'id': 6, 'created': '2026-02-18 19:45:35', 'error': 'No check was found: ⑆ "MICR"'}`, "tZLSj7YTRSSjciLdnq/2BE5rQfoZkXBJA5DZZrr5/xo=", "check#6"},
		{"anydocument.created", `{"id": 7, "created": "2026-02-18 19:45:35"}`, `{'id': 7, 'created': '2026-02-18 19:45:35'}`, "HeQ4QwdcyN8V/QIUQOJZOmvaUvVm892izy3HJEc3GWA=", "anydocument#7"},
	} {
		var p signature.Payload
		if err := p.Parse([]byte(`{"event": "` + test.name + `", "data": ` + test.data + `}`)); err != nil {
			t.Fatal(err)
		}
		data, err := p.Verify(test.header, key)
		if err != nil || string(data.Text) != test.text {
			t.Errorf("%s: signed is %s, %v", test.name, data.Text, err)
		}
		var keys []string
		for _, m := range (Kinds{}).Event(Name(&p), data).Messages(time.Time{}, "") {
			keys = append(keys, m.Key())
		}
		if got := strings.Join(keys, " "); got != test.keys {
			t.Errorf("%s: keys %s", test.name, got)
		}
		kind, _ := Kinds{}.Of(test.name)
		names[kind.Name] = true
	}
	for _, kind := range (Kinds{}).All() {
		if !names[kind.Name] {
			t.Errorf("no answer of kind %s is known", kind.Name)
		}
	}
}

// TestVersionOfMessages has what code of version 1 reads, too, and what it must try again.
func TestVersionOfMessages(t *testing.T) {
	for name, want := range map[string]int{
		"document.created": 1, "document.failed": 1, "bank_statement_set.created": 1, "bank_statement_set.failed": 1, "reconciled": 1,
		"document.enriched": 2, "bank_statement.created": 2, "bank_statement.failed": 2, "w2_set.created": 2, "w2_set.failed": 2, "w2.created": 2,
		"check.created": 2, "check.failed": 2, "anydocument.created": 2, "check.reconciled": 2, "parse.created": 2,
	} {
		m := Event{Name: name, IDs: []int64{5}}.Messages(time.Time{}, "")[0]
		if m.Version != want {
			t.Errorf("%s: version %d", name, m.Version)
		}
		if _, err := DecodeMessage(m.Encode()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if m := (Event{Name: name, Data: "{}"}).Messages(time.Time{}, "")[0]; m.Version != 1 {
			t.Errorf("the data of %s: version %d", name, m.Version)
		}
	}
}

func TestSettingAddsKinds(t *testing.T) {
	kinds, err := ParseKinds("parse=parse,contract=contracts,w_8=w-8ben-e,parse_set=parse,check=checks,w9_set=w9s")
	if err != nil {
		t.Fatal(err)
	}
	want := []Kind{{"parse", "parse", true, 2}, {"contract", "contracts", false, 2}, {"w_8", "w-8ben-e", false, 2}, {"w9", "w9s", true, 2}}
	if diff := cmp.Diff(want, kinds.All()[len(builtIn):], cmp.AllowUnexported(Kind{})); diff != "" {
		t.Error(diff)
	}
	for name, resource := range map[string]string{
		"parse.created": "parse", "parse_set.failed": "parse", "contract.failed": "contracts", "w_8.created": "w-8ben-e", "w9.created": "w9s",
		"check.created": "checks", "document.enriched": "documents", "contract.reconciled": "contracts",
		"contract_set.created": "", "parse.enriched": "", "x.created": "", "parse": "", ".created": "", "": "",
	} {
		if kind, ok := kinds.Of(name); kind.Resource != resource || ok != (resource != "") {
			t.Errorf("%s is retrieved from %q, %v", name, kind.Resource, ok)
		}
	}
	sets, err := ParseKinds("check_set=checks")
	if kind, ok := sets.Of("check_set.created"); err != nil || !ok || kind.Key(5) != "check#5" || len(sets.All()) != len(builtIn) {
		t.Errorf("sets of a kind that is built in: %+v, %v", kind, err)
	}
	if _, ok := (Kinds{}).Of("check_set.created"); ok {
		t.Error("a setting has changed what is built in")
	}
	if _, ok := (Kinds{}).Of("parse.created"); ok {
		t.Error("a kind of one setting is known without it")
	}
	if all := kinds.String(); all != "version 2 with parse=parse,contract=contracts,w_8=w-8ben-e,parse_set=parse,check=checks,w9_set=w9s" {
		t.Error(all)
	}
}

func TestWrongSettingIsRefused(t *testing.T) {
	long := strings.Repeat("a", 65)
	for setting, says := range map[string]string{
		"parse": "pairs", "parse=": "pairs", "=parse": "pairs", ",": "pairs", "a=b,": "pairs", " a=b": "pairs", "a=b, c=d": "pairs", "a=b=c": "pairs",
		"A=b": "pairs", "a=B": "pairs", "a.b=c": "pairs", "a=b/c": "pairs", "a=..": "pairs", "a=b_c": "pairs", "a-b=c": "pairs", "_a=b": "pairs", "a=-b": "pairs",
		"é=b": "pairs", "a=b\n": "pairs", long + "=b": "pairs", "b=" + long: "pairs", "_set=b": "pairs", "a_set_set=b": "pairs", "unsupported=b": "pairs",
		"document=receipts": "retrieved from documents", "check_set=check": "retrieved from checks", "a=b,a=c": "retrieved from b", "a=b,a_set=c": "retrieved from b",
		"a=a,b=b,c=c,d=d,e=e,f=f": "may add 5 kinds, and adds 6",
	} {
		if _, err := ParseKinds(setting); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "MORE_KINDS") {
			t.Errorf("%s: %v", setting, err)
		}
	}
	if _, err := ParseKinds("a=a,b=b,c=c,d=d,e=e,e_set=e,document=documents"); err != nil {
		t.Error(err)
	}
}

// TestOtherKeysAreThoseOfAllOtherKinds is what finds a caught call under another name.
func TestOtherKeysAreThoseOfAllOtherKinds(t *testing.T) {
	kinds, err := ParseKinds("parse=parse")
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"5", "bank_statement#5", "w2#5", "check#5", "anydocument#5", "parse#5"}
	for name, key := range map[string]string{
		"document.created": "5", "document.failed": "5", "document.enriched": "5", "bank_statement_set.created": "bank_statement#5",
		"bank_statement.created": "bank_statement#5", "w2_set.created": "w2#5", "w2.failed": "w2#5", "check.created": "check#5", "parse.failed": "parse#5",
	} {
		m := Message{Event: name, ID: 5, ParentID: 4}
		want := slices.DeleteFunc(slices.Clone(all), func(other string) bool { return other == key })
		if diff := cmp.Diff(want, kinds.OtherKeys(m)); diff != "" || m.Key() != key {
			t.Errorf("%s: key %s, %s", name, m.Key(), diff)
		}
	}
	for _, m := range []Message{
		{Event: "w2_set.failed", ID: 5, ParentID: 5}, {Event: Reconciled, ID: 5}, {Event: "check.reconciled", ID: 5}, {Event: "x", Data: "{}"},
	} {
		if keys := kinds.OtherKeys(m); keys != nil {
			t.Errorf("%+v: %v", m, keys)
		}
	}
}

func TestKindOfAKey(t *testing.T) {
	for key, want := range map[string]string{
		"5": "document", "bank_statement#5": "bank_statement", "w2#9223372036854775807": "w2", "check#5": "check",
		"document#5": "", "check#": "", "check#0": "", "check#05": "", "check#-5": "", "check#+5": "", "check#5#5": "", "x#5": "", "05": "", "": "", "#5": "",
		"bank_statement_set#5": "", "unsupported#1234567812345678": "", "9223372036854775808": "",
	} {
		kind, id, ok := Kinds{}.OfKey(key)
		if ok != (want != "") || ok && (kind.Name != want || kind.Key(id) != key) {
			t.Errorf("%s: %s, %d, %v", key, kind.Name, id, ok)
		}
	}
}

// TestUnknownKindIsNotMalformed has what a webhook of a newer version sends.
func TestUnknownKindIsNotMalformed(t *testing.T) {
	for body, isKnown := range map[string]bool{
		`{"version":2,"event":"check.created","id":5}`:  true,
		`{"version":1,"event":"reconciled","id":5}`:     true,
		`{"version":1,"event":"x.created","data":"{}"}`: true,
		`{"version":2,"event":"parse.created","id":5}`:  false,
		`{"version":2,"event":"check.deleted","id":5}`:  false,
	} {
		m, err := DecodeMessage(body)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Kinds{}).Check(m); errors.Is(err, ErrUnknownKind) == isKnown || (err == nil) != isKnown {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// TestUnsupportedEventIsJudgedOnceByEachTable follows a row through two versions.
func TestUnsupportedEventIsJudgedOnceByEachTable(t *testing.T) {
	more, err := ParseKinds("parse=parse")
	if err != nil {
		t.Fatal(err)
	}
	text := Kinds{}.Unsupported([]string{"parse.created"}, `{"id":5}`)
	if text != "this version does not know the event; its data is kept here (version 2)" || !(Kinds{}).HasJudged(text) || more.HasJudged(text) {
		t.Error(text)
	}
	if text := more.Unsupported([]string{"parse.created"}, `{"id":5}`); more.HasJudged(text) || more.Reread("parse.created", `{"id":5}`).IDs[0] != 5 {
		t.Error(text)
	}
	// A name that nobody knows does not hide one that is known.
	if text := more.Unsupported([]string{"x", "parse.created", "y"}, `{"id":5}`); more.HasJudged(text) {
		t.Error(text)
	}
	for _, data := range []Text{`{"id":0}`, `{}`, `null`, `7`, `]`, ``} {
		text := more.Unsupported([]string{"x", "parse.created"}, data)
		if text != "the data of this parse.created has no usable ids (version 2 with parse=parse)" || !more.HasJudged(text) || (Kinds{}).HasJudged(text) {
			t.Errorf("%s: %s", data, text)
		}
	}
	if text := more.TakenUp(); !more.HasJudged(text) || !IsTakenUp(text) || (Kinds{}).HasJudged(text) || IsTakenUp(more.Unsupported([]string{"x"}, "{}")) {
		t.Error(text)
	}
	if (Kinds{}).HasJudged("this version does not know the event; its data is kept here") {
		t.Error("what version 1 wrote counts as judged")
	}
}

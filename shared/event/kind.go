package event

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Kind is a kind of document that Veryfi announces.
type Kind struct {
	// Name stands before the dot in the names of its events, and before the number in
	// the keys of its rows.
	Name string
	// Resource is where its documents are retrieved from, as it stands in the paths of
	// Veryfi's API.
	Resource string
	// HasSets says that one file may become several documents. Events about them have
	// "_set" behind the kind's name, the documents in id and the set in parent_id.
	HasSets bool
	// since is the version of its messages.
	since int
}

// builtIn are the kinds that this code knows by itself. A new one is a line here, with a
// [Version] of its own, and its known answers in the tests.
var builtIn = []Kind{
	{documents, "documents", false, 1},
	{"bank_statement", "bank-statements", true, 2},
	{"w2", "w2s", true, 2},
	{"check", "checks", false, 2},
	{"anydocument", "any-documents", false, 2},
}

const (
	documents = "document" // the kind whose keys are bare numbers
	setSuffix = "_set"
)

// What events say about a document or a set, behind the dot of their names.
const (
	actionCreated    = "created"
	actionFailed     = "failed"
	actionEnriched   = "enriched"
	actionReconciled = "reconciled" // the reconciler's own
)

// Key returns the key of the row of the document with that number.
func (k Kind) Key(id int64) string { return keyOf(k.Name, id) }

func keyOf(kind string, id int64) string {
	number := strconv.FormatInt(id, 10)
	if kind == documents {
		return number
	}
	return kind + "#" + number
}

// FailedSetKey returns the key of the row of a failed set.
func (k Kind) FailedSetKey(id int64) string { return keyOf(k.Name+setSuffix, id) }

// Reconciled returns the name of the event with which the reconciler announces a document.
func (k Kind) Reconciled() string {
	if k.Name == documents {
		return Reconciled
	}
	return k.Name + "." + actionReconciled
}

// Kinds are the kinds that a function knows. The zero value has those that this code knows
// by itself.
type Kinds struct {
	all     []Kind // nil for those that are built in
	setting string
}

// maxMoreKinds is how many kinds a setting may add. The processor looks for a document
// under the keys of all kinds, and DynamoDB reads a hundred rows in one call: those of ten
// documents.
const maxMoreKinds = 5

// ParseKinds adds the kinds of a setting: event=resource, with commas between them, such
// as parse=parse,contract=contracts. With "_set" behind the event's name
// (parse_set=parse), sets are announced, too.
func ParseKinds(more string) (Kinds, error) {
	if more == "" {
		return Kinds{}, nil
	}
	kinds := Kinds{slices.Clone(builtIn), more}
	for pair := range strings.SplitSeq(more, ",") {
		prefix, resource, _ := strings.Cut(pair, "=")
		name, isSet := strings.CutSuffix(prefix, setSuffix)
		switch known, isKnown := kinds.Named(name); {
		case !isName(name, '_') || !isName(resource, '-') || strings.HasSuffix(name, setSuffix) || name == unsupported:
			return Kinds{}, fmt.Errorf("MORE_KINDS must be pairs such as parse=parse,contract=contracts; %q is not one", pair)
		case isKnown && known.Resource != resource:
			return Kinds{}, fmt.Errorf("MORE_KINDS says that %s is retrieved from %q, and it is retrieved from %s", prefix, resource, known.Resource)
		case !isKnown:
			kinds.all = append(kinds.all, Kind{name, resource, isSet, 2})
		case isSet:
			kinds.all[slices.Index(kinds.all, known)].HasSets = true
		}
	}
	if added := len(kinds.all) - len(builtIn); added > maxMoreKinds {
		return Kinds{}, fmt.Errorf("MORE_KINDS may add %d kinds, and adds %d", maxMoreKinds, added)
	}
	return kinds, nil
}

// isName reports whether s is a name of 1 to 64 lower-case letters and digits, with a
// separator between them.
func isName(s string, separator byte) bool {
	const most = 64
	isOther := func(c rune) bool { return c != rune(separator) && (c < 'a' || c > 'z') && (c < '0' || c > '9') }
	return s != "" && len(s) <= most && s[0] != separator && !strings.ContainsFunc(s, isOther)
}

// All returns the kinds. Do not change them.
func (k Kinds) All() []Kind {
	if k.all == nil {
		return builtIn
	}
	return k.all
}

// Named returns the kind with that name.
func (k Kinds) Named(name string) (kind Kind, ok bool) {
	for _, kind := range k.All() {
		if kind.Name == name {
			return kind, true
		}
	}
	return Kind{}, false
}

// Of returns the kind that an event with that name is about. It is not ok for a name that
// is not known.
func (k Kinds) Of(event string) (kind Kind, ok bool) {
	n := split(event)
	kind, ok = k.Named(n.kind)
	switch {
	case n.isSet && !kind.HasSets:
		return Kind{}, false
	case n.action == actionCreated, n.action == actionFailed, n.action == actionReconciled, n.action == actionEnriched && event == DocumentEnriched:
		return kind, ok
	default:
		return Kind{}, false
	}
}

// OfKey returns the kind and the number in the key of a document's row.
func (k Kinds) OfKey(key string) (kind Kind, id int64, ok bool) {
	name, number, isOther := strings.Cut(key, "#")
	if !isOther {
		name, number = documents, key
	}
	kind, isKnown := k.Named(name)
	id, err := strconv.ParseInt(number, 10, 64)
	return kind, id, isKnown && err == nil && id > 0 && kind.Key(id) == key
}

// String names the table: the version that this code has, and the setting.
func (k Kinds) String() string {
	text := "version " + strconv.Itoa(Version)
	if k.setting != "" {
		text += " with " + k.setting
	}
	return text
}

// parts are the parts of an event's name.
type parts struct {
	kind   string
	isSet  bool
	action string
}

func split(event string) parts {
	if event == Reconciled {
		return parts{documents, false, actionReconciled}
	}
	prefix, action, _ := strings.Cut(event, ".")
	kind, isSet := strings.CutSuffix(prefix, setSuffix)
	return parts{kind, isSet, action}
}

// firstNames are the names in messages of version 1.
var firstNames = []string{DocumentCreated, DocumentFailed, BankStatementSetCreated, BankStatementSetFailed, Reconciled}

// VersionOf returns the version of the messages of an event with ids.
func VersionOf(event string) int {
	if slices.Contains(firstNames, event) {
		return 1
	}
	kind, _ := Kinds{}.Named(split(event).kind)
	return max(2, kind.since)
}

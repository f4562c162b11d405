package contract_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"veryfi-intake/shared/event"
)

// A documentedKind is a line of the table in docs/reference.md.
type documentedKind struct{ resource, key string }

func TestEveryKindIsDocumented(t *testing.T) {
	t.Parallel()
	const number = 690001 // in the documented keys
	is := map[string]documentedKind{}
	for _, kind := range (event.Kinds{}).All() {
		is[kind.Name] = documentedKind{kind.Resource, kind.Key(number)}
		if kind.HasSets {
			is[kind.Name+"_set"] = is[kind.Name]
		}
	}
	_, section, _ := strings.Cut(read(t, "docs/reference.md"), "\n## Kinds\n")
	section, _, _ = strings.Cut(section, "\n### ")
	said := map[string]documentedKind{}
	row := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| `([\\w-]+)` \\| `([\\w#]+)` \\| [^|]+ \\| (documented|in part|by analogy) \\|$")
	for _, r := range row.FindAllStringSubmatch(section, -1) {
		said[r[1]] = documentedKind{r[2], r[3]}
	}
	if !maps.Equal(said, is) {
		t.Errorf("docs/reference.md has the kinds %v, the code %v", said, is)
	}
}

// TestWhatTheTemplateTakesAreKinds holds for all pairs that name no kind of this version.
func TestWhatTheTemplateTakesAreKinds(t *testing.T) {
	t.Parallel()
	for _, value := range slices.Concat(parameters["MoreKinds"].takes, parameters["MoreKinds"].samples) {
		if _, err := event.ParseKinds(value); err != nil {
			t.Errorf("MoreKinds takes %q: %v", value, err)
		}
	}
	for _, kinds := range slices.Concat(parameters["ReconcileKinds"].samples, []string{"document,check,bank_statement,w2,anydocument"}) {
		for name := range strings.SplitSeq(kinds, ",") {
			if _, ok := (event.Kinds{}).Named(name); !ok {
				t.Errorf("ReconcileKinds is documented with %q, which is no kind", name)
			}
		}
	}
}

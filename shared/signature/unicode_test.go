package signature

import (
	"strconv"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// TestNewCharactersAreThoseOfUnicode counts them. Unicode publishes such counts as "Graphic
// Characters", Delta, at https://www.unicode.org/versions/stats/; that of 15.0 was read there,
// the others were computed from the packages that unicode.py names, and those of 16.0 and 17.0
// agree with what others quote. Which characters they are is compared with
// Go's tables, here, and with the CPython of this machine in
// TestEveryCharacterIsPrintedAsCPythonDoes.
func TestNewCharactersAreThoseOfUnicode(t *testing.T) {
	t.Parallel()
	count := map[python]rune{}
	end := rune(unicode.MaxLatin1)
	for _, n := range newRunes {
		if n.lo <= end || n.hi < n.lo {
			t.Errorf("%U to %U follows %U", n.lo, n.hi, end)
		}
		end = n.hi
		count[n.since] += n.hi - n.lo + 1
	}
	want := map[python]rune{
		9:  5930, // Unicode 13.0
		11: 836,  // 14.0, without 2 format characters
		12: 4482, // 15.0, without 7 format characters
		13: 627,  // 15.1
		14: 5185, // 16.0
		15: 4803, // 17.0
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	like, ok := map[string]python{"15.0.0": 12, "17.0.0": 15}[unicode.Version]
	for r := rune(0); ok && r <= unicode.MaxRune; r++ {
		if since, ok := printableSince(r); ok && strconv.IsPrint(r) != (since <= like) {
			t.Fatalf("%U: printable since CPython 3.%d", r, since)
		}
	}
}

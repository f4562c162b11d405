package setting

import (
	"strings"
	"testing"
)

func TestOnlyWholeNumbersInTheirBoundsAreTaken(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "10": true, "0": false, "11": false, "-1": false, "+5": false, "05": false, " 5": false, "5 ": false, "5.0": false, "1e1": false, "0x5": false, "٥": false, "": false,
	} {
		getenv := func(string) string { return text }
		n, err := Whole(getenv, "SETTING", 1, 10)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "SETTING must be a whole number from 1 to 10") {
			t.Errorf("%q: %d, %v", text, n, err)
		}
		if or, err := WholeOr(7, getenv, "SETTING", 1, 10); text == "" && (or != 7 || err != nil) || text != "" && (err == nil) != want {
			t.Errorf("%q or 7: %d, %v", text, or, err)
		}
	}
}

package failure

import (
	"errors"
	"fmt"
	"testing"
)

func TestClassIsTheOutermost(t *testing.T) {
	plain := errors.New("x")
	for _, test := range []struct {
		err  error
		want Class
	}{
		{nil, ""},
		{plain, Internal},
		{fmt.Errorf("around: %w", plain), Internal},
		{Table.Of(plain), Table},
		{fmt.Errorf("around: %w", Table.Of(plain)), Table},
		{Malformed.Of(Table.Of(plain)), Malformed},
		{fmt.Errorf("two: %w, %w", plain, Refused.New("y")), Refused},
	} {
		if got := ClassOf(test.err); got != test.want {
			t.Errorf("%v is of class %q, not %q", test.err, got, test.want)
		}
	}
	if err := Table.Of(plain); !errors.Is(err, plain) || err.Error() != "x" {
		t.Errorf("%v", err)
	}
}

func TestTextTellsItsClass(t *testing.T) {
	for _, class := range All() {
		if text := Text(class.New("why: so")); text != string(class)+": why: so" || Parse(text) != class {
			t.Errorf("%q is of class %q", text, Parse(text))
		}
	}
	for _, text := range []string{"", "not found", "not founder: x", " table: x", "whatever: x"} {
		if class := Parse(text); class != "" {
			t.Errorf("%q is of class %q", text, class)
		}
	}
}

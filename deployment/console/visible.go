package console

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"veryfi-intake/shared/jsonscan"
)

// Visible returns text on one line, with what would act on a terminal, or turn the
// text around, written out: control characters (C0, DEL, C1), line breaks, Unicode's
// bidirectional controls, and bytes that are not UTF-8, as \x1b, \n, \u202e or \xff.
func Visible(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case acts(r):
			quoted := strconv.QuoteToASCII(text[:size])
			out.WriteString(quoted[1 : len(quoted)-1])
		default:
			out.WriteString(text[:size])
		}
		text = text[size:]
	}
	return out.String()
}

// acts reports whether a character does something where it is printed.
func acts(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

// message is fmt.Sprintf with each value made visible: the format is the program's own
// text, the values are anybody's.
func message(format string, values []any) string {
	shown := make([]any, len(values))
	for i, v := range values {
		shown[i] = foreign{v}
	}
	return fmt.Sprintf(format, shown...)
}

// A foreign value is printed as [Visible] has it, whatever the verb.
type foreign struct{ value any }

func (f foreign) Format(s fmt.State, verb rune) {
	_, _ = io.WriteString(s, Visible(fmt.Sprintf(fmt.FormatString(s, verb), f.value))) // to a buffer
}

// visibleJSON returns a JSON text with what [Visible] writes out escaped as JSON does
// it. Between the tokens it must have ASCII only, as all of encoding/json's output. In
// a string, half of a surrogate pair stays what it is, and another byte that is not
// UTF-8 becomes U+FFFD.
func visibleJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		if text[0] < 0x7f {
			out, text = append(out, text[0]), text[1:]
			continue
		}
		r, size := jsonscan.Rune(text)
		switch {
		case r == jsonscan.Invalid:
			out = append(out, `\ufffd`...)
		case acts(r), utf16.IsSurrogate(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return out
}

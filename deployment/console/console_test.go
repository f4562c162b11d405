package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func show(c *Console) {
	c.Step("starting on port %d", 8080)
	c.Good("ready")
	c.Bad("row 1 is missing")
	c.Field("webhook", "http://127.0.0.1:8080/webhook/veryfi")
	c.Table("Rows", []string{"id", "status", "error"}, [][]string{
		{"1031", "processed", ""},
		{"bank_statement#690001", "failed", "Couldn't read it"},
	})
	c.Log("WebhookFunction", `{"timestamp":"2026-01-02T03:04:05.678Z","level":"INFO","message":"enqueued","ids":2,"event":"document.created","why":"two words"}`)
	c.Log("ProcessorFunction", `{"timestamp":"2026-01-02T03:04:05.678Z","level":"INFO","message":"stored","_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["Stack","Class"]],"Metrics":[{"Name":"Stored"}]}]},"Stack":"s","Class":"c","Stored":1,"attempts":1}`)
	c.Log("ProcessorFunction", "panic: not JSON")
	c.Log("ProcessorFunction", `{"cut":`)
}

const plain = `· starting on port 8080
✓ ready
✗ row 1 is missing
  webhook        http://127.0.0.1:8080/webhook/veryfi

Rows
  id                     status     error
  1031                   processed
  bank_statement#690001  failed     Couldn't read it
03:04:05.678 WebhookFunction   INFO  enqueued ids=2 event=document.created why="two words"
03:04:05.678 ProcessorFunction INFO  stored attempts=1
ProcessorFunction panic: not JSON
ProcessorFunction {"cut":
`

func TestPlainOutputHasNoColours(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	show(New(&out, false))
	if out.String() != plain {
		t.Errorf("got\n%s\nwant\n%s", out.String(), plain)
	}
}

func TestColouredOutputSaysTheSame(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	show(New(&out, true))
	coloured := out.String()
	if !strings.Contains(coloured, "\x1b[32m") {
		t.Fatal("no green anywhere")
	}
	var lines []string
	for line := range strings.Lines(ansi.Strip(coloured)) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	if got := strings.Join(lines, "\n") + "\n"; got != plain {
		t.Errorf("got\n%s\nwant\n%s", got, plain)
	}
}

// acting is what must not reach a terminal as it is, each of its kinds.
var acting = func() string {
	text := "\xff\xe2\x80"
	for _, between := range [][2]rune{{0, 0x1f}, {0x7f, 0x9f}, {0x061c, 0x061c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}} {
		for r := between[0]; r <= between[1]; r++ {
			text += string(r)
		}
	}
	return text
}()

// raw returns what of an output acts on a terminal, without the program's own line
// breaks.
func raw(output string) string {
	var found strings.Builder
	for i, r := range output {
		if r != '\n' && strings.ContainsRune(acting, r) && r != utf8.RuneError || r == utf8.RuneError && output[i] != '\xef' {
			fmt.Fprintf(&found, "%q at %d ", r, i)
		}
	}
	return found.String()
}

func TestNothingForeignActsOnTheTerminal(t *testing.T) {
	t.Parallel()
	quoted, err := json.Marshal(acting)
	if err != nil {
		t.Fatal(err)
	}
	unescaped := `"` + strings.Map(func(r rune) rune {
		if r < 0x20 {
			return -1
		}
		return r
	}, acting) + `"`
	for name, test := range map[string]struct {
		print func(*Console)
		lines int
	}{
		"step":   {func(c *Console) { c.Step("%s %v %5q", acting, errors.New(acting), acting) }, 1},
		"good":   {func(c *Console) { c.Good("%-9s", acting) }, 1},
		"bad":    {func(c *Console) { c.Bad("%+v", struct{ text string }{acting}) }, 1},
		"line":   {func(c *Console) { c.Line("a\n%v", []string{acting}) }, 2},
		"prompt": {func(c *Console) { c.Prompt("%s: ", acting) }, 0},
		"field":  {func(c *Console) { c.Field("name", acting) }, 1},
		"table":  {func(c *Console) { c.Table("title", []string{"a", "b"}, [][]string{{acting, "error " + acting}}) }, 4},
		"log":    {func(c *Console) { c.Log(acting, acting) }, 1},
		"JSON log": {func(c *Console) {
			for _, value := range []string{string(quoted), unescaped} {
				c.Log("f", `{"time":`+value+`,"level":`+value+`,"msg":`+value+`,`+value+`:`+value+`,"list":[`+value+`]}`)
			}
		}, 2},
		"JSON": {func(c *Console) { _ = c.JSON(map[string]any{acting: acting, "raw": json.RawMessage(unescaped)}, true) }, 4},
	} {
		var out bytes.Buffer
		test.print(New(&out, false))
		if found := raw(out.String()); found != "" {
			t.Errorf("%s prints %s", name, found)
		}
		if lines := strings.Count(out.String(), "\n"); lines != test.lines {
			t.Errorf("%s prints %d lines:\n%s", name, lines, out.String())
		}
	}
}

func TestVisibleTextSaysWhatWasThere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Bäckerei „Süd“ 東京 🧾 \\x1b":     "Bäckerei „Süd“ 東京 🧾 \\x1b",
		"\x1b]52;c;aGk=\a":              `\x1b]52;c;aGk=\a`,
		"a\r\n\tb\u009bc\u202ed":        `a\r\n\tb\u009bc\u202ed`,
		"\xed\xa0\x80\xffé\u007f\ufffd": `\xed\xa0\x80\xffé\x7f` + "\ufffd",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q is shown as %s", text, got)
		}
	}
}

func TestJSONKeepsItsMeaning(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := New(&out, true).JSON(json.RawMessage("[\"\u009b\u007f\u202e é <&> \u2028\xed\xa0\xbd\xff\"]"), false); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), `["\u009b\u007f\u202e é <&> \u2028\ud83d\ufffd"]`+"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if New(io.Discard, false).JSON(func() {}, false) == nil {
		t.Error("a function was printed")
	}
}

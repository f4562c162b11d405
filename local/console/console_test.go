package console

import (
	"bytes"
	"strings"
	"testing"

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

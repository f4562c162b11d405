package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"veryfi-intake/local/standin"
	"veryfi-intake/proof/bench/cost"
)

// TestADocumentTakesTwoLogLines holds the log to what the cost table reckons with,
// in bytes.
func TestADocumentTakesTwoLogLines(t *testing.T) {
	t.Parallel()
	id := newID()
	pipeline.Veryfi.Put(standin.Documents, id, standin.Receipt(id))
	if status := post(t, sign(t, "document.created", fmt.Sprintf(`{"id": %d, "created": "2026-06-25 14:03:04"}`, id))); status != 200 {
		t.Fatalf("status %d", status)
	}
	row(t, fmt.Sprint(id), "processed")
	mentions := fmt.Sprintf(`"document_id":"%d"`, id)
	lines := written.Containing(mentions)
	for end := time.Now().Add(patience); len(lines) < 2 && time.Now().Before(end); lines = written.Containing(mentions) {
		time.Sleep(10 * time.Millisecond)
	}
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), lines)
	}
	counted := 0
	for message, assumed := range map[string]int{`"accepted"`: cost.WebhookLog, `"stored"`: cost.ProcessorLog} {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, message) })
		if i < 0 {
			t.Fatalf("no line %s", message)
		}
		_, line, _ := strings.Cut(lines[i], ": ") // after the function's name
		if len(line) > assumed || len(line) < assumed*3/4 {
			t.Errorf("the line %s has %d bytes, and %d are reckoned with", message, len(line), assumed)
		}
		counted += strings.Count(line, `{"Name":`)
	}
	if counted != cost.DocumentMetrics {
		t.Errorf("%d metrics are counted, and %d are reckoned with", counted, cost.DocumentMetrics)
	}
}

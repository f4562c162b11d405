package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"veryfi-intake/proof/bench/cost"
)

// TestADocumentTakesTwoLogLines compares the log with what the cost table assumes, in
// bytes.
func TestADocumentTakesTwoLogLines(t *testing.T) {
	t.Parallel()
	id := receipt()
	if status := post(t, sign(t, "document.created", fmt.Sprintf(`{"id": %d, "created": "2026-06-25 14:03:04"}`, id))); status != 200 {
		t.Fatalf("status %d", status)
	}
	row(t, id, "processed")
	mentions := fmt.Sprintf(`"document_id":"%d"`, id)
	until(func() bool { return len(written.Containing(mentions)) >= 2 })
	lines := written.Containing(mentions)
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
			t.Errorf("the line %s has %d bytes, and %d are assumed", message, len(line), assumed)
		}
		counted += strings.Count(line, `{"Name":`)
	}
	if counted != cost.DocumentMetrics {
		t.Errorf("%d metrics are counted, and %d are assumed", counted, cost.DocumentMetrics)
	}
}

package demo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/console"
	"veryfi-intake/local/stack"
)

// longestError is how much of an error the table shows, in characters.
const longestError = 60

func printDeliveries(out *console.Console, deliveries []delivery) {
	var rows [][]string
	for _, d := range deliveries {
		status := strconv.Itoa(d.last().Status)
		if len(d.answers) > 1 {
			status += fmt.Sprintf(" ×%d", len(d.answers))
		}
		rows = append(rows, []string{d.name, d.event, status, short(d.last().Took), d.last().Body})
	}
	out.Table("Webhooks", []string{"webhook", "event", "answer", "took", "body"}, rows)
}

func printRows(out *console.Console, table map[string]stack.Row) {
	byTime := slices.SortedFunc(maps.Values(table), func(a, b stack.Row) int {
		return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), strings.Compare(a.ID, b.ID))
	})
	var rows [][]string
	for _, row := range byTime {
		attempts := ""
		if row.Attempts > 0 {
			attempts = strconv.Itoa(row.Attempts)
		}
		text := row.Error
		if runes := []rune(text); len(runes) > longestError {
			text = string(runes[:longestError-1]) + "…"
		}
		rows = append(rows, []string{row.ID, row.Status, attempts, formOf(row.Item), short(row.UpdatedAt.Sub(row.ReceivedAt)), text})
	}
	out.Table("Rows", []string{"id", "status", "attempts", "document", "after", "error"}, rows)
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// The forms in which a row holds its document.
const (
	native  = "native"
	gzipped = "gzip"
)

func formOf(item deployment.Row) string {
	switch {
	case item["document"] != nil:
		return native
	case item["document_gzip"] != nil:
		return gzipped
	}
	return ""
}

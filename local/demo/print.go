package demo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
		rows = append(rows, []string{d.name, d.webhook.Event, status, short(d.last().Took), d.last().Body})
	}
	out.Table("Webhooks", []string{"webhook", "event", "answer", "took", "body"}, rows)
}

func printRows(out *console.Console, table map[string]stack.Row) {
	var rows [][]string
	for _, row := range sorted(table) {
		attempts := ""
		if row.Attempts > 0 {
			attempts = strconv.Itoa(row.Attempts)
		}
		rows = append(rows, []string{row.ID, row.Status, attempts, formOf(row.Item), short(row.UpdatedAt.Sub(row.ReceivedAt)), cut(row.Error)})
	}
	out.Table("Rows", []string{"id", "status", "attempts", "document", "after", "error"}, rows)
}

func sorted(table map[string]stack.Row) (rows []stack.Row) {
	for _, row := range table {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b stack.Row) int {
		if c := a.ReceivedAt.Compare(b.ReceivedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return rows
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > longestError {
		return string(runes[:longestError-1]) + "…"
	}
	return text
}

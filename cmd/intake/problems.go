package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"veryfi-intake/deployment"
	"veryfi-intake/shared/store"
)

type problemsCommand struct {
	Status string `enum:"failed,retrying,error,unsupported," default:"" help:"Only rows of this status: failed, retrying, error or unsupported."`
	Class  string `placeholder:"CLASS" help:"Only rows whose error begins with this class, such as 'not found'."`
	Limit  int    `default:"50" help:"How many rows of each status to show, at most (${default})."`
}

func (problemsCommand) Help() string {
	return `failed: Veryfi could not process the document. retrying: will be tried again by itself. error: given up, with a copy among the dead letters ('intake redrive'). unsupported: an event that this version does not know.`
}

// A problem is a row that needs attention, for machines.
type problem struct {
	ID        string       `json:"id"`
	Status    store.Status `json:"status"`
	Class     string       `json:"class"`
	Error     string       `json:"error"`
	Attempts  int          `json:"attempts"`
	UpdatedAt time.Time    `json:"updated_at"`
	RequestID string       `json:"request_id"`
}

// searched is how many rows are looked at for those of a class.
const searched = 10_000

// Validate bounds the list.
func (c problemsCommand) Validate() error {
	if c.Limit < 1 || c.Limit > searched {
		return fmt.Errorf("--limit must be a number from 1 to %d", searched)
	}
	return nil
}

func (c problemsCommand) Run(a *app, s *deployment.Stack) error {
	statuses := deployment.ProblemStatuses
	if c.Status != "" {
		statuses = []store.Status{store.Status(c.Status)}
	}
	found := []problem{}
	for _, status := range statuses {
		some, err := c.ofStatus(a, s, status)
		if err != nil {
			return err
		}
		if len(some) == c.Limit {
			a.note("Only the latest %d rows of %s are shown and counted; --limit shows more.", c.Limit, status)
		}
		found = append(found, some...)
	}
	slices.SortStableFunc(found, func(a, b problem) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	switch {
	case a.JSON:
		return a.printJSON(found)
	case len(found) > 0:
		printProblems(a, found)
	case c.Class != "" || c.Status != "":
		a.say("No such row.")
	default:
		a.result.Good("no row needs attention")
	}
	return nil
}

// ofStatus returns the latest rows of a status and the class that is asked for.
func (c problemsCommand) ofStatus(a *app, s *deployment.Stack, status store.Status) (found []problem, err error) {
	limit := c.Limit
	if c.Class != "" {
		limit = searched
	}
	rows, err := s.Problems(a, status, limit)
	for _, row := range rows {
		class := string(row.Class())
		if (c.Class == "" || c.Class == class) && len(found) < c.Limit {
			found = append(found, problem{row.ID, row.Status, class, row.Error, row.Attempts, row.UpdatedAt, row.RequestID})
		}
	}
	return found, err
}

func printProblems(a *app, found []problem) {
	byClass := map[string]int{}
	var rows, classes [][]string
	for _, p := range found {
		byClass[string(p.Status)+" "+p.Class]++
		rows = append(rows, []string{string(p.Status), p.ID, p.UpdatedAt.Format(time.DateTime), strconv.Itoa(p.Attempts), shorten(p.Error, 100)})
	}
	for _, class := range slices.SortedFunc(maps.Keys(byClass), func(a, b string) int { return byClass[b] - byClass[a] }) {
		status, name, _ := strings.Cut(class, " ")
		classes = append(classes, []string{status, name, strconv.Itoa(byClass[class])})
	}
	a.result.Table("By class", []string{"status", "class", "rows"}, classes)
	a.result.Table("Newest first", []string{"status", "id", "updated (UTC)", "tries", "why"}, rows)
}

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"veryfi-intake/deployment"
)

type tailCommand struct {
	Document string        `placeholder:"ID" help:"Only what is about this document."`
	Since    time.Duration `help:"How far to look back: 10m unless said, and with --document to when its webhook came."`
	NoFollow bool          `help:"Print what there is, and end."`
}

const (
	// pollInterval is the time between two looks at the logs.
	pollInterval = 2 * time.Second
	// lookBack is how far back to begin.
	lookBack = 10 * time.Minute
	// failedPolls is how often in a row the logs may not be read.
	failedPolls = 5
)

func (tailCommand) Help() string {
	return `Times are UTC. With --json each line is an object: the time, the function, and the line itself, or "text" where that is no JSON.`
}

func (c tailCommand) Run(a *app, s *deployment.Stack) error {
	from, err := c.from(a, s)
	if err != nil {
		return err
	}
	follower, story := s.Logs("", from), deployment.NewStory(c.Document)
	printed, failed := 0, 0
	for {
		lines, err := follower.Next(a)
		if failed++; err == nil {
			failed = 0
		}
		// To be stopped is no failure.
		if a.Err() == nil && (failed > failedPolls || err != nil && c.NoFollow) {
			return err
		}
		for _, line := range story.Of(lines) {
			if err := c.print(a, line); err != nil {
				return err
			}
			printed++
		}
		if c.NoFollow && printed == 0 {
			a.note("There are no such lines since %s UTC; --since looks further back.", from.UTC().Format(time.DateTime))
		}
		if c.NoFollow || !deployment.Wait(a, pollInterval) {
			return nil
		}
	}
}

// from returns when to begin.
func (c tailCommand) from(a *app, s *deployment.Stack) (time.Time, error) {
	now := time.Now()
	if c.Since > 0 || c.Document == "" {
		return now.Add(-cmp.Or(c.Since, lookBack)), nil
	}
	row, err := s.Row(a, c.Document)
	if err != nil {
		return now, err
	}
	if received, err := time.Parse(time.RFC3339, row.Text("received_at")); err == nil {
		return received.Add(-deployment.Lateness), nil
	}
	return now.Add(-lookBack), nil
}

func (tailCommand) print(a *app, l deployment.Line) error {
	if a.JSON {
		object := map[string]any{"time": l.At.UTC(), "function": l.Function, "line": json.RawMessage(l.Text)}
		if l.Members == nil {
			delete(object, "line")
			object["text"] = l.Text
		}
		return a.result.JSON(object, false)
	}
	parts := []string{fmt.Sprintf("%s  %-10s", l.At.UTC().Format("2006-01-02 15:04:05.000"), l.Function)}
	if l.Member("message") == "" {
		parts = append(parts, shorten(l.Text, 200))
	} else {
		if id := l.Member("document_id"); id != "" {
			parts = append(parts, id)
		}
		parts = append(parts, l.Member("message"))
		for _, name := range []string{"event", "messages", "status", "attempts", "receive_count", "listed", "enqueued", "verification_code", "error", "request_id"} {
			if value := l.Member(name); value != "" {
				parts = append(parts, name+"="+value)
			}
		}
	}
	a.say("%s", strings.Join(parts, "  "))
	return nil
}

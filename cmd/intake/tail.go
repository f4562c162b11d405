package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

type tailCommand struct {
	Document string        `placeholder:"ID" help:"Only what is about this document."`
	Since    time.Duration `help:"How far to look back: 10m unless said, and with --document to when its webhook came."`
	NoFollow bool          `help:"Print what there is, and end."`
}

const (
	// pollInterval is the time between two looks at the logs. CloudWatch allows five
	// requests a second for FilterLogEvents, and there are three groups.
	pollInterval = 2 * time.Second
	// lateness is how long a line may take to come to the logs.
	lateness = 20 * time.Second
	// lookBack is how far back to begin.
	lookBack = 10 * time.Minute
	// failedPolls is how often in a row the logs may not be read.
	failedPolls = 5
)

// Help is shown by --help.
func (tailCommand) Help() string {
	return `Times are UTC. With --json each line is an object: the time, the function, and the line itself, or "text" where that is no JSON.`
}

// Run prints lines until it is stopped.
func (c tailCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	from, err := c.from(a, d)
	if err != nil {
		return err
	}
	follower := newFollower(d, "", from, webhookLog, processorLog, reconcilerLog)
	story := story{only: c.Document, requests: map[string]bool{}, waiting: map[string][]logLine{}}
	printed, failed := 0, 0
	for {
		lines, err := follower.next(a)
		if failed++; err == nil {
			failed = 0
		}
		// To be stopped is no failure.
		if a.Err() == nil && (failed > failedPolls || err != nil && c.NoFollow) {
			return err
		}
		for _, line := range story.of(lines) {
			if err := c.print(a, line); err != nil {
				return err
			}
			printed++
		}
		if c.NoFollow && printed == 0 {
			a.note("There are no such lines since %s UTC; --since looks further back.", from.UTC().Format(time.DateTime))
		}
		if c.NoFollow || !a.pause(pollInterval) {
			return nil
		}
	}
}

// from returns when to begin.
func (c tailCommand) from(a *app, d *deployment) (time.Time, error) {
	now := time.Now()
	if c.Since > 0 || c.Document == "" {
		return now.Add(-cmp.Or(c.Since, lookBack)), nil
	}
	row, err := d.row(a, c.Document)
	if err != nil {
		return now, err
	}
	text, _ := row.plain()["received_at"].(string)
	if received, err := time.Parse(time.RFC3339, text); err == nil {
		return received.Add(-lateness), nil
	}
	return now.Add(-lookBack), nil
}

func (c tailCommand) print(a *app, line logLine) error {
	if !a.JSON {
		a.say("%s", line)
		return nil
	}
	object := map[string]any{"time": line.at.UTC(), "function": line.function}
	if line.members == nil {
		object["text"] = line.text
	} else {
		object["line"] = json.RawMessage(line.text)
	}
	return a.result.JSON(object, false)
}

// A logLine is one line of a function's log.
type logLine struct {
	at       time.Time
	function string
	text     string
	members  map[string]any // nil when it is not JSON
}

// A follower reads log groups from a time on, each line once.
type follower struct {
	client  *cloudwatchlogs.Client
	pattern string
	groups  map[string]string // names by function
	from    time.Time
	seen    map[string]time.Time
}

// newFollower returns a follower of the groups that these outputs name.
func newFollower(d *deployment, pattern string, from time.Time, outputs ...string) *follower {
	f := &follower{client: cloudwatchlogs.NewFromConfig(d.aws), pattern: pattern, groups: map[string]string{}, from: from, seen: map[string]time.Time{}}
	for _, output := range outputs {
		f.groups[strings.ToLower(strings.TrimSuffix(output, "LogGroupName"))] = d.outputs[output]
	}
	return f
}

// next returns the lines that have come since, in order. With an error come those that
// could be read.
func (f *follower) next(ctx context.Context) (lines []logLine, err error) {
	start := time.Now()
	defer func() { slices.SortStableFunc(lines, func(a, b logLine) int { return a.at.Compare(b.at) }) }()
	for _, function := range slices.Sorted(maps.Keys(f.groups)) {
		group := f.groups[function]
		input := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: aws.Int64(f.from.UnixMilli())}
		if f.pattern != "" {
			input.FilterPattern = &f.pattern
		}
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(f.client, input)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return lines, err
			}
			for _, e := range page.Events {
				id, at := function+aws.ToString(e.EventId), time.UnixMilli(aws.ToInt64(e.Timestamp))
				if _, known := f.seen[id]; known {
					continue
				}
				f.seen[id] = at
				line := logLine{at: at, function: function, text: strings.TrimSpace(aws.ToString(e.Message))}
				_ = json.Unmarshal([]byte(line.text), &line.members) // Lambda's own may be text
				lines = append(lines, line)
			}
		}
	}
	if late := start.Add(-lateness); late.After(f.from) {
		f.from = late
	}
	for id, at := range f.seen {
		if at.Before(f.from) {
			delete(f.seen, id)
		}
	}
	return lines, nil
}

func (l logLine) member(name string) string {
	switch v := l.members[name].(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(v)
	}
	return ""
}

// String is the line for people.
func (l logLine) String() string {
	head := fmt.Sprintf("%s  %-10s", l.at.UTC().Format("2006-01-02 15:04:05.000"), l.function)
	if l.members == nil || l.member("message") == "" {
		return head + "  " + shorten(l.text, 200)
	}
	parts := []string{head}
	if id := l.member("document_id"); id != "" {
		parts = append(parts, id)
	}
	parts = append(parts, l.member("message"))
	for _, name := range []string{"event", "messages", "status", "attempts", "receive_count", "listed", "enqueued", "verification_code", "error", "request_id"} {
		if value := l.member(name); value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, "  ")
}

// A story is all lines, or those about one document: those that name it, and those of
// the same request that name none, as a webhook's with several ids.
type story struct {
	only     string
	requests map[string]bool
	waiting  map[string][]logLine // by requests of which it is not known yet whether they are about it
}

// mostWaiting bounds how many requests are remembered; then all are forgotten.
const mostWaiting = 1000

// of returns the lines that belong to the story.
func (s story) of(lines []logLine) (ours []logLine) {
	for _, l := range lines {
		request, document := l.member("request_id"), l.member("document_id")
		switch {
		case s.only == "", document == "" && s.requests[request]:
			ours = append(ours, l)
		case document == s.only:
			if request != "" {
				s.requests[request] = true
			}
			ours = append(append(ours, s.waiting[request]...), l)
			delete(s.waiting, request)
		case document == "" && request != "":
			if len(s.waiting) >= mostWaiting {
				clear(s.waiting)
			}
			s.waiting[request] = append(s.waiting[request], l)
		}
	}
	return ours
}

type codeCommand struct {
	Since   time.Duration `default:"15m" help:"How far to look back (${default})."`
	Timeout time.Duration `default:"10m" help:"How long to wait (${default})."`
}

// Help is shown by --help.
func (codeCommand) Help() string {
	return `Paste the URL ('intake url') into Veryfi's Settings > Keys. Veryfi sends a code to it at once; type that into the portal, or the URL is not saved. All codes of the last minutes are printed, the newest last, each with its time (UTC). Anybody can send one to the URL: one that is not signed may not be Veryfi's. With --json it is an array.`
}

// Run waits for the code.
func (c codeCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	follower := newFollower(d, "verification_code", time.Now().Add(-c.Since), webhookLog)
	a.note("Waiting for Veryfi's code. Paste the URL into Settings > Keys now: %s", d.outputs[webhookURL])
	for end := time.Now().Add(c.Timeout); ; {
		lines, err := follower.next(a)
		if err != nil {
			return err
		}
		if codes := codesIn(lines); codes != nil {
			return printCodes(a, codes)
		}
		switch {
		case time.Now().After(end):
			return errors.New("no code has come: `intake doctor` checks that the URL answers; then save it in the portal once more")
		case !a.pause(pollInterval):
			return a.Err()
		}
	}
}

// A verificationCode is one that came. Signed is nil where the webhook's version does
// not say it.
type verificationCode struct {
	Code       string    `json:"verification_code"`
	ReceivedAt time.Time `json:"received_at"`
	Signed     *bool     `json:"signed,omitempty"`
}

// codesIn returns the codes in lines of the webhook. A code is printable ASCII; what
// else was sent as one is none.
func codesIn(lines []logLine) (codes []verificationCode) {
	const longest = 256
	for _, line := range lines {
		code, _ := line.members["verification_code"].(string)
		if code == "" || len(code) > longest || strings.ContainsFunc(code, func(r rune) bool { return r < '!' || r > '~' }) {
			continue
		}
		found := verificationCode{Code: code, ReceivedAt: line.at.UTC()}
		if signed, ok := line.members["signed"].(bool); ok {
			found.Signed = &signed
		}
		codes = append(codes, found)
	}
	return codes
}

func printCodes(a *app, codes []verificationCode) error {
	if a.JSON {
		return a.printJSON(codes)
	}
	for _, c := range codes {
		remark := ""
		if c.Signed != nil && !*c.Signed {
			remark = ", not signed"
		}
		a.say("%s  %s, %s%s", c.Code, c.ReceivedAt.Format(time.DateTime), ago(time.Since(c.ReceivedAt)), remark)
	}
	a.note("Type the newest, the last one, into the portal, if it came when you saved the URL. When you have saved it again since, wait for the next one with --since 0s.")
	return nil
}

type urlCommand struct{}

// Run prints the URL.
func (urlCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	if a.JSON {
		return a.printJSON(map[string]string{"url": d.outputs[webhookURL]})
	}
	a.say("%s", d.outputs[webhookURL])
	a.note("\nPaste it into Veryfi's portal: Settings > Keys > Webhook URL, and save. Veryfi sends a code\nto it at once; `intake verification-code` prints that. Type it into the portal.")
	return nil
}

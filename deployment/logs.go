package deployment

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// A Line is one line of a function's log.
type Line struct {
	At       time.Time
	Function string // webhook, processor or reconciler
	Text     string
	Members  map[string]any // nil when Text is not a JSON object
}

// Member returns a member that is a text or a number, or "".
func (l Line) Member(name string) string {
	switch v := l.Members[name].(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(v)
	}
	return ""
}

// Lateness is how long a line may take to come to the logs.
const Lateness = 20 * time.Second

// A Follower reads logs from a time on, each line once.
type Follower struct {
	client  *cloudwatchlogs.Client
	now     func() time.Time
	pattern string
	groups  map[string]string // names by function
	from    time.Time
	seen    map[string]time.Time
}

// Logs returns a follower of the logs of these functions, or of all without one. Only
// lines that match the filter pattern of CloudWatch Logs come, all when it is empty.
func (s *Stack) Logs(pattern string, from time.Time, functions ...string) *Follower {
	groups := map[string]string{"webhook": s.Outputs[WebhookLog], "processor": s.Outputs[ProcessorLog], "reconciler": s.Outputs[ReconcilerLog]}
	if functions != nil {
		maps.DeleteFunc(groups, func(function, _ string) bool { return !slices.Contains(functions, function) })
	}
	return &Follower{client: cloudwatchlogs.NewFromConfig(s.AWS), now: s.Now, pattern: pattern, groups: groups, from: from, seen: map[string]time.Time{}}
}

// Next returns the lines that have come since, in order. With an error come those that
// could be read. CloudWatch allows five requests a second, and each function takes one.
func (f *Follower) Next(ctx context.Context) (lines []Line, err error) {
	start := f.now()
	defer func() { slices.SortStableFunc(lines, func(a, b Line) int { return a.At.Compare(b.At) }) }()
	for _, function := range slices.Sorted(maps.Keys(f.groups)) {
		input := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(f.groups[function]), StartTime: aws.Int64(f.from.UnixMilli())}
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
				line := Line{At: at, Function: function, Text: strings.TrimSpace(aws.ToString(e.Message))}
				_ = json.Unmarshal([]byte(line.Text), &line.Members) // Lambda's own may be text
				lines = append(lines, line)
			}
		}
	}
	if late := start.Add(-Lateness); late.After(f.from) {
		f.from = late
	}
	maps.DeleteFunc(f.seen, func(_ string, at time.Time) bool { return at.Before(f.from) })
	return lines, nil
}

// A Story picks the lines about one document: those that name it, and those of the same
// request that name none, such as a webhook's with several ids.
type Story struct {
	document string
	requests map[string]bool
	waiting  map[string][]Line // by requests that may still turn out to be about it
}

// NewStory returns the story of a document, "" for that of all.
func NewStory(document string) *Story {
	return &Story{document: document, requests: map[string]bool{}, waiting: map[string][]Line{}}
}

// mostWaiting bounds how many requests are remembered; then all are forgotten.
const mostWaiting = 1000

// Of returns the lines that belong to the story, those of earlier calls among them that
// only now turn out to.
func (s *Story) Of(lines []Line) (ours []Line) {
	for _, l := range lines {
		request, document := l.Member("request_id"), l.Member("document_id")
		switch {
		case s.document == "", document == "" && s.requests[request]:
			ours = append(ours, l)
		case document == s.document:
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

// A VerificationCode is what Veryfi sends to a new URL. Signed is nil where the
// webhook's version does not log it; one that is not signed may be anybody's.
type VerificationCode struct {
	Code       string    `json:"verification_code"`
	ReceivedAt time.Time `json:"received_at"`
	Signed     *bool     `json:"signed,omitempty"`
}

// VerificationCodes returns the codes that have come since then, the newest last. A code
// is printable ASCII; another text that was sent as one is left out.
func (s *Stack) VerificationCodes(ctx context.Context, since time.Time) (codes []VerificationCode, err error) {
	const longest = 256
	lines, err := s.Logs("verification_code", since, "webhook").Next(ctx)
	for _, line := range lines {
		code, _ := line.Members["verification_code"].(string)
		if code == "" || len(code) > longest || strings.ContainsFunc(code, func(r rune) bool { return r < '!' || r > '~' }) {
			continue
		}
		found := VerificationCode{Code: code, ReceivedAt: line.At.UTC()}
		if signed, ok := line.Members["signed"].(bool); ok {
			found.Signed = &signed
		}
		codes = append(codes, found)
	}
	return codes, err
}

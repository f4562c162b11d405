package cloudwatch

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"veryfi-intake/local/aws/protocol"
)

const (
	// maxLines is how many lines of a group are kept.
	maxLines = 50_000
	// linesInAnAnswer is few, so that callers must follow NextToken: CloudWatch has 10,000.
	linesInAnAnswer = 100
)

// Logs are log groups. They may be used by any number of goroutines. The zero value
// is ready for use; a group is there once it has a line.
type Logs struct {
	mu     sync.Mutex
	groups map[string][]line
	number int
}

type line struct {
	number int
	at     time.Time
	text   string
}

// Add adds a line to a group.
func (l *Logs) Add(group, text string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.groups == nil {
		l.groups = map[string][]line{}
	}
	l.number++
	l.groups[group] = append(l.groups[group], line{l.number, at, text})
	if extra := len(l.groups[group]) - maxLines; extra > 0 {
		l.groups[group] = slices.Delete(l.groups[group], 0, extra)
	}
}

// ServeHTTP answers FilterLogEvents.
func (l *Logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protocol.Operations{"FilterLogEvents": l.filter}.ServeHTTP(w, r)
}

// filter takes as pattern one text that a line must hold, with or without quotes around
// it. CloudWatch's syntax has more.
func (l *Logs) filter(_ context.Context, body []byte) (output any, err error) {
	var input struct {
		LogGroupName, FilterPattern, NextToken string
		StartTime, EndTime                     int64
		Limit                                  int
	}
	if err := json.Unmarshal(body, &input); err != nil {
		return nil, err
	}
	l.mu.Lock()
	lines := slices.Clone(l.groups[input.LogGroupName])
	l.mu.Unlock()
	pattern := strings.Trim(input.FilterPattern, `"`)
	first, _ := strconv.Atoi(input.NextToken)
	limit := linesInAnAnswer
	if input.Limit > 0 {
		limit = min(limit, input.Limit)
	}
	events := []map[string]any{}
	for _, line := range lines {
		at := line.at.UnixMilli()
		if line.number < first || at < input.StartTime || input.EndTime != 0 && at >= input.EndTime || !strings.Contains(line.text, pattern) {
			continue
		}
		number := strconv.Itoa(line.number)
		if len(events) == limit {
			return map[string]any{"events": events, "nextToken": number}, nil
		}
		events = append(events, map[string]any{"eventId": number, "logStreamName": "local", "timestamp": at, "ingestionTime": at, "message": line.text})
	}
	return map[string]any{"events": events}, nil
}

package cloudwatch

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"veryfi-intake/local/aws/endpoint"
)

const (
	// maxLines is how many lines of a group are kept.
	maxLines = 50_000
	// linesInAnAnswer is few, so that whoever asks must ask on: CloudWatch has 10,000.
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
	id   string
	at   time.Time
	text string
}

// Add adds a line to a group.
func (l *Logs) Add(group, text string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.groups == nil {
		l.groups = map[string][]line{}
	}
	l.number++
	l.groups[group] = append(l.groups[group], line{strconv.Itoa(l.number), at, text})
	if extra := len(l.groups[group]) - maxLines; extra > 0 {
		l.groups[group] = slices.Delete(l.groups[group], 0, extra)
	}
}

// ServeHTTP answers FilterLogEvents. A filter pattern is one text that a line must
// hold; of the syntax of CloudWatch it knows the quotes around that.
func (l *Logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var input struct {
		LogGroupName       string `json:"logGroupName"`
		StartTime, EndTime int64
		FilterPattern      string
		NextToken          string
		Limit              int
	}
	if target := r.Header.Get("X-Amz-Target"); target != "Logs_20140328.FilterLogEvents" {
		endpoint.Fail(w, http.StatusBadRequest, "UnknownOperationException", "the stand-in knows FilterLogEvents only, not "+target)
		return
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&input); err != nil {
		endpoint.Fail(w, http.StatusBadRequest, "SerializationException", err.Error())
		return
	}
	type event struct {
		EventID       string `json:"eventId"`
		LogStreamName string `json:"logStreamName"`
		Timestamp     int64  `json:"timestamp"`
		IngestionTime int64  `json:"ingestionTime"`
		Message       string `json:"message"`
	}
	output := struct {
		Events    []event `json:"events"`
		NextToken string  `json:"nextToken,omitempty"`
	}{Events: []event{}}
	pattern := strings.Trim(input.FilterPattern, `"`)
	first, _ := strconv.Atoi(input.NextToken)
	limit := input.Limit
	if limit == 0 || limit > linesInAnAnswer {
		limit = linesInAnAnswer
	}
	l.mu.Lock()
	lines := slices.Clone(l.groups[input.LogGroupName])
	l.mu.Unlock()
	for _, line := range lines {
		at := line.at.UnixMilli()
		number, _ := strconv.Atoi(line.id) // our own
		if number < first || at < input.StartTime || input.EndTime != 0 && at >= input.EndTime || !strings.Contains(line.text, pattern) {
			continue
		}
		if len(output.Events) == limit {
			output.NextToken = line.id
			break
		}
		output.Events = append(output.Events, event{line.id, "local", at, at, line.text})
	}
	_ = json.NewEncoder(w).Encode(output)
}

package deployment

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/aws/cloudwatch"
)

// TestNoLineIsLostWhenTheLogsCannotBeRead has the second of two logs not be read, twice.
func TestNoLineIsLostWhenTheLogsCannotBeRead(t *testing.T) {
	t.Parallel()
	var logs cloudwatch.Logs
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls == 2 || calls == 4 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		logs.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	f := &Follower{
		client: cloudwatchlogs.New(cloudwatchlogs.Options{
			Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
			}),
		}),
		now: time.Now, groups: map[string]string{"webhook": "one", "processor": "two"}, from: time.Now().Add(-time.Minute), seen: map[string]time.Time{},
	}
	logs.Add("one", "a", time.Now())
	logs.Add("two", "b", time.Now())
	read := map[string]int{}
	for range 5 {
		lines, _ := f.Next(t.Context()) // some fail
		for _, l := range lines {
			read[l.Text]++
		}
	}
	if read["a"] != 1 || read["b"] != 1 {
		t.Errorf("%v", read)
	}
}

func TestAStoryHasTheLinesOfItsRequest(t *testing.T) {
	t.Parallel()
	line := func(text, request, document string) Line {
		return Line{Text: text, Members: map[string]any{"request_id": request, "document_id": document}}
	}
	s := NewStory("7")
	var got []string
	for _, lines := range [][]Line{
		{line("several ids", "a", ""), line("another", "b", "8"), line("refused", "c", ""), {Text: "text"}},
		{line("stored", "a", "7"), line("stored too", "a", "9"), line("about the request", "a", "")},
		{line("by hand", "", "7"), line("of nothing", "", "")},
	} {
		for _, l := range s.Of(lines) {
			got = append(got, l.Text)
		}
	}
	if diff := cmp.Diff([]string{"several ids", "stored", "about the request", "by hand"}, got); diff != "" {
		t.Error(diff)
	}
	for n := range 2 * mostWaiting {
		s.Of([]Line{line("refused", strconv.Itoa(n), "")})
	}
	if len(s.waiting) > mostWaiting {
		t.Errorf("%d requests are remembered", len(s.waiting))
	}
}

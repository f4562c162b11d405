package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

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
	f := &follower{
		client: cloudwatchlogs.New(cloudwatchlogs.Options{
			Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
			}),
		}),
		groups: map[string]string{"webhook": "one", "processor": "two"}, from: time.Now().Add(-time.Minute), seen: map[string]time.Time{},
	}
	logs.Add("one", "a", time.Now())
	logs.Add("two", "b", time.Now())
	read := map[string]int{}
	for range 5 {
		lines, _ := f.next(t.Context()) // some fail
		for _, l := range lines {
			read[l.text]++
		}
	}
	if read["a"] != 1 || read["b"] != 1 {
		t.Errorf("%v", read)
	}
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"veryfi-intake/shared/signature"
	"veryfi-intake/shared/startup"
)

const clientSecret = "the client secret"

func TestMissingSettingIsNamed(t *testing.T) {
	complete := map[string]string{
		"QUEUE_URL": "http://127.0.0.1:1/q", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
		"VERYFI_CLIENT_SECRET": clientSecret,
	}
	begin := func(missing string) error {
		f := startup.New(func(name string) string {
			if name == missing {
				return ""
			}
			return complete[name]
		}, time.Now, slog.New(slog.DiscardHandler))
		newHandler(f)
		return f.Err()
	}
	for missing := range complete {
		err := begin(missing)
		if err == nil || !strings.Contains(err.Error(), missing) && missing != "VERYFI_CLIENT_SECRET" {
			t.Errorf("without %s: %v", missing, err)
		}
		if err != nil && strings.Contains(err.Error(), clientSecret) {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
	if err := begin(""); err != nil {
		t.Errorf("complete: %v", err)
	}
}

// TestEverySettingReachesTheHandler has the handler answer a webhook between an SQS and a
// Secrets Manager that note what they are asked for.
func TestEverySettingReachesTheHandler(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]string{}
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if target := r.Header.Get("X-Amz-Target"); strings.Contains(target, "GetSecretValue") {
			asked["secret"] = string(body)
			fmt.Fprintf(w, `{"SecretString": %q}`, `{"client_id":"i","client_secret":"`+clientSecret+`","username":"u","api_key":"k"}`)
		} else if target != "" {
			asked["queue"] = string(body)
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type": "InvalidMessageContents"}`)
		}
	}))
	defer aws.Close()
	settings := map[string]string{
		"QUEUE_URL": aws.URL + "/the-queue", "VERYFI_SECRET_ID": "the-secret", "STACK_NAME": "the-stack",
		"AWS_ENDPOINT_URL": aws.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
	}
	var logs bytes.Buffer
	h, _ := newHandler(startup.New(func(name string) string { return settings[name] }, time.Now, slog.New(slog.NewJSONHandler(&logs, nil))))
	const data = `{"id": 7}`
	signed, err := signature.Sign([]byte(data), clientSecret)
	if err != nil {
		t.Fatal(err)
	}
	req := events.APIGatewayV2HTTPRequest{Body: `{"event": "document.created", "data": ` + data + `}`, Headers: map[string]string{"x-veryfi-signature": signed}}
	req.RequestContext.HTTP.Method = http.MethodPost
	before := time.Now().Truncate(time.Second)
	if resp, err := h.Handle(t.Context(), req); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, %v", resp.StatusCode, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(asked["secret"], `"the-secret"`) || !strings.Contains(asked["queue"], "/the-queue") {
		t.Errorf("asked for %v", asked)
	}
	if !strings.Contains(logs.String(), "the-stack") {
		t.Errorf("log: %s", &logs)
	}
	if h.Now == nil || h.Now().Before(before) {
		t.Error("the handler has another clock")
	}
}

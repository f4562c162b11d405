package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// call sends a request to a front whose function answers with response, and
// returns the event it got.
func call(t *testing.T, request *http.Request, response string) (*http.Response, events.APIGatewayV2HTTPRequest) {
	t.Helper()
	var event events.APIGatewayV2HTTPRequest
	front := Front{Method: "ANY", Path: "/webhook/veryfi", Invoke: func(_ context.Context, payload []byte) ([]byte, error) {
		return []byte(response), json.Unmarshal(payload, &event)
	}}
	recorder := httptest.NewRecorder()
	front.ServeHTTP(recorder, request)
	return recorder.Result(), event
}

func TestEventIsPayloadFormat2(t *testing.T) {
	t.Parallel()
	request := httptest.NewRequest("POST", "http://example.com:8080/webhook/veryfi?a=1&b=2&a=3", strings.NewReader(`{"é":1}`))
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("X-Veryfi-Signature", "c2ln")
	request.Header["X-Twice"] = []string{"one", "two"}
	request.Header.Set("Cookie", "a=1; b=2")
	_, event := call(t, request, `{"statusCode":200}`)
	for name, pair := range map[string][2]string{
		"version":     {event.Version, "2.0"},
		"routeKey":    {event.RouteKey, "ANY /webhook/veryfi"},
		"rawPath":     {event.RawPath, "/webhook/veryfi"},
		"query":       {event.RawQueryString, "a=1&b=2&a=3"},
		"parameter a": {event.QueryStringParameters["a"], "1,3"},
		"signature":   {event.Headers["x-veryfi-signature"], "c2ln"},
		"repeated":    {event.Headers["x-twice"], "one,two"},
		"host":        {event.Headers["host"], "example.com:8080"},
		"cookies":     {strings.Join(event.Cookies, "|"), "a=1|b=2"},
		"method":      {event.RequestContext.HTTP.Method, "POST"},
		"path":        {event.RequestContext.HTTP.Path, "/webhook/veryfi"},
		"source":      {event.RequestContext.HTTP.SourceIP, "192.0.2.1"},
		"body":        {event.Body, `{"é":1}`},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
	if event.IsBase64Encoded {
		t.Error("JSON is base64")
	}
}

func TestEveryRequestHasAnIDOfItsOwn(t *testing.T) {
	t.Parallel()
	answer, first := call(t, httptest.NewRequest("GET", "/webhook/veryfi", nil), `{"statusCode":200}`)
	_, second := call(t, httptest.NewRequest("GET", "/webhook/veryfi", nil), `{"statusCode":200}`)
	id := first.RequestContext.RequestID
	if id == "" || id == second.RequestContext.RequestID {
		t.Errorf("ids are %q and %q", id, second.RequestContext.RequestID)
	}
	if got := answer.Header.Get("Apigw-Requestid"); got != id {
		t.Errorf("the answer names request %q, want %q", got, id)
	}
}

func TestBinaryBodyIsBase64(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		contentType, body string
		want              bool
	}{
		"JSON":            {"application/json", "{}", false},
		"text":            {"text/plain", "x", false},
		"JSON, not UTF-8": {"application/json", "\xff", true},
		"form":            {"application/x-www-form-urlencoded", "a=1", true},
		"no content type": {"", "x", true},
		"empty":           {"image/png", "", false},
	} {
		request := httptest.NewRequest("POST", "/webhook/veryfi", strings.NewReader(test.body))
		request.Header.Set("Content-Type", test.contentType)
		_, event := call(t, request, `{"statusCode":200}`)
		body := event.Body
		if event.IsBase64Encoded {
			decoded, err := base64.StdEncoding.DecodeString(body)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			body = string(decoded)
		}
		if event.IsBase64Encoded != test.want || body != test.body {
			t.Errorf("%s: base64 is %v, body %q", name, event.IsBase64Encoded, body)
		}
	}
}

func TestAnswerIsTheFunctionsResponse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		response, body, contentType string
		status                      int
	}{
		"structured":     {`{"statusCode":401,"headers":{"content-type":"application/json"},"body":"{}"}`, "{}", "application/json", 401},
		"base64":         {`{"statusCode":200,"body":"AP8=","isBase64Encoded":true}`, "\x00\xff", "text/plain;charset=UTF-8", 200},
		"bad base64":     {`{"statusCode":200,"body":"?","isBase64Encoded":true}`, `{"message":"Internal Server Error"}`, "application/json", 500},
		"no statusCode":  {`{"body":"x"}`, `{"body":"x"}`, "application/json", 200},
		"string":         {`"hello"`, "hello", "application/json", 200},
		"bad statusCode": {`{"statusCode":"x"}`, `{"message":"Internal Server Error"}`, "application/json", 500},
	} {
		answer, _ := call(t, httptest.NewRequest("GET", "/webhook/veryfi", nil), test.response)
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != test.status || string(body) != test.body || answer.Header.Get("Content-Type") != test.contentType {
			t.Errorf("%s: %d %q %q", name, answer.StatusCode, answer.Header.Get("Content-Type"), body)
		}
	}
}

func TestAPIGatewaysOwnAnswers(t *testing.T) {
	t.Parallel()
	failing := func(context.Context, []byte) ([]byte, error) { return nil, errors.New("as told") }
	hanging := func(ctx context.Context, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, test := range map[string]struct {
		request *http.Request
		invoke  func(context.Context, []byte) ([]byte, error)
		status  int
		body    string
	}{
		"other path":     {httptest.NewRequest("POST", "/webhook/veryfi/", nil), failing, 404, `{"message":"Not Found"}`},
		"over 10 MB":     {httptest.NewRequest("POST", "/webhook/veryfi", strings.NewReader(strings.Repeat("x", 10<<20+1))), failing, 413, `{"message":"Request Entity Too Large"}`},
		"function error": {httptest.NewRequest("POST", "/webhook/veryfi", nil), failing, 500, `{"message":"Internal Server Error"}`},
		"over 30 s":      {httptest.NewRequest("POST", "/webhook/veryfi", nil), hanging, 503, `{"message":"Service Unavailable"}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				recorder := httptest.NewRecorder()
				start := time.Now()
				Front{Method: "ANY", Path: "/webhook/veryfi", Invoke: test.invoke}.ServeHTTP(recorder, test.request)
				if recorder.Code != test.status || recorder.Body.String() != test.body {
					t.Errorf("%d %s after %v", recorder.Code, recorder.Body, time.Since(start))
				}
			})
		})
	}
}

func TestOneMethodRouteRefusesOthers(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	Front{Method: "POST", Path: "/a"}.ServeHTTP(recorder, httptest.NewRequest("GET", "/a", nil))
	if recorder.Code != 404 {
		t.Errorf("got %d", recorder.Code)
	}
}

package endpoint

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, name) })
}

// call sends a request with a target, or one that is signed " for " a service.
func call(e *Endpoint, path, target string) *httptest.ResponseRecorder {
	request := httptest.NewRequest("POST", path, nil)
	if target, signedFor, _ := strings.Cut(target, " for "); target != "" {
		request.Header.Set("X-Amz-Target", target)
	} else if signedFor != "" {
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/"+signedFor+"/aws4_request, Signature=0")
	}
	recorder := httptest.NewRecorder()
	e.ServeHTTP(recorder, request)
	return recorder
}

func TestTargetOrSignatureChoosesTheService(t *testing.T) {
	t.Parallel()
	e := New(map[Service]http.Handler{DynamoDB: named("dynamodb"), SQS: named("sqs"), SecretsManager: named("secrets"), SNS: named("sns")})
	for target, want := range map[string]string{
		"DynamoDB_20120810.PutItem":     "dynamodb",
		"AmazonSQS.SendMessage":         "sqs",
		"secretsmanager.GetSecretValue": "secrets",
		"":                              "sqs",
		" for sns":                      "sns",
		" for sqs":                      "sqs",
	} {
		if got := call(e, "/000000000000/DocumentQueue", target).Body.String(); got != want {
			t.Errorf("%q goes to %q, want %q", target, got, want)
		}
	}
	if got := call(e, "/", "Other.Call"); got.Code != http.StatusBadRequest {
		t.Errorf("an unknown target got %d", got.Code)
	}
}

func TestServiceThatIsDownAnswers503(t *testing.T) {
	t.Parallel()
	e := New(map[Service]http.Handler{SQS: named("sqs"), DynamoDB: named("dynamodb")})
	e.SetIntercept(Down(SQS))
	if got := call(e, "/", "AmazonSQS.SendMessage"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("SQS answered %d", got.Code)
	}
	if got := call(e, "/", "DynamoDB_20120810.PutItem"); got.Code != http.StatusOK {
		t.Errorf("DynamoDB answered %d", got.Code)
	}
	e.SetIntercept(nil)
	if got := call(e, "/", "AmazonSQS.SendMessage"); got.Code != http.StatusOK {
		t.Errorf("SQS answered %d when it was up again", got.Code)
	}
}

func TestProxyKeepsPathAndTellsOfADeadServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
	e := New(map[Service]http.Handler{SQS: Proxy(server.Listener.Addr().String(), "")})
	if got := call(e, "/000000000000/Q", "").Body.String(); got != "/000000000000/Q" {
		t.Errorf("path is %q", got)
	}
	server.Close()
	if got := call(e, "/", ""); got.Code != http.StatusBadGateway {
		t.Errorf("a dead server gives %d", got.Code)
	}
}

func TestInterceptStandsBeforeEveryService(t *testing.T) {
	t.Parallel()
	e := New(map[Service]http.Handler{SQS: named("SQS")})
	e.SetIntercept(func(service Service, next http.Handler, w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, string(service)+" and ")
		next.ServeHTTP(w, r)
	})
	if got := call(e, "/", "AmazonSQS.SendMessage").Body.String(); got != "AmazonSQS. and SQS" {
		t.Errorf("got %q", got)
	}
	e.SetIntercept(nil)
	if got := call(e, "/", "AmazonSQS.SendMessage").Body.String(); got != "SQS" {
		t.Errorf("got %q", got)
	}
}

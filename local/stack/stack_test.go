package stack

import (
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/aws/lambda"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/secret"
)

var sample = secret.Credentials{ClientID: "id", ClientSecret: "secret", Username: "user", APIKey: "key"}

const root = "../.."

// startTest starts a stack that the test stops.
func startTest(t *testing.T) *Stack {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the emulators")
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var lines []string
	s, err := Start(t.Context(), Options{
		Root:        absolute,
		Credentials: sample,
		Log: func(source, line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, source+": "+line)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() {
			t.Log(strings.Join(lines, "\n"))
		}
	})
	return s
}

func sign(t *testing.T, event, data string) standin.Webhook {
	t.Helper()
	webhook, err := standin.Sign(event, data, sample.ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
	return webhook
}

func waitForRow(t *testing.T, s *Stack, id, status string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		rows, err := s.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rows[id].Status == status {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("row %s is %q (%s), not %q", id, rows[id].Status, rows[id].Error, status)
		}
	}
}

func TestWebhookBecomesARow(t *testing.T) {
	t.Parallel()
	s := startTest(t)
	s.Veryfi.Put(standin.Documents, 1031, standin.Receipt(1031))
	webhook := sign(t, "document.created", `{"id": 1031, "created": "2026-02-03 09:15:27"}`)
	sender := standin.NewSender(time.Millisecond)

	s.AWS.SetIntercept(endpoint.Down(endpoint.SQS))
	if got := sender.Post(t.Context(), s.WebhookURL, webhook); got.Status != http.StatusServiceUnavailable {
		t.Errorf("without SQS the answer is %d %v", got.Status, got.Err)
	}
	s.AWS.SetIntercept(nil)

	s.StopPoller()
	if got := sender.Post(t.Context(), s.WebhookURL, webhook); got.Status != http.StatusOK {
		t.Errorf("the answer is %d %v", got.Status, got.Err)
	}
	if n, err := s.Messages(t.Context(), s.QueueURL); n != 1 || err != nil {
		t.Errorf("the queue holds %d messages, %v", n, err)
	}
	s.Processor.Kill()
	s.StartPoller()
	waitForRow(t, s, "1031", "processed")

	// What may also be reached from a container is never the webhook.
	var reachable []string
	for _, service := range s.services {
		reachable = append(reachable, "http://"+service.Addr)
	}
	if want := []string{s.VeryfiURL, s.AWSURL}; !slices.Equal(reachable, want) {
		t.Errorf("a container reaches %v, not %v", reachable, want)
	}

	// Nothing that the stack started or wrote outlives it.
	s.Stop()
	if _, err := s.Rows(t.Context()); err == nil {
		t.Error("DynamoDB answers after Stop")
	}
	var closed *lambda.Error
	if _, err := s.Webhook.Invoke(t.Context(), nil); !errors.As(err, &closed) {
		t.Errorf("a function answers after Stop: %v", err)
	}
}

func TestOtherAddressIsServedUntilTheStackStops(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the whole of 127.0.0.0/8")
	}
	s := &Stack{}
	listener, err := s.listen(0, "test")
	if err != nil {
		t.Fatal(err)
	}
	s.services = append(s.services, s.serve(listener, http.NotFoundHandler()))
	other := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), netip.MustParseAddrPort(listener.Addr().String()).Port())
	isServed := func(when string, want bool) {
		t.Helper()
		response, err := http.Get("http://" + other.String())
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	isServed("at first", false)
	s.ListenToo(other.Addr())
	isServed("when it listens there, too", true)
	s.ListenToo(other.Addr())
	isServed("when the port is taken", true)
	s.Stop()
	isServed("after the end", false)
}

// DynamoDB Local listens on all interfaces, whatever the stack holds.
func TestOthersOnTheNetworkFindNoTable(t *testing.T) {
	t.Parallel()
	s := startTest(t)
	tables := func(address, key, region string) []string {
		client := dynamodb.New(dynamodb.Options{Region: region, BaseEndpoint: &address, Credentials: keys(key)})
		answer, err := client.ListTables(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return answer.TableNames
	}
	dynamoDB := *s.DynamoDB.Options().BaseEndpoint
	for _, key := range []string{accessKey, "AKIAIOSFODNN7EXAMPLE", rand.Text()} {
		if got := tables(dynamoDB, key, region); len(got) != 0 {
			t.Errorf("the key %s finds %v", key, got)
		}
	}
	// By the endpoint, which is this machine's alone, there is one table for all.
	for _, of := range []string{region, "eu-central-1"} {
		if got := tables(s.AWSURL, accessKey, of); len(got) != 1 || got[0] != s.TableName {
			t.Errorf("the endpoint shows the tables %v in %s", got, of)
		}
	}
}

func TestPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for purpose, options := range map[string]Options{
		"webhook":             {WebhookPort: port},
		"AWS endpoint":        {AWSPort: port},
		"stand-in for Veryfi": {VeryfiPort: port},
	} {
		_, err := Start(t.Context(), options)
		var inUse *PortInUseError
		if !errors.As(err, &inUse) || *inUse != (PortInUseError{port, purpose}) {
			t.Errorf("got %v", err)
		}
	}
}

func TestTemplateWithoutAResourceIsNamed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "template.yaml"), []byte("Resources: {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Root: folder})
	if err == nil || !strings.Contains(err.Error(), documentQueue) {
		t.Errorf("got %v", err)
	}
}

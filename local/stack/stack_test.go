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
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/aws/lambda"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/secret"
)

func TestStack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts the emulators")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	credentials := secret.Credentials{ClientID: "id", ClientSecret: "secret", Username: "user", APIKey: "key"}
	s, err := Start(t.Context(), Options{Root: root, Credentials: credentials, Log: func(source, line string) { t.Log(source, line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	t.Run("webhook becomes a row", func(t *testing.T) { webhookBecomesARow(t, s) })
	t.Run("others on the network find no table", func(t *testing.T) { othersFindNoTable(t, s) })
	t.Run("a container does not reach the webhook", func(t *testing.T) {
		var reachable []string
		for _, service := range s.services {
			reachable = append(reachable, "http://"+service.Addr)
		}
		if want := []string{s.VeryfiURL, s.AWSURL}; !slices.Equal(reachable, want) {
			t.Errorf("it reaches %v, not %v", reachable, want)
		}
	})
	t.Run("nothing outlives it", func(t *testing.T) {
		s.Stop()
		if _, err := s.Rows(t.Context()); err == nil {
			t.Error("DynamoDB answers after Stop")
		}
		var closed *lambda.Error
		if _, err := s.Webhook.Invoke(t.Context(), nil); !errors.As(err, &closed) {
			t.Errorf("a function answers after Stop: %v", err)
		}
	})
}

func webhookBecomesARow(t *testing.T, s *Stack) {
	s.Veryfi.Put(standin.Documents, 1031, standin.Receipt(1031))
	webhook, err := webhook.Sign("document.created", `{"id": 1031, "created": "2026-02-03 09:15:27"}`, s.options.Credentials.ClientSecret)
	if err != nil {
		t.Fatal(err)
	}
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
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		rows, err := s.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		row := rows["1031"]
		if row.Status == "processed" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the row is %q (%s)", row.Status, row.Error)
		}
	}
}

// DynamoDB Local listens on all interfaces, whatever the stack holds.
func othersFindNoTable(t *testing.T, s *Stack) {
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

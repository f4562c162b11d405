package startup

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

// inLambda is what Lambda sets, and more.
func inLambda(more map[string]string) func(string) string {
	environment := map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "an-access-key", "AWS_SECRET_ACCESS_KEY": "a-secret-key", "AWS_SESSION_TOKEN": "a-session",
		"AWS_DEFAULT_REGION": "us-west-2", "AWS_PROFILE": "another",
	}
	maps.Copy(environment, more)
	return func(name string) string { return environment[name] }
}

// fromEnvironment returns a function's configuration, and what is wrong with it.
func fromEnvironment(getenv func(string) string) (aws.Config, error) {
	s := Settings{getenv: getenv}
	return s.awsConfig(), s.Err()
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		_, err := fromEnvironment(inLambda(map[string]string{name: ""}))
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "-key") {
			t.Errorf("without %s: %v", name, err)
		}
	}
	if _, err := fromEnvironment(inLambda(map[string]string{"AWS_SESSION_TOKEN": ""})); err != nil {
		t.Errorf("without a session: %v", err)
	}
}

func TestRegionAndCredentialsAreThoseOfTheEnvironment(t *testing.T) {
	t.Parallel()
	cfg, err := fromEnvironment(inLambda(nil))
	if err != nil {
		t.Fatal(err)
	}
	got, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || cfg.Region != "eu-central-1" {
		t.Errorf("region %s, %v", cfg.Region, err)
	}
	want := aws.Credentials{AccessKeyID: "an-access-key", SecretAccessKey: "a-secret-key", SessionToken: "a-session", Source: "environment"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if cfg.BaseEndpoint != nil {
		t.Errorf("endpoint %s", *cfg.BaseEndpoint)
	}
}

// An endpoint notes who calls it.
type endpoint struct {
	mu     sync.Mutex
	header []http.Header
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.header = append(e.header, r.Header.Clone())
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	io.WriteString(w, `{}`)
}

func serve(t *testing.T) (*endpoint, string) {
	t.Helper()
	e := &endpoint{}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return e, server.URL
}

// The calls of the three services, each once and with no repetition.
var calls = map[string]func(context.Context, aws.Config) error{
	"SQS": func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: aws.String("http://queue.invalid/1/q"), ReceiptHandle: aws.String("r"), VisibilityTimeout: 1,
		})
		return err
	},
	"DYNAMODB": func(ctx context.Context, cfg aws.Config) error {
		_, err := dynamodb.NewFromConfig(cfg).GetItem(ctx, &dynamodb.GetItemInput{
			TableName: aws.String("t"), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "7"}},
		})
		return err
	},
	"SECRETS_MANAGER": func(ctx context.Context, cfg aws.Config) error {
		_, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
		return err
	},
}

// setenv sets the environment of the process: the SDK's clients look at it too.
func setenv(t *testing.T, more map[string]string) {
	t.Helper()
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "") // puts it back at the end
		os.Unsetenv(name)
	}
	environment := inLambda(nil)
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, environment(name))
	}
	for name, value := range more {
		t.Setenv(name, value)
	}
}

func TestEveryClientGoesToTheEndpointForAll(t *testing.T) {
	for service, call := range calls {
		t.Run(service, func(t *testing.T) {
			e, url := serve(t)
			setenv(t, map[string]string{"AWS_ENDPOINT_URL": url})
			cfg, err := fromEnvironment(os.Getenv)
			if err != nil {
				t.Fatal(err)
			}
			if err := call(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if len(e.header) != 1 {
				t.Fatalf("%d requests", len(e.header))
			}
			h := e.header[0]
			if auth := h.Get("Authorization"); !strings.Contains(auth, "Credential=an-access-key/") || !strings.Contains(auth, "/eu-central-1/") || h.Get("X-Amz-Security-Token") != "a-session" {
				t.Errorf("signed %s", auth)
			}
		})
	}
}

func TestClientGoesToItsOwnEndpoint(t *testing.T) {
	for service, call := range calls {
		for name, global := range map[string]bool{"alone": false, "before that for all": true} {
			t.Run(service+" "+name, func(t *testing.T) {
				own, ownURL := serve(t)
				all, allURL := serve(t)
				more := map[string]string{"AWS_ENDPOINT_URL_" + service: ownURL}
				if global {
					more["AWS_ENDPOINT_URL"] = allURL
				}
				setenv(t, more)
				cfg, err := fromEnvironment(os.Getenv)
				if err != nil {
					t.Fatal(err)
				}
				if err := call(t.Context(), cfg); err != nil || len(own.header) != 1 || len(all.header) != 0 {
					t.Errorf("%d requests to its own, %d to the other, %v", len(own.header), len(all.header), err)
				}
			})
		}
	}
}

func TestEndpointOfOneServiceIsNoneForAnother(t *testing.T) {
	other, url := serve(t)
	all, allURL := serve(t)
	setenv(t, map[string]string{"AWS_ENDPOINT_URL_SQS": url, "AWS_ENDPOINT_URL": allURL})
	cfg, err := fromEnvironment(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := calls["DYNAMODB"](t.Context(), cfg); err != nil || len(other.header) != 0 || len(all.header) != 1 {
		t.Errorf("%d and %d requests, %v", len(other.header), len(all.header), err)
	}
}

// TestEndpointsCanBeIgnored asks for the client's options: a call would go to AWS.
func TestEndpointsCanBeIgnored(t *testing.T) {
	for value, ignored := range map[string]bool{"true": true, "TRUE": true, "True": true, "false": false, "": false, "no": false} {
		setenv(t, map[string]string{
			"AWS_ENDPOINT_URL": "http://all.invalid", "AWS_ENDPOINT_URL_SQS": "http://sqs.invalid", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": value,
		})
		cfg, err := fromEnvironment(os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		for service, got := range map[string]*string{
			"http://sqs.invalid": sqs.NewFromConfig(cfg).Options().BaseEndpoint,
			"http://all.invalid": dynamodb.NewFromConfig(cfg).Options().BaseEndpoint,
		} {
			if ignored && got != nil || !ignored && aws.ToString(got) != service {
				t.Errorf("%q: %s", value, aws.ToString(got))
			}
		}
	}
}

// TestConfigurationReadsNothingButItsEnvironment has the process's own point
// elsewhere.
func TestConfigurationReadsNothingButItsEnvironment(t *testing.T) {
	setenv(t, map[string]string{"AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "another", "AWS_CA_BUNDLE": "/no/such/file"})
	cfg, err := fromEnvironment(inLambda(nil))
	if err != nil || cfg.Region != "eu-central-1" {
		t.Errorf("region %s, %v", cfg.Region, err)
	}
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bundle.pem")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCABundleThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.pem")
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("key")})
	for name, file := range map[string]string{
		"missing": missing, "a folder": t.TempDir(), "empty": write(t, nil), "no PEM": write(t, []byte("hello")), "a key": write(t, key),
		"no certificate in it": write(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("none")})),
	} {
		_, err := fromEnvironment(inLambda(map[string]string{"AWS_CA_BUNDLE": file}))
		if err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE") || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCABundleIsWhatClientsTrust(t *testing.T) {
	e := &endpoint{}
	server := httptest.NewUnstartedServer(e)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, test := range map[string]struct {
		bundle  string
		trusted bool
	}{
		"with the server's certificate": {write(t, append([]byte("# a comment\n"), own...)), true},
		"with none":                     {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_CA_BUNDLE": test.bundle})
			cfg, err := fromEnvironment(os.Getenv)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
			before := len(e.header)
			err = calls["SECRETS_MANAGER"](t.Context(), cfg)
			if (err == nil) != test.trusted || len(e.header)-before != map[bool]int{true: 1}[test.trusted] {
				t.Errorf("%d requests, %v", len(e.header)-before, err)
			}
		})
	}
}

func TestConnectionsAreAsTheyWereMeasured(t *testing.T) {
	t.Parallel()
	cfg, err := fromEnvironment(inLambda(nil))
	if err != nil {
		t.Fatal(err)
	}
	client, ok := cfg.HTTPClient.(interface{ GetTransport() *http.Transport })
	if !ok {
		t.Fatalf("the client is a %T", cfg.HTTPClient)
	}
	if timeout := client.GetTransport().ResponseHeaderTimeout; timeout != 4*time.Second {
		t.Errorf("waits for %v", timeout)
	}
	if size := client.GetTransport().WriteBufferSize; size != 65_536 {
		t.Errorf("writes %d bytes at once", size)
	}
}

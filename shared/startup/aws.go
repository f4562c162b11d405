package startup

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// answerTimeout is how long an AWS service may take to begin an answer. The SDK
// then tries again; by itself it would wait forever.
const answerTimeout = 4 * time.Second

// writeBuffer holds most requests, so that one takes few system calls. In bytes;
// net/http's own has 4 KB.
const writeBuffer = 64 << 10

// awsConfig returns the configuration for all AWS clients of a function. It reads
// AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, which Lambda
// sets, and what points an SDK elsewhere: AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE>,
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS and AWS_CA_BUNDLE.
//
// The SDK's own config package also reads files, profiles and the instance's metadata. A
// function has none of these, and would be about 2 MB larger and slower to start.
func (s *Settings) awsConfig() aws.Config {
	credentials := aws.Credentials{
		AccessKeyID:     s.Text("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: s.Text("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    s.getenv("AWS_SESSION_TOKEN"),
		Source:          "environment",
	}
	client, err := httpClient(s.getenv("AWS_CA_BUNDLE"))
	s.Check(err)
	cfg := aws.Config{
		Region: s.Text("AWS_REGION"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials, nil
		}),
		HTTPClient: client,
	}
	if !strings.EqualFold(s.getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		if url := s.getenv("AWS_ENDPOINT_URL"); url != "" {
			cfg.BaseEndpoint = &url
		}
		cfg.ConfigSources = []any{endpoints(s.getenv)}
	}
	return cfg
}

func httpClient(caBundle string) (*awshttp.BuildableClient, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = answerTimeout
		t.WriteBufferSize = writeBuffer
	})
	if caBundle == "" {
		return client, nil
	}
	pem, err := os.ReadFile(caBundle) //nolint:gosec // the operator names the file
	if err != nil {
		return client, fmt.Errorf("AWS_CA_BUNDLE cannot be read: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return client, fmt.Errorf("AWS_CA_BUNDLE names %s, which holds no PEM certificate", caBundle)
	}
	return client.WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = roots
	}), nil
}

// endpoints finds AWS_ENDPOINT_URL_<SERVICE>. The SDK's clients look for this
// method among the sources of a configuration.
type endpoints func(string) string

// GetServiceBaseEndpoint returns the endpoint configured for one service.
func (getenv endpoints) GetServiceBaseEndpoint(_ context.Context, sdkID string) (url string, found bool, err error) {
	service := strings.ToUpper(strings.ReplaceAll(sdkID, " ", "_"))
	url = getenv("AWS_ENDPOINT_URL_" + service)
	return url, url != "", nil
}

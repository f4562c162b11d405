package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/veryfi"
)

// What `make dev` starts: the stack's name, and where all AWS services are.
const (
	localName     = "local"
	localEndpoint = "http://127.0.0.1:8081"
)

// A deployment is a stack that is there.
type deployment struct {
	aws                 aws.Config
	name, status        string
	outputs, parameters map[string]string
	deployed            time.Time // when the last deployment began
	pace                float64   // requests a second to Veryfi
}

// The outputs of template.yaml that are needed.
const (
	webhookURL         = "WebhookUrl"
	secretID           = "SecretId"
	tableName          = "TableName"
	queueURL           = "QueueUrl"
	deadLetterQueueURL = "DeadLetterQueueUrl"
	reconcilerName     = "ReconcilerName"
	webhookLog         = "WebhookLogGroupName"
	processorLog       = "ProcessorLogGroupName"
	reconcilerLog      = "ReconcilerLogGroupName"
	dashboardURL       = "DashboardUrl"
	alarmTopic         = "AlarmTopicArn"
)

var neededOutputs = []string{
	webhookURL, secretID, tableName, queueURL, deadLetterQueueURL, reconcilerName, webhookLog, processorLog, reconcilerLog, dashboardURL, alarmTopic,
}

// deployment finds the stack.
func (a *app) deployment() (*deployment, error) {
	cfg, err := a.awsConfig()
	if err != nil {
		return nil, err
	}
	d := &deployment{pace: a.pace, aws: cfg, name: a.Stack, outputs: map[string]string{}, parameters: map[string]string{}}
	if a.Local {
		d.name = localName
	}
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(a, &cloudformation.DescribeStacksInput{StackName: &d.name})
	if _, refused := errors.AsType[*net.OpError](err); refused && a.Local {
		return nil, fmt.Errorf("no local stack answers at %s: start it with `make dev`, in another terminal", aws.ToString(cfg.BaseEndpoint))
	}
	if err != nil {
		return nil, err
	}
	found := out.Stacks[0]
	d.status = string(found.StackStatus)
	d.deployed = aws.ToTime(cmp.Or(found.LastUpdatedTime, found.CreationTime))
	for _, o := range found.Outputs {
		d.outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	for _, p := range found.Parameters {
		d.parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	for _, name := range neededOutputs {
		if d.outputs[name] == "" {
			return nil, d.lacks(name)
		}
	}
	return d, nil
}

// lacks says why a stack has no such output: it is not there yet, or not any more, or
// another version made it.
func (d *deployment) lacks(output string) error {
	switch {
	case d.status == "REVIEW_IN_PROGRESS":
		return fmt.Errorf("%s was never deployed: `make deploy`, and say yes when it asks", d.name)
	case d.status == "ROLLBACK_COMPLETE", d.status == "ROLLBACK_FAILED", d.status == "CREATE_FAILED":
		return fmt.Errorf("%s is %s: its first deployment has failed. `aws cloudformation describe-stack-events --stack-name %s` says why; mend that, `aws cloudformation delete-stack --stack-name %s`, and `make deploy`", d.name, d.status, d.name, d.name)
	case strings.HasSuffix(d.status, "_IN_PROGRESS"):
		return fmt.Errorf("%s is %s: wait until that has ended, and try again", d.name, d.status)
	default:
		return fmt.Errorf("%s was deployed by another version, and has no output %s: deploy this one with `make deploy`, or use the command of that one", d.name, output)
	}
}

// answerTime is how long AWS may take to begin an answer; a call is tried three times.
const answerTime = 20 * time.Second

func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = answerTime })
}

func (a *app) awsConfig() (aws.Config, error) {
	if a.Local {
		endpoint := os.Getenv("AWS_ENDPOINT_URL")
		if endpoint == "" {
			endpoint = localEndpoint
		}
		return config.LoadDefaultConfig(a,
			config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil), // none of the user's are for this machine
			config.WithRegion("us-east-1"), config.WithBaseEndpoint(endpoint), config.WithHTTPClient(newHTTPClient()),
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")),
			config.WithLogger(logging.Nop{}),
		)
	}
	options := []func(*config.LoadOptions) error{config.WithSharedConfigProfile(a.Profile), config.WithHTTPClient(newHTTPClient()), config.WithLogger(logging.Nop{})}
	if a.Region != "" {
		options = append(options, config.WithRegion(a.Region))
	}
	cfg, err := config.LoadDefaultConfig(a, options...)
	if err == nil && cfg.Region == "" {
		err = errors.New("no AWS region is set: name one with --region or AWS_REGION, or put it into the profile with `aws configure`")
	}
	return cfg, err
}

// explain says of an error of AWS what to do about it.
func explain(err error, g globals) error {
	var profile config.SharedConfigProfileNotExistError
	var api smithy.APIError
	var call *smithy.OperationError // of AWS, not of Veryfi
	var unreached *net.OpError
	switch {
	case errors.As(err, &profile):
		return fmt.Errorf("there is no profile %s: `aws configure list-profiles` shows those there are", profile.Profile)
	case errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "does not exist"):
		return fmt.Errorf("there is no stack %s in this account and region: name yours with --stack, --profile and --region, or deploy it with `make deploy`", g.Stack)
	case errors.As(err, &api) && isDenied(api.ErrorCode()):
		return fmt.Errorf("AWS does not let you do this: %s. Use a --profile that may", api.ErrorMessage())
	case errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "ExpiredToken"):
		return errors.New("your AWS session has ended: sign in again, as with `aws sso login`")
	case errors.As(err, &api) && slices.Contains([]string{"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"}, api.ErrorCode()):
		return errors.New("AWS does not know these credentials: they were mistyped or deleted. `aws configure` sets others, --profile chooses")
	case errors.As(err, &api) && api.ErrorCode() == "RequestExpired":
		return errors.New("AWS takes the request for an old one: sign in again, or set this machine's clock right")
	case errors.As(err, &call) && errors.As(err, &unreached):
		return fmt.Errorf("AWS cannot be reached: see the network, --region and AWS_ENDPOINT_URL (%w)", unreached)
	case errors.As(err, &call) && strings.Contains(err.Error(), "timeout awaiting response headers"):
		return fmt.Errorf("AWS does not answer within %v (%s): see the network, --region and AWS_ENDPOINT_URL", answerTime, call.Service())
	case strings.Contains(err.Error(), "failed to resolve service endpoint"):
		return errors.New("AWS_ENDPOINT_URL is no address such as http://127.0.0.1:8081")
	case strings.Contains(err.Error(), "SSO token"), strings.Contains(err.Error(), "SSO session"):
		return errors.New("your AWS session has ended: sign in again with `aws sso login`")
	case strings.Contains(err.Error(), "failed to refresh cached credentials"), strings.Contains(err.Error(), "no EC2 IMDS role found"):
		return errors.New("no AWS credentials are found: set a profile up with `aws configure`, and name it with --profile or AWS_PROFILE")
	}
	return err
}

func isDenied(code string) bool {
	return strings.HasPrefix(code, "AccessDenied") || strings.HasPrefix(code, "UnauthorizedOperation")
}

// credentials returns Veryfi's, as the secret has them now; those that are not filled
// are empty.
func (d *deployment) credentials(ctx context.Context) (secret.Credentials, error) {
	known, err := secret.New(secretsmanager.NewFromConfig(d.aws), d.outputs[secretID], time.Now).Get(ctx)
	if err != nil {
		return secret.Credentials{}, err
	}
	return known.Credentials, nil
}

// pace is how many requests a second the command makes to Veryfi: a fraction, beside
// those of the stack.
const pace = 2

func (d *deployment) veryfiURL() string {
	if base := d.parameters["VeryfiBaseUrl"]; base != "" {
		return base
	}
	return veryfi.DefaultBaseURL
}

// veryfi returns a client of Veryfi's API where the stack has it.
func (d *deployment) veryfi(c secret.Credentials) (*veryfi.Client, error) {
	transport := veryfi.NewTransport()
	transport.Proxy = http.ProxyFromEnvironment // as for AWS
	return veryfi.NewClient(veryfi.Config{
		BaseURL: d.veryfiURL(), RequestsPerSecond: d.pace, Secrets: secret.Fixed(c), Transport: transport, Now: time.Now,
	})
}

// filled returns a client that has the stack's credentials.
func (d *deployment) filled(ctx context.Context) (*veryfi.Client, error) {
	known, err := d.credentials(ctx)
	if err == nil {
		err = known.Retrieves()
	}
	if err != nil {
		return nil, notFilled(err)
	}
	return d.veryfi(known)
}

func notFilled(err error) error {
	switch {
	case errors.Is(err, secret.ErrNotFilled):
		return errors.New("the secret is not filled: " + fill)
	case errors.Is(err, secret.ErrForm):
		return fmt.Errorf("the secret cannot be used: %w: %s, and writes them so", secret.ErrForm, fill)
	}
	return err
}

// sideBySide runs all and waits for their ends.
func sideBySide(all ...func()) {
	var group sync.WaitGroup
	for _, f := range all {
		group.Go(f)
	}
	group.Wait()
}

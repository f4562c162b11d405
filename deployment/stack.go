// Package deployment is a stack of veryfi-intake as its operator sees it. [Find] comes
// first; then a [Stack] reads and changes what is in it: rows, queues, logs, the secret.
//
// Nothing here prints or asks. Errors name the thing and say what to do; [Explain] says it
// for errors of AWS.
package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"veryfi-intake/deployment/webhook"
	"veryfi-intake/shared/event"
)

// Options say which stack, and how to work with it.
type Options struct {
	Name string // the stack's
	// Profile and Region are those of the AWS configuration when they are empty.
	Profile, Region string
	// LocalEndpoint is where a stack on this machine has all AWS services. It is empty
	// for a stack in AWS.
	LocalEndpoint string
	// RequestsPerSecond is the pace to Veryfi, on top of that of the stack's functions.
	RequestsPerSecond float64
	Now               func() time.Time
}

// A Stack is one that is deployed, with all the outputs named here.
type Stack struct {
	Options

	Status              string // CloudFormation's, such as CREATE_COMPLETE
	Outputs, Parameters map[string]string
	Deployed            time.Time // when the last deployment began
	// AWS makes clients for what this package does not have.
	AWS aws.Config
}

// The outputs of template.yaml that are needed.
const (
	WebhookURL         = "WebhookUrl"
	SecretID           = "SecretId"
	TableName          = "TableName"
	QueueURL           = "QueueUrl"
	DeadLetterQueueURL = "DeadLetterQueueUrl"
	ReconcilerName     = "ReconcilerName"
	WebhookLog         = "WebhookLogGroupName"
	ProcessorLog       = "ProcessorLogGroupName"
	ReconcilerLog      = "ReconcilerLogGroupName"
	AlarmTopic         = "AlarmTopicArn"
)

var needed = []string{
	WebhookURL, SecretID, TableName, QueueURL, DeadLetterQueueURL, ReconcilerName, WebhookLog, ProcessorLog, ReconcilerLog, "DashboardUrl", AlarmTopic,
}

// Find finds the stack in CloudFormation. It is an error when an output is missing.
func Find(ctx context.Context, o Options) (*Stack, error) {
	cfg, err := o.configure(ctx)
	if err != nil {
		return nil, err
	}
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &o.Name})
	if _, refused := errors.AsType[*net.OpError](err); refused && o.LocalEndpoint != "" {
		return nil, fmt.Errorf("no local stack answers at %s: start it with `make dev`, in another terminal", o.LocalEndpoint)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "does not exist") {
		return nil, fmt.Errorf("there is no stack %s in this account and region: name yours with --stack, --profile and --region, or deploy it with `make deploy`", o.Name)
	}
	if err != nil {
		return nil, err
	}
	found := out.Stacks[0]
	s := &Stack{
		Options: o, AWS: cfg, Status: string(found.StackStatus), Deployed: aws.ToTime(cmp.Or(found.LastUpdatedTime, found.CreationTime)),
		Outputs: map[string]string{}, Parameters: map[string]string{},
	}
	for _, output := range found.Outputs {
		s.Outputs[aws.ToString(output.OutputKey)] = aws.ToString(output.OutputValue)
	}
	for _, p := range found.Parameters {
		s.Parameters[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	for _, name := range needed {
		if s.Outputs[name] == "" {
			return nil, s.lacks(name)
		}
	}
	return s, nil
}

// lacks says why a stack does not have an output.
func (s *Stack) lacks(output string) error {
	switch {
	case s.Status == "REVIEW_IN_PROGRESS":
		return fmt.Errorf("%s was never deployed: `make deploy`, and say yes when it asks", s.Name)
	case s.Status == "ROLLBACK_COMPLETE", s.Status == "ROLLBACK_FAILED", s.Status == "CREATE_FAILED":
		return fmt.Errorf("%s is %s: its first deployment has failed. `aws cloudformation describe-stack-events --stack-name %s` says why; fix that, `aws cloudformation delete-stack --stack-name %s`, and `make deploy`", s.Name, s.Status, s.Name, s.Name)
	case strings.HasSuffix(s.Status, "_IN_PROGRESS"):
		return fmt.Errorf("%s is %s: wait until that has ended, and try again", s.Name, s.Status)
	default:
		return fmt.Errorf("%s was deployed by another version, and has no output %s: deploy this one with `make deploy`, or use the command of that one", s.Name, output)
	}
}

// Kinds returns the kinds of documents that the stack knows.
func (s *Stack) Kinds() (event.Kinds, error) { return event.ParseKinds(s.Parameters["MoreKinds"]) }

// answerTime is how long AWS may take to begin an answer; a call is tried three times.
const answerTime = 20 * time.Second

// configure reads the AWS configuration; for a local stack, nothing of the user's.
func (o Options) configure(ctx context.Context) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = answerTime })
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(client), config.WithLogger(logging.Nop{})}
	if o.LocalEndpoint != "" {
		options = append(options,
			config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil),
			config.WithRegion("us-east-1"), config.WithBaseEndpoint(o.LocalEndpoint),
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")),
		)
		return config.LoadDefaultConfig(ctx, options...)
	}
	cfg, err := config.LoadDefaultConfig(ctx, append(options, config.WithSharedConfigProfile(o.Profile), config.WithRegion(o.Region))...)
	if err == nil && cfg.Region == "" {
		err = errors.New("no AWS region is set: name one with --region or AWS_REGION, or put it into the profile with `aws configure`")
	}
	return cfg, err
}

// Post sends a webhook to the stack, or to url where that is not empty. The error says
// that nothing has answered.
func (s *Stack) Post(ctx context.Context, url string, w webhook.Webhook) (webhook.Answer, error) {
	url = cmp.Or(url, s.Outputs[WebhookURL])
	answer := webhook.NewSender(s.Now).Post(ctx, url, w)
	if answer.Err != nil {
		return answer, fmt.Errorf("%s does not answer: %w", url, answer.Err)
	}
	return answer, nil
}

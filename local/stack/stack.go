// Package stack runs the whole of veryfi-intake on one machine, as template.yaml
// describes it: the real functions, the emulators, and the stand-ins for API
// Gateway, Lambda, Secrets Manager and Veryfi. Nothing leaves the machine unless
// [Options] name the real Veryfi.
package stack

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/aws/lambda"
	"veryfi-intake/local/aws/poller"
	"veryfi-intake/local/aws/secrets"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/secret"
)

// Options describe a stack. The zero value of a port is a free one.
type Options struct {
	// Root is the folder of template.yaml and the Makefile.
	Root string
	// WebhookPort is the HTTP API's, AWSPort the one of all AWS services,
	// VeryfiPort the stand-in's for Veryfi; all on 127.0.0.1.
	WebhookPort, AWSPort, VeryfiPort int
	// Credentials are what the secret holds and the stand-in accepts.
	Credentials secret.Credentials
	// VeryfiBaseURL is the real Veryfi's; "" starts the stand-in.
	VeryfiBaseURL string
	// Parameters replace defaults of the template's parameters.
	Parameters map[string]string
	// Environment is put over the variables of all functions.
	Environment map[string]string
	// FrontOfAWS and FrontOfVeryfi are the URLs at which the functions call AWS and
	// Veryfi, when something stands in front of them; "" is nothing.
	FrontOfAWS, FrontOfVeryfi string
	// Log gets each line that a function wrote, and what goes wrong between queue and
	// function. Several goroutines may call it at a time. Nil drops them.
	Log func(source, line string)
	// Progress gets in a few words what takes long. Nil drops it.
	Progress func(string)
}

// A Stack is running until it is stopped.
type Stack struct {
	// WebhookURL takes webhooks; AWSURL is the endpoint of all AWS services.
	WebhookURL, AWSURL string
	// The functions can be invoked, and their environments killed. Nothing invokes
	// Reconciler by itself.
	Webhook, Processor, Reconciler *lambda.Function
	// Veryfi is the stand-in, nil with the real Veryfi. VeryfiURL is where either is.
	Veryfi    *standin.Server
	VeryfiURL string
	// Secrets holds the credentials.
	Secrets *secrets.Server
	// Metrics are what the functions count, and what AWS would count.
	Metrics *cloudwatch.Metrics
	// AWS is what the functions call; an intercept can make it fail. The clients below
	// and the poller do not pass through it.
	AWS      *endpoint.Endpoint
	SQS      *sqs.Client
	DynamoDB *dynamodb.Client
	// QueueURL, DeadLetterQueueURL and TableName are as the functions see them.
	QueueURL, DeadLetterQueueURL, TableName string

	options   Options
	template  *template.Template
	functions map[string]template.Function // their settings, by logical id
	source    poller.Config
	logs      *cloudwatch.Logs
	api       *lambda.API
	services  []*http.Server // what a function needs to find

	measured     sync.Mutex
	waitingSince map[string]time.Time // by queue, those that were not empty when they were measured

	mu       sync.Mutex
	cleanups []func()
	poller   *poller.Poller
}

// A PortInUseError says that a chosen port is not free.
type PortInUseError struct {
	Port int
	// Purpose is what the stack needs it for.
	Purpose string
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("port %d (%s) is in use", e.Port, e.Purpose)
}

// Start builds the functions and starts the stack. When it fails or ctx ends
// before it is up, nothing is left running.
func Start(ctx context.Context, options Options) (*Stack, error) {
	if options.Log == nil {
		options.Log = func(string, string) {}
	}
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	s := &Stack{options: options, Metrics: &cloudwatch.Metrics{}, logs: &cloudwatch.Logs{}, waitingSince: map[string]time.Time{}}
	s.api = &lambda.API{Functions: map[string]*lambda.Function{}, Mapping: s.mapping}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends immediately all that the stack runs, and removes its files. What was being
// processed is lost with the queue.
func (s *Stack) Stop() {
	s.mu.Lock()
	cleanups := s.cleanups
	s.cleanups = nil
	s.mu.Unlock()
	for _, cleanup := range slices.Backward(cleanups) {
		cleanup()
	}
}

// StopPoller ends the event source mapping after the batches that run.
func (s *Stack) StopPoller() {
	if running := s.takePoller(); running != nil {
		running.Stop()
	}
}

func (s *Stack) takePoller() *poller.Poller {
	s.mu.Lock()
	defer s.mu.Unlock()
	running := s.poller
	s.poller = nil
	return running
}

// StartPoller starts the event source mapping again.
func (s *Stack) StartPoller() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poller == nil {
		s.poller = poller.Start(s.source)
	}
}

func (s *Stack) onStop(cleanup func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, cleanup)
}

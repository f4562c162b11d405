package stack

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/aws/httpapi"
	"veryfi-intake/local/aws/lambda"
	"veryfi-intake/local/aws/poller"
)

// startFunctions puts the functions behind the HTTP API and the queue, and the
// reconciler beside them.
func (s *Stack) startFunctions(front net.Listener, binaries string) error {
	webhook, err := s.template.Function(webhookFunction, s.references())
	if err != nil {
		return err
	}
	processor, err := s.template.Function(processorFunction, s.references())
	if err != nil {
		return err
	}
	if processor.Source == nil || processor.Source.Queue != documentQueue {
		return fmt.Errorf("%s does not poll %s in template.yaml", processorFunction, documentQueue)
	}
	if processor.Source.MaximumConcurrency == 0 {
		processor.Source.MaximumConcurrency = accountConcurrency
	}
	reconciler, err := s.template.Function(reconcilerFunction, s.references())
	if err != nil {
		return err
	}
	s.Reconciler = s.newFunction(reconcilerFunction, reconciler, binaries, accountConcurrency)
	s.Webhook = s.newFunction(webhookFunction, webhook, binaries, accountConcurrency)
	s.Processor = s.newFunction(processorFunction, processor, binaries, processor.Source.MaximumConcurrency)

	s.source = s.newSource(*processor.Source)
	s.StartPoller()
	s.onStop(func() {
		atOnce, cancel := context.WithCancel(context.Background())
		cancel()
		s.stopPoller(atOnce)
	})
	s.serve(front, s.countingErrors(httpapi.Front{Method: webhook.Route.Method, Path: webhook.Route.Path, Invoke: s.Webhook.Invoke}))
	return nil
}

const veryfiBaseURL = "VERYFI_BASE_URL"

// veryfi returns where the functions find Veryfi.
func (s *Stack) veryfi() string { return cmp.Or(s.options.FrontOfVeryfi, s.VeryfiURL) }

func (s *Stack) newFunction(id string, settings template.Function, binaries string, concurrency int) *lambda.Function {
	variables := settings.Environment
	variables["AWS_ENDPOINT_URL"] = s.AWSURL
	if s.options.FrontOfAWS != "" {
		variables["AWS_ENDPOINT_URL"] = s.options.FrontOfAWS
	}
	if _, retrieves := variables[veryfiBaseURL]; retrieves {
		variables[veryfiBaseURL] = s.veryfi() // the parameter takes https only
	}
	variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"] = accessKey, accessKey
	maps.Copy(variables, s.options.Environment)
	function := lambda.New(lambda.Config{
		Name:           id,
		Bootstrap:      filepath.Join(binaries, id),
		Timeout:        settings.Timeout,
		MemorySize:     settings.MemorySize,
		Environment:    variables,
		Region:         region,
		MaxConcurrency: concurrency,
		Log: func(line string) {
			s.Metrics.AddLine(line)
			s.logs.Add(logGroupOf(id), line, time.Now())
			s.options.Log(id, line)
		},
		Ended: func(err error) { s.countInvocation(id, err) },
	})
	s.api.Functions[id] = function
	s.onStop(function.Close)
	return function
}

func (s *Stack) newSource(source template.Source) poller.Config {
	return poller.Config{
		Queue:                   s.SQS,
		QueueURL:                s.QueueURL,
		QueueARN:                queueARN(source.Queue),
		Region:                  region,
		BatchSize:               source.BatchSize,
		Window:                  source.Window,
		MaxConcurrency:          source.MaximumConcurrency,
		ReportBatchItemFailures: source.ReportBatchItemFailures,
		Invoke:                  s.Processor.Invoke,
		Problem:                 func(problem string) { s.options.Log("EventSource", problem) },
	}
}

// nameWebhook says where webhooks go.
func (s *Stack) nameWebhook(address string) error {
	webhook, err := s.template.Function(webhookFunction, s.references())
	if err != nil {
		return err
	}
	if webhook.Route == nil {
		return fmt.Errorf("%s has no route of an HTTP API in template.yaml", webhookFunction)
	}
	s.WebhookURL = "http://" + address + webhook.Route.Path
	s.deliverSubmitted()
	return nil
}

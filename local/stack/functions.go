package stack

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/aws/httpapi"
	"veryfi-intake/local/aws/lambda"
	"veryfi-intake/local/aws/poller"
)

// readFunctions reads the functions' settings and says where webhooks go, given the
// address of the HTTP API.
func (s *Stack) readFunctions(front string) error {
	s.functions = map[string]template.Function{}
	for _, id := range []string{webhookFunction, processorFunction, reconcilerFunction} {
		settings, err := s.template.Function(id, s.references())
		if err != nil {
			return err
		}
		s.functions[id] = settings
	}
	route, source := s.functions[webhookFunction].Route, s.functions[processorFunction].Source
	switch {
	case route == nil:
		return fmt.Errorf("%s has no route of an HTTP API in template.yaml", webhookFunction)
	case source == nil || source.Queue != documentQueue:
		return fmt.Errorf("%s does not poll %s in template.yaml", processorFunction, documentQueue)
	}
	s.WebhookURL = "http://" + front + route.Path
	return nil
}

// startFunctions puts the functions behind the HTTP API and the queue, and the
// reconciler next to them.
func (s *Stack) startFunctions(front net.Listener, binaries string) {
	route, source := s.functions[webhookFunction].Route, s.functions[processorFunction].Source
	concurrency := cmp.Or(source.MaximumConcurrency, accountConcurrency)
	s.Webhook = s.newFunction(webhookFunction, binaries, accountConcurrency)
	s.Processor = s.newFunction(processorFunction, binaries, concurrency)
	s.Reconciler = s.newFunction(reconcilerFunction, binaries, accountConcurrency)
	s.source = poller.Config{
		Queue:                   s.SQS,
		QueueURL:                s.QueueURL,
		QueueARN:                queueARN(source.Queue),
		Region:                  region,
		BatchSize:               source.BatchSize,
		Window:                  source.Window,
		MaxConcurrency:          concurrency,
		ReportBatchItemFailures: source.ReportBatchItemFailures,
		Invoke:                  s.Processor.Invoke,
		Problem:                 func(problem string) { s.options.Log("EventSource", problem) },
	}
	s.StartPoller()
	s.onStop(func() {
		if running := s.takePoller(); running != nil {
			running.Kill()
		}
	})
	s.serve(front, httpapi.Front{
		Method: route.Method, Path: route.Path, Invoke: s.Webhook.Invoke,
		Answered: func(status int) {
			s.countFailure("AWS/ApiGateway", "5xx", "ApiId", "HttpApi", status >= http.StatusInternalServerError)
		},
	})
}

func (s *Stack) newFunction(id, binaries string, concurrency int) *lambda.Function {
	settings := s.functions[id]
	variables := settings.Environment
	variables["AWS_ENDPOINT_URL"] = cmp.Or(s.options.FrontOfAWS, s.AWSURL)
	const veryfiBaseURL = "VERYFI_BASE_URL"
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
			s.logs.Add(strings.TrimSuffix(id, "Function")+"LogGroup", line, time.Now())
			s.options.Log(id, line)
		},
		Ended: func(err error) { s.countFailure("AWS/Lambda", "Errors", "FunctionName", id, err != nil) },
	})
	s.api.Functions[id] = function
	s.onStop(function.Close)
	return function
}

// veryfi returns where the functions find Veryfi.
func (s *Stack) veryfi() string { return cmp.Or(s.options.FrontOfVeryfi, s.VeryfiURL) }

func (s *Stack) countFailure(namespace, metric, dimension, of string, failed bool) {
	value := 0.0
	if failed {
		value = 1
	}
	s.count(namespace, metric, dimension, of, value)
}

func (s *Stack) count(namespace, metric, dimension, of string, value float64) {
	s.Metrics.Add(namespace, metric, map[string]string{dimension: of}, time.Now(), value)
}

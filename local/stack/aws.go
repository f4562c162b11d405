package stack

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/aws/secrets"
)

// The resources of template.yaml. Locally a resource's name is its logical id.
const (
	webhookFunction    = "WebhookFunction"
	processorFunction  = "ProcessorFunction"
	reconcilerFunction = "ReconcilerFunction"
	documentQueue      = "DocumentQueue"
	deadLetterQueue    = "DeadLetterQueue"
	documentTable      = "DocumentTable"
	veryfiSecret       = "VeryfiSecret"
)

const (
	region    = "us-east-1"
	account   = "000000000000" // ElasticMQ's
	accessKey = "local"
	// Name is the stack's in CloudFormation.
	Name = "local"
	// accountConcurrency is how many executions a new AWS account runs at a time.
	accountConcurrency = 10
)

func keys(accessKey string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(accessKey, accessKey, "")
}

// authorizationOf returns the header with which DynamoDB Local shows the tables of an
// access key. It does not check the signature.
func authorizationOf(accessKey string) string {
	return "AWS4-HMAC-SHA256 Credential=" + accessKey + "/20260101/" + region + "/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
}

func queueARN(queue string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + queue }

// references are what the functions' variables, the alarms and the outputs refer to.
func (s *Stack) references() template.References {
	references := s.template.Names()
	maps.Copy(references, template.References{
		documentQueue:            s.QueueURL,
		documentQueue + ".Arn":   queueARN(documentQueue),
		deadLetterQueue:          s.DeadLetterQueueURL,
		deadLetterQueue + ".Arn": queueARN(deadLetterQueue),
		"AWS::Region":            region,
		"AWS::AccountId":         account,
		"AWS::Partition":         "aws",
		"AWS::URLSuffix":         "amazonaws.com",
		"AWS::StackName":         Name,
	})
	return references
}

func (s *Stack) startAWS(listener net.Listener, started parts) error {
	credentials, err := json.Marshal(s.options.Credentials)
	if err != nil {
		return err
	}
	s.Secrets = secrets.New(veryfiSecret, string(credentials))
	described, alarms, err := s.described()
	if err != nil {
		return err
	}
	topic := endpoint.Topic{ARN: "AlarmTopic"}
	if s.template.Has("AlarmSubscription") {
		topic.Pending = 1
	}
	s.AWS = endpoint.New(map[endpoint.Service]http.Handler{
		endpoint.DynamoDB:       endpoint.Proxy(started.dynamodb.Address, authorizationOf(started.dynamodb.AccessKey)),
		endpoint.SQS:            endpoint.Proxy(started.elasticmq.Address, ""),
		endpoint.SecretsManager: s.Secrets,
		endpoint.Logs:           s.logs,
		endpoint.CloudFormation: described,
		endpoint.CloudWatch:     s.measuring(&cloudwatch.Server{Metrics: s.Metrics, Alarms: alarms}),
		endpoint.Lambda:         s.api,
		endpoint.SNS:            topic,
	})
	s.SQS = sqs.New(sqs.Options{Region: region, BaseEndpoint: aws.String(started.elasticmq.URL()), Credentials: keys(accessKey)})
	s.DynamoDB = dynamodb.New(dynamodb.Options{Region: region, BaseEndpoint: aws.String(started.dynamodb.URL()), Credentials: keys(started.dynamodb.AccessKey)})
	s.services = append(s.services, s.serve(listener, s.AWS))
	return nil
}

// described returns what CloudFormation knows of the stack, and its alarms.
func (s *Stack) described() (endpoint.Stack, []template.Alarm, error) {
	references := s.references() // CloudWatch knows queues by their names
	outputs, err := s.template.Outputs(references)
	if err != nil {
		return endpoint.Stack{}, nil, err
	}
	outputs["WebhookUrl"] = s.WebhookURL // no API Gateway makes one
	var alarms []template.Alarm
	for _, id := range s.template.Alarms() {
		alarm, err := s.template.Alarm(id, references)
		if err != nil {
			return endpoint.Stack{}, nil, err
		}
		alarms = append(alarms, alarm)
	}
	parameters := s.template.Parameters()
	parameters["VeryfiBaseUrl"] = s.veryfi()
	return endpoint.Stack{Name: Name, Outputs: outputs, Parameters: parameters, Created: time.Now()}, alarms, nil
}

// mapping returns what Lambda knows of the event source mapping.
func (s *Stack) mapping() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := "Disabled"
	if s.poller != nil {
		state = "Enabled"
	}
	types := []string{}
	if s.source.ReportBatchItemFailures {
		types = append(types, "ReportBatchItemFailures")
	}
	return map[string]any{
		"UUID": "local", "State": state, "BatchSize": s.source.BatchSize, "MaximumBatchingWindowInSeconds": int(s.source.Window.Seconds()),
		"FunctionResponseTypes": types, "ScalingConfig": map[string]int{"MaximumConcurrency": s.source.MaxConcurrency},
	}
}

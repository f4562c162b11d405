package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/deployment/template"
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

// authorizationOf is a request's, as DynamoDB Local reads it: nothing checks the
// signature.
func authorizationOf(accessKey string) string {
	return "AWS4-HMAC-SHA256 Credential=" + accessKey + "/20260101/" + region + "/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
}

func queueARN(queue string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + queue }

// references is what the functions' variables, the alarms and the outputs may refer
// to.
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

// createTable creates the table, whose settings CloudFormation and DynamoDB's API name
// alike. It has no stream: nothing here reads one.
func (s *Stack) createTable(ctx context.Context) error {
	settings, err := s.template.Table(documentTable)
	if err != nil {
		return err
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	var input dynamodb.CreateTableInput
	if err := json.Unmarshal(text, &input); err != nil {
		return err
	}
	input.TableName, input.StreamSpecification = aws.String(documentTable), nil
	if _, err := s.DynamoDB.CreateTable(ctx, &input); err != nil {
		return fmt.Errorf("create the table %s: %w", documentTable, err)
	}
	expiry := settings.TimeToLiveSpecification
	if !expiry.Enabled {
		return nil
	}
	_, err = s.DynamoDB.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               aws.String(documentTable),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &expiry.AttributeName, Enabled: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("set the time to live of %s: %w", documentTable, err)
	}
	return nil
}

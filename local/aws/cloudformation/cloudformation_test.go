package cloudformation

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/smithy-go"
)

func TestAStackIsDescribed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(Stack{
		Name: "local", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Outputs: map[string]string{"Url": "http://x/?a=1&b=<2>", "Name": "n"}, Parameters: map[string]string{"Days": "0", "Mail": ""},
	})
	defer server.Close()
	client := cloudformation.New(cloudformation.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
	out, err := client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("local")})
	if err != nil {
		t.Fatal(err)
	}
	s := out.Stacks[0]
	if *s.StackName != "local" || s.StackStatus != "CREATE_COMPLETE" || len(s.Outputs) != 2 || *s.Outputs[1].OutputKey != "Url" || *s.Outputs[1].OutputValue != "http://x/?a=1&b=<2>" {
		t.Errorf("%+v", s)
	}
	if len(s.Parameters) != 2 || *s.Parameters[0].ParameterKey != "Days" || *s.Parameters[0].ParameterValue != "0" {
		t.Errorf("%+v", s.Parameters)
	}
	var api smithy.APIError
	_, err = client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("other")})
	if !errors.As(err, &api) || api.ErrorCode() != "ValidationError" || api.ErrorMessage() != "Stack with id other does not exist" {
		t.Error(err)
	}
	if _, err := client.ListStacks(t.Context(), &cloudformation.ListStacksInput{}); err == nil {
		t.Error("another call has no error")
	}
}

package endpoint

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
)

// config has the SDK ask a handler.
func config(t *testing.T, handler http.Handler) aws.Config {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return aws.Config{Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1, Credentials: aws.AnonymousCredentials{}}
}

func TestAStackIsDescribed(t *testing.T) {
	t.Parallel()
	client := cloudformation.NewFromConfig(config(t, Stack{
		Name: "local", Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Outputs: map[string]string{"Url": "http://x/?a=1&b=<2>", "Name": "n"}, Parameters: map[string]string{"Days": "0", "Mail": ""},
	}))
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
	_, err = client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("other")})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "ValidationError" || api.ErrorMessage() != "Stack with id other does not exist" {
		t.Error(err)
	}
	if _, err := client.ListStacks(t.Context(), &cloudformation.ListStacksInput{}); err == nil {
		t.Error("another call has no error")
	}
}

func TestATopicTellsOfItsSubscriptions(t *testing.T) {
	t.Parallel()
	client := sns.NewFromConfig(config(t, Topic{ARN: "AlarmTopic", Pending: 1}))
	out, err := client.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String("AlarmTopic")})
	if err != nil {
		t.Fatal(err)
	}
	if out.Attributes["SubscriptionsPending"] != "1" || out.Attributes["SubscriptionsConfirmed"] != "0" {
		t.Errorf("%v", out.Attributes)
	}
	_, err = client.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String("Other")})
	if _, missing := errors.AsType[*types.NotFoundException](err); !missing {
		t.Errorf("another topic: %v", err)
	}
	_, err = client.ListTopics(t.Context(), &sns.ListTopicsInput{})
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "InvalidAction" {
		t.Errorf("another call: %v", err)
	}
}

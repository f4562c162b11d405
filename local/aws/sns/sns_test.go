package sns

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
)

func TestATopicTellsOfItsSubscriptions(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(Topic{ARN: "AlarmTopic", Pending: 1})
	defer server.Close()
	client := sns.New(sns.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
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

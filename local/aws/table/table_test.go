package table

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestUnknownExpressionIsRefused keeps the stand-in from guessing. What it knows, a test
// holds to DynamoDB Local (proof/simulation).
func TestUnknownExpressionIsRefused(t *testing.T) {
	for _, expression := range []string{"", "updated_at <> :version", "attribute_exists(id)", "a = :a OR b = :b"} {
		if _, err := New(nil).PutItem(t.Context(), &dynamodb.PutItemInput{ConditionExpression: aws.String(expression)}); err == nil {
			t.Errorf("%q is accepted", expression)
		}
	}
	for _, expression := range []string{"", "SET", "updated_at = :now", "SET a = b", "SET a = :gone", "SET a = :now REMOVE b", "ADD a :now"} {
		_, err := New(nil).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			UpdateExpression: aws.String(expression), ExpressionAttributeValues: Item{":now": &types.AttributeValueMemberS{Value: "now"}},
		})
		if err == nil {
			t.Errorf("%q is accepted", expression)
		}
	}
}

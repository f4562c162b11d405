package table

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// sent returns the input as it would be sent: the caller's options may put a body of
// their own in its place.
func sent(ctx context.Context, in *dynamodb.PutItemInput, options []func(*dynamodb.Options)) (*dynamodb.PutItemInput, error) {
	var o dynamodb.Options
	for _, option := range options {
		option(&o)
	}
	if len(o.APIOptions) == 0 {
		return in, nil
	}
	stack := middleware.NewStack("PutItem", smithyhttp.NewStackRequest)
	for _, add := range o.APIOptions {
		if err := add(stack); err != nil {
			return nil, err
		}
	}
	send := middleware.HandlerFunc(func(_ context.Context, request any) (any, middleware.Metadata, error) {
		var body putItemBody
		err := json.NewDecoder(request.(*smithyhttp.Request).GetStream()).Decode(&body) //nolint:errcheck // the stack makes no other
		in := &dynamodb.PutItemInput{
			Item: items(body.Item), ConditionExpression: body.ConditionExpression,
			ExpressionAttributeValues: items(body.ExpressionAttributeValues),
		}
		return in, middleware.Metadata{}, err
	})
	out, _, err := middleware.DecorateHandler(send, stack).Handle(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.(*dynamodb.PutItemInput), nil //nolint:errcheck // that is what send returns
}

type putItemBody struct {
	Item, ExpressionAttributeValues map[string]attribute
	ConditionExpression             *string
}

// An attribute is a value in DynamoDB's JSON, of which one member is set.
type attribute struct {
	S, N       *string
	B          []byte
	BOOL, NULL *bool
	L          []attribute
	M          map[string]attribute
}

func (a attribute) value() types.AttributeValue {
	switch {
	case a.S != nil:
		return &types.AttributeValueMemberS{Value: *a.S}
	case a.N != nil:
		return &types.AttributeValueMemberN{Value: *a.N}
	case a.B != nil:
		return &types.AttributeValueMemberB{Value: a.B}
	case a.BOOL != nil:
		return &types.AttributeValueMemberBOOL{Value: *a.BOOL}
	case a.NULL != nil:
		return &types.AttributeValueMemberNULL{Value: *a.NULL}
	case a.M != nil:
		return &types.AttributeValueMemberM{Value: items(a.M)}
	default:
		list := make([]types.AttributeValue, len(a.L))
		for i, element := range a.L {
			list[i] = element.value()
		}
		return &types.AttributeValueMemberL{Value: list}
	}
}

func items(attributes map[string]attribute) Item {
	item := make(Item, len(attributes))
	for name, value := range attributes {
		item[name] = value.value()
	}
	return item
}

package table

import (
	"context"
	"encoding/base64"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"veryfi-intake/shared/jsonscan"
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
	var body []byte
	send := middleware.HandlerFunc(func(_ context.Context, request any) (any, middleware.Metadata, error) {
		r := request.(*smithyhttp.Request) //nolint:errcheck // the stack makes no other
		size, _, err := r.StreamLength()
		if err == nil {
			body = make([]byte, size)
			_, err = io.ReadFull(r.GetStream(), body)
		}
		return nil, middleware.Metadata{}, err
	})
	if _, _, err := middleware.DecorateHandler(send, stack).Handle(ctx, in); err != nil {
		return nil, err
	}
	in = &dynamodb.PutItemInput{}
	isObject := jsonscan.Each(body, func(name string, value []byte) {
		switch name {
		case "Item":
			in.Item = ItemOf(value)
		case "ConditionExpression":
			in.ConditionExpression = aws.String(unquoted(value))
		case "ExpressionAttributeValues":
			in.ExpressionAttributeValues = ItemOf(value)
		}
	})
	if !isObject {
		return nil, &smithy.GenericAPIError{Code: "SerializationException", Message: "the body is not JSON"}
	}
	return in, nil
}

// ItemOf reads an item in DynamoDB's JSON.
func ItemOf(text []byte) Item {
	item := Item{}
	jsonscan.Each(text, func(name string, value []byte) { item[name] = attributeOf(value) })
	return item
}

func attributeOf(text []byte) (value types.AttributeValue) {
	jsonscan.Each(text, func(kind string, text []byte) {
		switch kind {
		case "S":
			value = &types.AttributeValueMemberS{Value: unquoted(text)}
		case "N":
			value = &types.AttributeValueMemberN{Value: unquoted(text)}
		case "B":
			bytes, _ := base64.StdEncoding.DecodeString(unquoted(text)) // what is wrong with it, shows
			value = &types.AttributeValueMemberB{Value: bytes}
		case "BOOL":
			value = &types.AttributeValueMemberBOOL{Value: string(text) == "true"}
		case "NULL":
			value = &types.AttributeValueMemberNULL{Value: true}
		case "M":
			value = &types.AttributeValueMemberM{Value: ItemOf(text)}
		case "L":
			list := []types.AttributeValue{}
			jsonscan.Each(text, func(_ string, element []byte) { list = append(list, attributeOf(element)) })
			value = &types.AttributeValueMemberL{Value: list}
		}
	})
	return value
}

func unquoted(text []byte) string { return string(jsonscan.Bytes(text[1 : len(text)-1])) }

package simulation

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"veryfi-intake/local/aws/secrets"
	"veryfi-intake/local/aws/table"
	"veryfi-intake/shared/store"
)

// AWS as an environment sees it: the models, each call of which may fail.

type sqsClient struct{ *environment }

func (c sqsClient) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	out, url := &sqs.SendMessageBatchOutput{}, aws.ToString(in.QueueUrl)
	effect, err := c.call(ctx, atSQS, "send to "+url+": "+*in.Entries[0].MessageBody)
	for _, entry := range in.Entries {
		switch body := *entry.MessageBody; {
		case !effect:
		case err == nil && c.w.draw(c.name+" entry "+body).part(whether) < c.w.plan().failures[atSQS]/4:
			// Now and then SQS takes some messages of a batch and not the others.
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: entry.Id, Code: aws.String("InternalError")})
		default:
			if len(body) > 1<<20 {
				c.w.violate("a message of %d bytes is sent", len(body))
			}
			m := c.w.sqs.Send(url, body, 1+int(c.rounds.Load()))
			c.w.story("%s sends %s to %s: %.80s", c.name, m.ID, url, body)
			out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: entry.Id})
		}
	}
	return out, err
}

func (c sqsClient) ChangeMessageVisibility(ctx context.Context, in *sqs.ChangeMessageVisibilityInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error) {
	return do(ctx, c.environment, atSQS, "hide "+*in.ReceiptHandle, func() (*sqs.ChangeMessageVisibilityOutput, error) {
		c.w.story("%s hides %s for %d s", c.name, *in.ReceiptHandle, in.VisibilityTimeout)
		if in.VisibilityTimeout > 43_200 {
			c.w.violate("a message is hidden for more than twelve hours")
		}
		return c.w.sqs.ChangeMessageVisibility(ctx, in)
	})
}

// do makes a call that may fail, or have an effect and no answer.
func do[T any](ctx context.Context, e *environment, s service, about string, call func() (*T, error)) (*T, error) {
	effect, lost := e.call(ctx, s, about)
	if !effect {
		return nil, lost
	}
	out, err := call()
	if lost != nil {
		return nil, lost
	}
	return out, err
}

type tableClient struct{ *environment }

func (c tableClient) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return do(ctx, c.environment, atDynamoDB, "read row "+table.Text(in.Key, "id"), func() (*dynamodb.GetItemOutput, error) {
		return c.w.table.GetItem(ctx, in)
	})
}

func (c tableClient) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	var ids []string
	for _, request := range in.RequestItems {
		for _, key := range request.Keys {
			ids = append(ids, table.Text(key, "id"))
		}
	}
	return do(ctx, c.environment, atDynamoDB, "read the rows "+strings.Join(ids, " "), func() (*dynamodb.BatchGetItemOutput, error) {
		return c.w.table.BatchGetItem(ctx, in)
	})
}

func (c tableClient) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return do(ctx, c.environment, atDynamoDB, "read an index", func() (*dynamodb.QueryOutput, error) { return c.w.table.Query(ctx, in) })
}

func (c tableClient) PutItem(ctx context.Context, in *dynamodb.PutItemInput, options ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return do(ctx, c.environment, atDynamoDB, "write row "+table.Text(in.Item, "id"), func() (*dynamodb.PutItemOutput, error) {
		out, err := c.w.table.PutItem(ctx, in, options...)
		c.w.story("%s writes row %s: %v", c.name, table.Text(in.Item, "id"), err)
		return out, err
	})
}

func (c tableClient) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, options ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return do(ctx, c.environment, atDynamoDB, "update row "+table.Text(in.Key, "id"), func() (*dynamodb.UpdateItemOutput, error) {
		out, err := c.w.table.UpdateItem(ctx, in, options...)
		c.w.story("%s updates row %s: %v", c.name, table.Text(in.Key, "id"), err)
		return out, err
	})
}

func (c tableClient) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	return do(ctx, c.environment, atDynamoDB, "delete row "+table.Text(in.Key, "id"), func() (*dynamodb.DeleteItemOutput, error) {
		out, err := c.w.table.DeleteItem(ctx, in)
		c.w.story("%s deletes row %s: %v", c.name, table.Text(in.Key, "id"), err)
		return out, err
	})
}

// wrote sees that a stored document is replaced by that of a later notification only.
func (w *World) wrote(before, after table.Item) {
	was, is := rowOf(before), rowOf(after)
	w.story("row %s is %s: %s", is.ID, is.Status, is.Error)
	if was.Status == store.Processed && (is.Created <= was.Created || is.Status != store.Processed) {
		w.violate("row %s of %s is replaced by one of %s that is %s", is.ID, was.Created, is.Created, is.Status)
	}
}

type secretsClient struct{ *environment }

func (c secretsClient) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	if aws.ToString(in.VersionStage) != secrets.Previous {
		c.readsSecret()
	}
	return do(ctx, c.environment, atSecretsManager, "read the secret "+aws.ToString(in.VersionStage), func() (*secretsmanager.GetSecretValueOutput, error) {
		return c.w.secrets.GetSecretValue(ctx, in)
	})
}

// readsSecret keeps an attacker from setting the pace: after the first readings
// there is one a second while none succeeds, and otherwise one in ten seconds.
func (e *environment) readsSecret() {
	reads, age := e.secretReads.Add(1), time.Since(e.born)
	if reads > 3+int64(age/time.Second) {
		e.w.violate("%s has read the secret %d times in %v", e.name, reads, age)
	}
}

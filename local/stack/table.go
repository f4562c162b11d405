package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"veryfi-intake/deployment"
)

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

// A Row is a row of the table.
type Row struct {
	ID, Status, Error     string
	Attempts              int
	ReceivedAt, UpdatedAt time.Time
	// Item is the whole row.
	Item deployment.Row
}

// Rows returns all rows, by id, as they are now.
func (s *Stack) Rows(ctx context.Context) (map[string]Row, error) {
	rows := map[string]Row{}
	pages := dynamodb.NewScanPaginator(s.DynamoDB, &dynamodb.ScanInput{TableName: &s.TableName, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			row := newRow(item)
			rows[row.ID] = row
		}
	}
	return rows, nil
}

func newRow(item deployment.Row) Row {
	row := Row{ID: item.Text("id"), Status: item.Text("status"), Error: item.Text("error"), Item: item}
	if attempts, ok := item["attempts"].(*types.AttributeValueMemberN); ok {
		row.Attempts, _ = strconv.Atoi(attempts.Value)
	}
	row.ReceivedAt, _ = time.Parse(time.RFC3339, item.Text("received_at"))
	row.UpdatedAt, _ = time.Parse(time.RFC3339, item.Text("updated_at"))
	return row
}

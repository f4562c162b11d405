package template

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

const sample = `
Parameters:
  Rate: {Type: Number, Default: 11.50}
  Concurrency: {Type: Number, Default: 5}
  Base: {Type: String, Default: https://example.com, AllowedPattern: "https://[a-z.]+|"}
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
  Endpoint: {Type: String, Default: ""}
Conditions:
  Local: !Not [!Equals [!Ref Endpoint, ""]]
  Deployed: !Not [!Condition Local]
Globals:
  Function:
    Timeout: 15
    Environment: {Variables: {EVERYWHERE: "yes", BASE: overridden}}
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 360
      MaximumMessageSize: 1024
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 60}
  Dead:
    Type: AWS::SQS::Queue
    Properties: {MessageRetentionPeriod: 1209600}
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      PointInTimeRecoverySpecification: !GetAtt Unknown.Thing
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: problems
          KeySchema: [{AttributeName: problem, KeyType: HASH}]
          Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [error]}
  Sometimes:
    Type: AWS::SQS::Queue
    Condition: Local
  Front:
    Type: AWS::Serverless::Function
    Properties:
      Architectures: [!Ref Size]
      Role: !GetAtt FrontRole.Arn
      Environment:
        Variables:
          QUEUE_URL: !Ref Work
          QUEUE_ARN: !Sub "${Work.Arn}/${AWS::Region}/${!kept}"
          BASE: !Ref Base
          RATE: !Ref Rate
          COUNT: 60
          OWN: !Sub ["${Base} ${Word} ${Work}", {Word: !Sub "${Rate}!"}]
          LOCAL: !If [Local, !Ref Endpoint, !Ref AWS::NoValue]
          DEPLOYED: !If [Deployed, "yes", "no"]
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref Front, Method: ANY, Path: /hook}}
  Back:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 60
      MemorySize: 512
      Events:
        Work:
          Type: SQS
          Properties:
            Queue: !GetAtt Work.Arn
            MaximumBatchingWindowInSeconds: 1
            FunctionResponseTypes: [ReportBatchItemFailures]
            ScalingConfig: {MaximumConcurrency: !Ref Concurrency}
  Lost:
    Type: AWS::Serverless::Function
    Properties: {Environment: {Variables: {TABLE_NAME: !Ref Gone}}}
`

var references = References{"Work": "http://q", "Work.Arn": "arn:q", "AWS::Region": "us-east-1"}

func read(t *testing.T, values map[string]string) *Template {
	t.Helper()
	template, err := Parse([]byte(sample), values)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func TestQueueSettings(t *testing.T) {
	t.Parallel()
	template := read(t, nil)
	for id, want := range map[string]Queue{
		"Work": {VisibilityTimeout: 360 * time.Second, Retention: 96 * time.Hour, DeadLetterQueue: "Dead", MaxReceiveCount: 60, MaximumSize: 1024},
		"Dead": {VisibilityTimeout: 30 * time.Second, Retention: 336 * time.Hour, MaximumSize: 1 << 20},
	} {
		if got, err := template.Queue(id); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", id, got, err)
		}
	}
}

func TestTableSettings(t *testing.T) {
	t.Parallel()
	table, err := read(t, nil).Table("Rows")
	if err != nil {
		t.Fatal(err)
	}
	index := table.GlobalSecondaryIndexes[0]
	if table.BillingMode != "PAY_PER_REQUEST" || table.KeySchema[0] != (Key{"id", "HASH"}) || table.AttributeDefinitions[0].AttributeType != "S" ||
		index.IndexName != "problems" || index.Projection.NonKeyAttributes[0] != "error" {
		t.Errorf("got %+v", table)
	}
}

func TestFunctionSettings(t *testing.T) {
	t.Parallel()
	template := read(t, nil)
	front, err := template.Function("Front", references)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"QUEUE_URL": "http://q", "QUEUE_ARN": "arn:q/us-east-1/${kept}", "BASE": "https://example.com", "RATE": "11.50", "COUNT": "60",
		"OWN": "https://example.com 11.50! http://q", "DEPLOYED": "yes", "EVERYWHERE": "yes",
	}
	if !maps.Equal(front.Environment, want) {
		t.Errorf("variables are %v\nwant %v", front.Environment, want)
	}
	if front.Timeout != 15*time.Second || front.MemorySize != 128 || front.Architecture != "small" || *front.Route != (Route{"ANY", "/hook"}) || front.Source != nil {
		t.Errorf("got %+v", front)
	}
	back, err := template.Function("Back", references)
	if err != nil {
		t.Fatal(err)
	}
	if want := (&Source{Queue: "Work", BatchSize: 10, Window: time.Second, MaximumConcurrency: 5, ReportBatchItemFailures: true}); !reflect.DeepEqual(back.Source, want) {
		t.Errorf("source is %+v", back.Source)
	}
	if back.Timeout != time.Minute || back.MemorySize != 512 || back.Architecture != "x86_64" || back.Route != nil {
		t.Errorf("got %+v", back)
	}
}

func TestValuesReplaceDefaults(t *testing.T) {
	t.Parallel()
	template := read(t, map[string]string{"Endpoint": "http://local", "Concurrency": "2"})
	front, err := template.Function("Front", references)
	if err != nil || front.Environment["LOCAL"] != "http://local" || front.Environment["DEPLOYED"] != "no" {
		t.Errorf("variables are %v, %v", front.Environment, err)
	}
	if back, err := template.Function("Back", references); err != nil || back.Source.MaximumConcurrency != 2 {
		t.Errorf("source is %+v, %v", back.Source, err)
	}
	if _, err := template.Queue("Sometimes"); err != nil {
		t.Error(err)
	}
	if properties, err := template.Properties("Work", References{"Dead.Arn": "arn:d"}); err != nil || properties["RedrivePolicy"].(map[string]any)["deadLetterTargetArn"] != "arn:d" {
		t.Errorf("properties are %v, %v", properties, err)
	}
}

func TestValuesThatCloudFormationRefusesAreRefused(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"Base=https://x": true, "Base=": true, "Base=http://x": false, "Base=https://x/": false, "Base=x https://x": false, "Size=large": true, "Size=huge": false} {
		name, value, _ := strings.Cut(value, "=")
		if err := read(t, map[string]string{name: value}).Check(); (err == nil) != want {
			t.Errorf("%s=%q: %v", name, value, err)
		}
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	template := read(t, nil)
	for want, call := range map[string]func() error{
		"Nowhere":            func() error { _, err := template.Queue("Nowhere"); return err },
		"Sometimes":          func() error { _, err := template.Queue("Sometimes"); return err },
		"resource Sometimes": func() error { _, err := template.Properties("Sometimes", nil); return err },
		"Rows":               func() error { _, err := template.Queue("Rows"); return err },
		"!Ref Gone":          func() error { _, err := template.Function("Lost", references); return err },
		"!Ref Work":          func() error { _, err := template.Function("Front", nil); return err },
		"Wrong":              func() error { _, err := Parse([]byte(sample), map[string]string{"Wrong": "x"}); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, which does not name %s", err, want)
		}
	}
}

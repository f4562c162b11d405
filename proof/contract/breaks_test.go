package contract_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestBreaksAreNoticed breaks the template, one promise at a time: a check that
// cannot fail would show here.
func TestBreaksAreNoticed(t *testing.T) {
	t.Parallel()
	const remove = ""
	var none [2]string
	for _, b := range []struct {
		name, old, new string
		notice         string    // what a violation says
		and            [2]string // a second edit
	}{
		{"the secret is written over", "      Description: Credentials of a Veryfi profile", "      SecretString: '{}'\n      Description: Credentials of a Veryfi profile", "VeryfiSecret has a SecretString", none},
		{"the secret goes with the stack", "    DeletionPolicy: RetainExceptOnCreate\n", remove, "VeryfiSecret goes", none},
		{"the table is replaced", "  DocumentTable:\n    Type: AWS::DynamoDB::Table\n    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n", "  DocumentTable:\n    Type: AWS::DynamoDB::Table\n    DeletionPolicy: RetainExceptOnCreate\n", "DocumentTable goes", none},
		{"the table has a name", "      BillingMode: PAY_PER_REQUEST\n", "      BillingMode: PAY_PER_REQUEST\n      TableName: documents\n", "fixed name", none},
		{"batches fail as a whole", "            FunctionResponseTypes: [ReportBatchItemFailures]\n", remove, "ReportBatchItemFailures", none},
		{"messages come back too early", "VisibilityTimeout: 360", "VisibilityTimeout: 120", "visibility time-out", none},
		{"the processor may take longer", "Timeout: 60 #", "Timeout: 90 #", "visibility time-out", none},
		{"the queue gives up before the processor", "maxReceiveCount: 1000", "maxReceiveCount: 60", "empties the queue", none},
		{"too few tries", `MAX_TRIES: "60"`, `MAX_TRIES: "7"`, "outlast", none},
		{"too short a time", `GIVE_UP_AFTER_HOURS: "48"`, `GIVE_UP_AFTER_HOURS: "47"`, "outlast", none},
		{"the queue forgets", "MessageRetentionPeriod: 864000", "MessageRetentionPeriod: 345600", "forgets", none},
		{"dead letters are forgotten", "MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 864000", "DeadLetterQueue", none},
		{"the dead letters' queue is another one", "deadLetterTargetArn: !GetAtt DeadLetterQueue.Arn", "deadLetterTargetArn: !GetAtt DocumentQueue.Arn", "where they belong", none},
		{"a queue is not encrypted", "      SqsManagedSseEnabled: !If [HasKey, !Ref AWS::NoValue, true] # one or the other\n", remove, "not encrypted", none},
		{"too many requests", "    Default: \"11\"\n", "    Default: \"12\"\n", "Veryfi allows", none},
		{"too many processors", "    Default: \"5\"\n", "    Default: \"6\"\n", "Veryfi allows", none},
		{"the reconciler is too fast", `VERYFI_REQUESTS_PER_SECOND: "2"`, `VERYFI_REQUESTS_PER_SECOND: "3"`, "Veryfi allows", none},
		{"concurrency is reserved", "      RecursiveLoop: Allow\n", "      RecursiveLoop: Allow\n      ReservedConcurrentExecutions: 5\n", "reserves", none},
		{"loops are cut", "      RecursiveLoop: Allow\n", remove, "RecursiveLoop", none},
		{"a schedule that cannot be turned off", "            State: !If [ReconcilesBySchedule, ENABLED, DISABLED]\n", remove, "turned off", none},
		{"a role may do more", "Action: [dynamodb:GetItem,", "Action: [dynamodb:DeleteItem, dynamodb:GetItem,", "dynamodb:DeleteItem", none},
		{"a role may do less", ", dynamodb:PutItem]", "]", "dynamodb:PutItem", none},
		{"the poller may not delete", "                  - sqs:DeleteMessage\n", remove, "sqs:DeleteMessage", none},
		{"messages cannot wait", "                  - sqs:ChangeMessageVisibility # for the wait before the next try\n", remove, "sqs:ChangeMessageVisibility", none},
		{"documents cannot be rescued", "                  - !GetAtt DocumentQueue.Arn # documents that the table refuses\n", remove, "sqs:SendMessage", none},
		{"a role for every table", "                Action: dynamodb:Query\n                Resource: !Sub ${DocumentTable.Arn}/index/problems", "                Action: dynamodb:Query\n                Resource: '*'", "wildcard", none},
		{"an action that SQS does not have", "Action: sqs:SendMessage # SendMessageBatch, too", "Action: sqs:SendMessageBatch", "sqs:SendMessage", none},
		{"SAM writes the role", "      Role: !GetAtt WebhookRole.Arn\n", remove, "SAM adds", none},
		{"managed policies", "  WebhookRole:\n    Type: AWS::IAM::Role\n    Properties:\n", "  WebhookRole:\n    Type: AWS::IAM::Role\n    Properties:\n      ManagedPolicyArns: [arn:aws:iam::aws:policy/AmazonSQSFullAccess]\n", "managed", none},
		{"a variable is missing", "          DEAD_LETTER_QUEUE_URL: !Ref DeadLetterQueue\n", remove, "DEAD_LETTER_QUEUE_URL", none},
		{"a variable that nobody reads", "          TABLE_NAME: !Ref DocumentTable\n", "          TABLE_NAME: !Ref DocumentTable\n          TABLE_INDEX: problems\n", "TABLE_INDEX", none},
		{"a variable of another resource", "          DEAD_LETTER_QUEUE_URL: !Ref DeadLetterQueue\n", "          DEAD_LETTER_QUEUE_URL: !Ref DocumentQueue\n", "DEAD_LETTER_QUEUE_URL is DocumentQueue", none},
		{"metrics of no stack", "        STACK_NAME: !Ref AWS::StackName\n", remove, "STACK_NAME", none},
		{"a credential in a variable", "VERYFI_API_KEY: !Ref AWS::NoValue", "VERYFI_API_KEY: abc", "deployed with VERYFI_API_KEY", none},
		{"logs for ever", "      RetentionInDays: !Ref LogRetentionDays\n", remove, "for ever", none},
		{"logs elsewhere", "        LogGroup: !Ref ProcessorLogGroup\n", remove, "no log group", none},
		{"Lambda's own lines", "        SystemLogLevel: WARN # as", "        SystemLogLevel: INFO # as", "two lines more", none},
		{"metrics below the level", "        LogGroup: !Ref ProcessorLogGroup\n", "        LogGroup: !Ref ProcessorLogGroup\n        ApplicationLogLevel: ERROR\n", "dropped", none},
		{"an alarm of a metric that is not", "MetricName: RetryAge", "MetricName: RetryingAge", "no metric RetryingAge", none},
		{"an alarm of another queue", "{ Name: QueueName, Value: !GetAtt DeadLetterQueue.QueueName }", "{ Name: QueueName, Value: !GetAtt DocumentQueue.QueueName }", "DeadLettersAlarm looks at", none},
		{"an alarm of an ARN", "{ Name: QueueName, Value: !GetAtt DeadLetterQueue.QueueName }", "{ Name: QueueName, Value: !GetAtt DeadLetterQueue.Arn }", "no metric AWS/SQS", none},
		{"an alarm lacks a dimension", "        - { Name: Reason, Value: signature }\n", remove, "dimensions", none},
		{"an alarm of a reason that is not", "{ Name: Reason, Value: signature }", "{ Name: Reason, Value: forged }", "no function counts", none},
		{"an alarm that fires while nothing happens", "TreatMissingData: notBreaching", "TreatMissingData: breaching", "while nothing happens", none},
		{"silence is not noticed", "FILL(accepted, 0) + 0 * waiting", "accepted + 0 * waiting", "SilenceAlarm is of", none},
		{"silence before there was a stack", "Expression: FILL(accepted, 0) + 0 * waiting", "Expression: FILL(accepted, 0)", "SilenceAlarm is of", none},
		{"silence of another queue", "                - { Name: QueueName, Value: !GetAtt DocumentQueue.QueueName }\n", "                - { Name: QueueName, Value: !GetAtt DeadLetterQueue.QueueName }\n", "was not there", none},
		{"two results", "        - Id: waiting\n          ReturnData: false\n", "        - Id: waiting\n", "one result", none},
		{"silence fires by itself", "  SilenceAlarmHours:\n    Type: String\n    Default: \"0\"\n", "  SilenceAlarmHours:\n    Type: String\n    Default: \"1\"\n", "off by default", none},
		{"an alarm tells nobody", "      AlarmActions: [!Ref AlarmTopic]\n", remove, "tells nobody", none},
		{"an average of ages", "Statistic: Maximum", "Statistic: Average", "says nothing", none},
		{"an alarm looks at too short a time", "      EvaluationPeriods: 24\n      DatapointsToAlarm: 1\n", "      EvaluationPeriods: 1\n", "apart", none},
		{"an alarm ends between two tries", "      EvaluationPeriods: 8\n", "      EvaluationPeriods: 4\n", "apart", none},
		{"an alarm repeats what is over", "      Period: 300\n      EvaluationPeriods: 24\n", "      Period: 3600\n      EvaluationPeriods: 2\n", "repeats for", none},
		{"a description says nothing", "retrieved. First:", "retrieved. Then:", "CredentialsAlarm does not say", none},
		{"the dashboard shows another metric", `["VeryfiIntake", "Stored",`, `["VeryfiIntake", "Saved",`, "no metric Saved", none},
		{"the dashboard shows another stack", `["VeryfiIntake", "Stored", "Stack", "${AWS::StackName}"]`, `["VeryfiIntake", "Stored", "Stack", "prod"]`, "dimensions", none},
		{"the dashboard lacks an alarm", ":alarm:${AWS::StackName}-table", ":alarm:${AWS::StackName}-tables", "does not show TableAlarm", none},
		{"the dashboard is no JSON", `"## Waiting"}},`, `"## Waiting"}}`, "not JSON", none},
		{"the index holds documents", "NonKeyAttributes: [status,", "NonKeyAttributes: [document, status,", "second time", none},
		{"the index lacks what is needed", "NonKeyAttributes: [status, error, event,", "NonKeyAttributes: [status, error,", "lacks event", none},
		{"nothing expires", "AttributeName: expires_at", "AttributeName: expires", "expires_at", none},
		{"no backup", "        PointInTimeRecoveryEnabled: true\n", "        PointInTimeRecoveryEnabled: false\n", "brought back", none},
		{"another event than the sample", `"id": <$.dynamodb.NewImage.id.S>,`, "", "DocumentPipe sends", none},
		{"an event of what a row may lack", `"id": <$.dynamodb.NewImage.id.S>`, `"id": <$.dynamodb.NewImage.external_id.S>`, "not in every row", none},
		{"an event about a row on its way", `["processed", "failed", "error", "unsupported"]`, `["processed", "retrying"]`, "DocumentPipe tells", none},
		{"an output is missing", "  TableName:\n", "  Table:\n", "output TableName", none},
		{"an output that README does not have", "  TableName:\n", "  Table:\n    Value: x\n  TableName:\n", "README has the outputs", none},
		{"a parameter that README does not have", "  LogRetentionDays:\n", "  LogDays:\n    Type: String\n    Default: \"1\"\n  LogRetentionDays:\n", "README has the settings", none},
		{"an output of another resource", "    Value: !Ref DeadLetterQueue\n", "    Value: !Ref DocumentQueue\n", "the output DeadLetterQueueUrl", none},
		{"documents are deleted by default", "  DocumentRetentionDays:\n    Type: String\n    Default: \"0\"\n", "  DocumentRetentionDays:\n    Type: String\n    Default: \"30\"\n", "documents are deleted", none},
		{"an alarm fires later than it is said", "Threshold: 1800", "Threshold: 18000", "OldestMessageAlarm fires at", none},
		{"SAM's own build", "      BuildMethod: makefile\n", "      BuildMethod: go1.x\n", "built by SAM", none},
		{"the processor has three seconds", "      Timeout: 60 # ten documents at once, each with time for a slow answer\n", remove, "too little", none},
		{"an access log that nobody can read", `"latency_ms":"$context.responseLatency",`, `"latency_ms":"$context.responseLatency"`, "not JSON", none},
		{"a key that is not defined", "        - { AttributeName: updated_at, AttributeType: S }\n", remove, "defines the attributes", none},
		{"a pipe that may not read", "                  - dynamodb:GetRecords\n", remove, "PipeRole may", none},
		{"nobody hears that it is over", "      OKActions: [!Ref AlarmTopic]\n", remove, "tells nobody", none},
		{"messages are filtered", "            BatchSize: 10\n", "            BatchSize: 10\n            FilterCriteria: {Filters: [{Pattern: '{}'}]}\n", "FilterCriteria", none},
		{"the processor does not poll", "            BatchSize: 10\n", "            BatchSize: 10\n            Enabled: false\n", "Enabled", none},
		{"a VPC", "      RecursiveLoop: Allow\n", "      RecursiveLoop: Allow\n      VpcConfig: {SubnetIds: [subnet-1], SecurityGroupIds: [sg-1]}\n", "VpcConfig", none},
		{"everybody may take a role", "            Principal: { Service: lambda.amazonaws.com }\n", "            Principal: '*'\n", "can be assumed", none},
		{"a credential as a parameter", "  LogRetentionDays:\n", "  ClientSecret:\n    Type: String\n    Default: x\n  LogRetentionDays:\n", "looks like a credential", none},
		{"credentials go elsewhere", "Default: https://api.veryfi.com", "Default: https://api.example.com", "VeryfiBaseUrl", none},
		{"mail without an address", `TellsSomebody: !Not [!Equals [!Ref AlarmEmail, ""]]`, `TellsSomebody: !Equals [!Ref AlarmEmail, ""]`, "AlarmSubscription", none},
		{"a stream that nobody asked for", `HasStream: !Not [!Equals [!Ref DocumentEvents, "off"]]`, `HasStream: !Equals [!Ref DocumentEvents, "off"]`, "a stream of", none},
		{"a pipe without the document's new state", "StreamViewType: NEW_IMAGE", "StreamViewType: KEYS_ONLY", "a stream of", none},
		{"the table has a fixed throughput", "BillingMode: PAY_PER_REQUEST", "BillingMode: PROVISIONED", "billing mode", none},
		{"another runtime", "Runtime: provided.al2023", "Runtime: provided.al2", "Runtime", none},
		{"the route has another path", "Path: /webhook/veryfi", "Path: /webhook", "route", none},
		{"the route takes POST only", "Method: ANY", "Method: POST", "route", none},
		{"the webhook is cut short", "Timeout: 15 #", "Timeout: 5 #", "time-out", none},
		{"a flood costs much", "ThrottlingRateLimit: 100", "ThrottlingRateLimit: 10000", "flood", none},
		{"more memory than is used", "          GOMEMLIMIT: 200MiB\n", "          GOMEMLIMIT: 250MiB\n", "GOMEMLIMIT", none},
		{"another architecture", "    Default: arm64\n", "    Default: x86_64\n", "Makefile builds", none},
		{"a VPC for all", "    Runtime: provided.al2023\n", "    Runtime: provided.al2023\n    VpcConfig: {SubnetIds: [subnet-1], SecurityGroupIds: [sg-1]}\n", "VpcConfig", none},
		{"concurrency is reserved for all", "    Runtime: provided.al2023\n", "    Runtime: provided.al2023\n    ReservedConcurrentExecutions: 5\n", "ReservedConcurrentExecutions", none},
		{"Veryfi must sign in", "Globals:\n", "Globals:\n  HttpApi: {Auth: {DefaultAuthorizer: AWS_IAM, EnableIamAuthorizer: true}}\n", "HttpApi", none},
		{"another transform", "Transform: AWS::Serverless-2016-10-31", "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]", "transformed by", none},
		{"dead letters go round", "      MessageRetentionPeriod: 1209600\n", "      MessageRetentionPeriod: 1209600\n      RedrivePolicy: {deadLetterTargetArn: !GetAtt DocumentQueue.Arn, maxReceiveCount: 3}\n", "where they belong", none},
		{"dead letters are processed by themselves", "        Documents:\n          Type: SQS\n", "        Dead: {Type: SQS, Properties: {Queue: !GetAtt DeadLetterQueue.Arn}}\n        Documents:\n          Type: SQS\n", "2 events", none},
		{"a second way in", "        Veryfi:\n          Type: HttpApi\n", "        Other: {Type: HttpApi, Properties: {ApiId: !Ref HttpApi, Path: /x, Method: ANY, PayloadFormatVersion: '2.0'}}\n        Veryfi:\n          Type: HttpApi\n", "2 events", none},
		{"the schedule asks for one document", "            Description: Looks for documents whose webhook never came.\n", "            Input: '{\"ids\": [1]}'\n", "Input", none},
		{"a fourth function", "  DocumentTable:\n", "  OtherFunction:\n    Type: AWS::Serverless::Function\n    Metadata: {BuildMethod: makefile}\n    Properties: {Role: !GetAtt WebhookRole.Arn}\n  DocumentTable:\n", "OtherFunction", none},
		{"a queue for everybody", "  DocumentTable:\n", "  Policy:\n    Type: AWS::SQS::QueuePolicy\n    Properties: {Queues: [!Ref DocumentQueue]}\n  DocumentTable:\n", "[Policy QueuePolicy]", none},
		{"a second secret", "  HttpApi:\n    Type", "  Other:\n    Type: AWS::SecretsManager::Secret\n    DeletionPolicy: RetainExceptOnCreate\n    UpdateReplacePolicy: Retain\n    Properties: {SecretString: x}\n  HttpApi:\n    Type", "SecretsManager", none},
		{"an alarm for those who mail", "  DeadLettersAlarm:\n", "  DeadLettersAlarm:\n    Condition: TellsSomebody\n", "on the condition", none},
		{"a log group stays behind", "  WebhookLogGroup:\n", "  WebhookLogGroup:\n    DeletionPolicy: Retain\n", "DeletionPolicy", none},
		{"nobody may take a role", "          - Effect: Allow\n            Principal: { Service: lambda", "          - Effect: Deny\n            Principal: { Service: lambda", "can be assumed", none},
		{"a role on a condition", "            Action: sts:AssumeRole\n", "            Action: sts:AssumeRole\n            Condition: {StringEquals: {aws:SourceAccount: '111122223333'}}\n", "can be assumed", none},
		{"pipes of all accounts may take a role", "            Condition: { StringEquals: { aws:SourceAccount: !Ref AWS::AccountId } }\n", remove, "can be assumed", none},
		{"a policy in IAM's older language", "          PolicyDocument:\n            Version: \"2012-10-17\"\n", "          PolicyDocument:\n", "version", none},
		{"ids are numbers", "{ AttributeName: id, AttributeType: S }", "{ AttributeName: id, AttributeType: N }", "as text", none},
		{"two alarms of one name", "${AWS::StackName}-oldest-message\n", "${AWS::StackName}-retrying\n", "docs/operate.md", none},
		{"an alarm that nobody can look up", "${AWS::StackName}-oldest-message\n", "${AWS::StackName}-old\n", "docs/operate.md", none},
		{"a description ends too early", "        with the values of Veryfi's Settings > Keys. The documents wait for two days.\n", remove, "CredentialsAlarm does not say", [2]string{"no document can be retrieved. First: `intake secret set`", "no document can be retrieved. First:"}},
		{"another default than README's", "    Type: String\n    Default: \"30\"\n", "    Type: String\n    Default: \"90\"\n", "README says", none},
		{"more requests than Veryfi takes", "2[0-8])", "[2-5][0-9])", "VeryfiRequestsPerSecond takes", none},
		{"any text will do", "    AllowedValues: [\"off\", stream, eventbridge]\n", remove, "takes any", none},
		{"the dashboard has no alarms", `{"type": "alarm", "x": 0,`, `{"type": "text", "x": 0,`, "does not show DeadLettersAlarm", none},
		{"the dashboard shows other errors", `["AWS/Lambda", "Errors", "FunctionName", "${ProcessorFunction}", {"label": "processor"}],`, remove, "for which ProcessorErrorsAlarm fires", none},
		{"a key that is a literal", "          VERYFI_BASE_URL: !Ref VeryfiBaseUrl\n          # Veryfi allows 5", "          VERYFI_BASE_URL: https://api.veryfi.com\n          # Veryfi allows 5", "VeryfiBaseUrl changes", none},
		{"the pipe tells of new rows only", `["INSERT", "MODIFY"]`, `["INSERT"]`, "DocumentPipe tells of", none},
		{"a schedule may not be a cron", `AllowedPattern: (rate|cron)\(.+\)`, `AllowedPattern: rate\(.+\)`, "ReconcileSchedule does not take", none},
		{"one dashboard in all regions", "DashboardName: !Sub ${AWS::StackName}-${AWS::Region}", "DashboardName: !Sub ${AWS::StackName}", "Dashboard is named", none},
		{"an average of counts", `"title": "Webhooks", "region": "${AWS::Region}", "view": "timeSeries", "stat": "Sum"`, `"title": "Webhooks", "region": "${AWS::Region}", "view": "timeSeries", "stat": "Average"`, "says nothing", none},
		{"half a day of retention", `AllowedPattern: "0|[1-9][0-9]{0,3}|[12]`, `AllowedPattern: "[0-9.]+|[12]`, "DocumentRetentionDays takes", none},
		{"a number may be anything", "  ReconcileGraceMinutes:\n    Type: String\n", "  ReconcileGraceMinutes:\n    Type: Number\n", "ReconcileGraceMinutes takes any", none},
		{"credentials without TLS", `"https://[A-Z`, `"https?://[A-Z`, "VeryfiBaseUrl takes", none},
		{"a queue without TLS", "Queues: [!Ref DocumentQueue, ", "Queues: [", "want TLS", none},
		{"a queue that nobody reaches", `aws:SecureTransport: "false"`, `aws:SecureTransport: "true"`, "without TLS", none},
		{"a queue that is open", "          - Effect: Deny\n", "          - Effect: Allow\n", "without TLS", none},
		{"a log without the key", "  ReconcilerLogGroup:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      LogGroupName: !Sub /aws/lambda/${AWS::StackName}-reconciler\n      RetentionInDays: !Ref LogRetentionDays\n      KmsKeyId: !If [HasKey, !Ref KmsKeyArn, !Ref AWS::NoValue]\n", "  ReconcilerLogGroup:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      LogGroupName: !Sub /aws/lambda/${AWS::StackName}-reconciler\n      RetentionInDays: !Ref LogRetentionDays\n", "ReconcilerLogGroup is encrypted with", none},
		{"a table without the key", "SSEEnabled: true", "SSEEnabled: false", "DocumentTable is encrypted with", none},
		{"a role that may not use the key", "kms:ViaService: [sqs.*, secretsmanager.*]", "kms:ViaService: [secretsmanager.*]", "WebhookRole may use the key", none},
		{"a role for all keys", "                  Resource: !Ref KmsKeyArn\n", "                  Resource: '*'\n", "WebhookRole may use the key", none},
		{"a key that is always asked for", `HasKey: !Not [!Equals [!Ref KmsKeyArn, ""]]`, `HasKey: !Equals [!Ref KmsKeyArn, ""]`, "without a key", none},
		{"two kinds of encryption", "SqsManagedSseEnabled: !If [HasKey, !Ref AWS::NoValue, true] # one", "SqsManagedSseEnabled: true # one", "DocumentQueue is encrypted with", none},
		{"small messages", "MaximumMessageSize: 1048576\n      VisibilityTimeout", "MaximumMessageSize: 262144\n      VisibilityTimeout", "may not fit", none},
		{"a document waits for others", "MaximumBatchingWindowInSeconds: 0", "MaximumBatchingWindowInSeconds: 1", "waits 1s for others", [2]string{"VisibilityTimeout: 360", "VisibilityTimeout: 361"}},
		{"runs pile up", "        MaximumEventAgeInSeconds: 3600\n", remove, "until the next ones", none},
		{"runs are repeated", "        MaximumRetryAttempts: 0\n", "        MaximumRetryAttempts: 2\n", "until the next ones", none},
		{"one event holds up all", "          OnPartialBatchItemFailure: AUTOMATIC_BISECT\n", remove, "hold up all", none},
		{"events are lost without a word", "          DeadLetterConfig: { Arn: !GetAtt EventDeadLetterQueue.Arn }\n", remove, "without a word", none},
		{"the pipe may not tell", "                Action: sqs:SendMessage\n                Resource: !GetAtt EventDeadLetterQueue.Arn\n", "                Action: sqs:SendMessage\n                Resource: !GetAtt DeadLetterQueue.Arn\n", "PipeRole may", none},
		{"a widget of an alarm that is not there", "${Silence} ${Pipe}", "${Silence} ${Pipe}, \"arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:${AWS::StackName}-silence\"", "shows what is not there", none},
		{"an alarm that nobody sees", "${Silence} ${Pipe}", "${Silence}", "does not show PipeAlarm", none},
		{"Lambda's status for the function's", "$context.integration.status", "$context.integrationStatus", "function_status", none},
		{"a queue that is not there gets a policy", "!If [SendsEvents, !Ref EventDeadLetterQueue", "!If [HasStream, !Ref EventDeadLetterQueue", "EventDeadLetterQueue", none},
		{"events of another stack", `{"stack": "${AWS::StackName}", "table"`, `{"stack": "veryfi-intake", "table"`, "the events are of", none},
		{"more events than PutEvents takes", "          BatchSize: 10\n          # One event", "          # One event", "PutEvents takes 10", none},
		{"an access log without times", "          \"latency_ms\":\"$context.responseLatency\",\n", remove, "HttpApi logs", none},
		{"a line by another name", `{"stat": "p95", "label": "95 of 100"}`, `{"stat": "p50", "label": "95 of 100"}`, "is called", none},
		{"errors of another function", `["AWS/Lambda", "Errors", "FunctionName", "${WebhookFunction}"`, `["AWS/Lambda", "Errors", "FunctionName", "${ReconcilerFunction}"`, "is called", none},
		{"a widget far below", `"x": 0, "y": 26,`, `"x": 0, "y": 53,`, "has gaps", none},
		{"a parameter that nobody explains", "    Description: How long logs are kept, in days.\n", remove, "nobody says", none},
		{"a key is used long after it was disabled", "KmsDataKeyReusePeriodSeconds: !If [HasKey, 300,", "KmsDataKeyReusePeriodSeconds: !If [HasKey, 86400,", "that was disabled", none},
		{"old documents are told of", "StartingPosition: LATEST", "StartingPosition: TRIM_HORIZON", "begins at", none},
		{"a widget covers another", `"x": 8, "y": 1,`, `"x": 4, "y": 1,`, "covers", none},
		{"a widget is too wide", `"x": 16, "y": 1, "width": 8`, `"x": 16, "y": 1, "width": 9`, "within its width", none},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			text := deployed(t)
			broken := strings.Replace(text, b.old, b.new, 1)
			if broken == text {
				t.Fatalf("the template has no %q to break", b.old)
			}
			broken = strings.Replace(broken, b.and[0], b.and[1], 1)
			found := violations(t, broken)
			for _, violation := range found {
				if strings.Contains(violation, b.notice) {
					return
				}
			}
			t.Errorf("not noticed: %q", found)
		})
	}
}

// TestNothingIsAddedByTheTransform looks at what CloudFormation makes of the
// template: SAM writes roles, permissions and more.
func TestNothingIsAddedByTheTransform(t *testing.T) {
	t.Parallel()
	// Who may invoke the webhook: its own API, by any stage and method. Who talks to the
	// queues without TLS: nobody. And a product in an expression.
	want := map[string]string{"WebhookFunctionVeryfiPermission": "AWS::Lambda::Permission", "QueuePolicy": "AWS::SQS::QueuePolicy", "SilenceAlarm": "AWS::CloudWatch::Alarm"}
	if wildcards := transformed(t, deployed(t)); !maps.Equal(wildcards, want) {
		t.Errorf("there are wildcards in %v", wildcards)
	}
	broken := strings.Replace(deployed(t), "      Role: !GetAtt WebhookRole.Arn\n", "      Policies: [SQSSendMessagePolicy: {QueueName: x}, {Version: '2012-10-17', Statement: [{Effect: Allow, Action: 'sqs:*', Resource: '*'}]}]\n", 1)
	if role := transformed(t, broken)["WebhookFunctionRole"]; role == "" {
		t.Error("a role that SAM writes was not noticed")
	}
}

// viaService is a service in any region, in the condition of a statement about a key.
var viaService = regexp.MustCompile(`"(sqs|dynamodb|secretsmanager)\.\*"`)

// transformed returns the resources with a wildcard in them after SAM's transform,
// with their types.
func transformed(t *testing.T, text string) map[string]string {
	t.Helper()
	const python = ".tools/venv/bin/python"
	if _, err := os.Stat(python); err != nil {
		t.Skip("SAM's translator is not there: `make test` installs it")
	}
	command := exec.CommandContext(t.Context(), python, "deployment/template/transform.py")
	command.Stdin = strings.NewReader(text)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var template struct{ Resources map[string]json.RawMessage }
	if err := json.Unmarshal(out, &template); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for id, resource := range template.Resources {
		var kind struct{ Type string }
		if err := json.Unmarshal(resource, &kind); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(viaService.ReplaceAll(resource, nil), []byte("*")) {
			found[id] = kind.Type
		}
	}
	return found
}

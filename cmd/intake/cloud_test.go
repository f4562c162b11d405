package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"

	intake "veryfi-intake"
	"veryfi-intake/deployment"
	"veryfi-intake/deployment/template"
	"veryfi-intake/local/aws/cloudwatch"
	"veryfi-intake/local/aws/endpoint"
	"veryfi-intake/local/aws/protocol"
	"veryfi-intake/local/aws/queue"
	"veryfi-intake/local/aws/secrets"
	"veryfi-intake/local/aws/table"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/metrics"
)

// A cloud is what one run of the command sees of AWS, Veryfi and the webhook, in this
// process: all is well until a test changes something. It has no functions; what they
// would have written, the test puts there.
type cloud struct {
	t       *testing.T
	stack   endpoint.Stack
	alarms  cloudwatch.Server
	logs    cloudwatch.Logs
	secrets *secrets.Server
	veryfi  *standin.Server
	rows    []row
	queues  map[string]*queue.Queue // by the last part of the URL
	waited  time.Duration           // how much longer ago each message was sent than it was put there
	// attributes are what SQS says of each queue, mapping what Lambda says of the event
	// source mapping.
	attributes map[string]map[string]string
	mapping    map[string]any
	// runs are the reconciler's answers, the last one again and again.
	runs []invocation
	// answers are said in place of those of a stand-in, by operation.
	answers map[string]any
	// probed is what the webhook answers to a GET, forged to a request that is not signed.
	probed, forged int
	stdin          string

	mu    sync.Mutex
	calls []string
}

type row = table.Item

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// problemRow is a row that needs attention.
func problemRow(id, status, reason string, updated time.Time) row {
	return row{
		"id": text(id), "status": text(status), "problem": text(status), "error": text(reason),
		"updated_at": text(updated.UTC().Format("2006-01-02T15:04:05.000Z")), "attempts": &types.AttributeValueMemberN{Value: "3"}, "request_id": text("r-" + id),
	}
}

type invocation struct {
	payload string
	failed  bool
}

// refusal is an answer that is an error.
func refusal(code, message string) smithy.GenericAPIError {
	return smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}
}

var denied = refusal("AccessDeniedException", "User x is not authorized to perform this")

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{
		t: t, secrets: secrets.New("VeryfiSecret", `{"client_id":"sample-client","client_secret":"sample-client-secret","username":"sample.user","api_key":"sample-api-key"}`),
		veryfi: standin.New(sample), queues: map[string]*queue.Queue{"DocumentQueue": newQueue(), "DeadLetterQueue": newQueue()}, waited: time.Hour, answers: map[string]any{}, probed: http.StatusOK, forged: http.StatusUnauthorized,
	}
	c.secrets.Remove("AWSPREVIOUS")
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	veryfi := httptest.NewServer(c.veryfi)
	t.Cleanup(veryfi.Close)
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[string]int{http.MethodGet: c.probed, http.MethodPost: c.forged}[r.Method])
	}))
	t.Cleanup(webhook.Close)

	deployed, err := template.Parse(intake.Template, nil)
	c.check(err)
	references := deployed.Names()
	for _, name := range []string{"AWS::Region", "AWS::StackName", "AWS::AccountId", "AWS::Partition", "AWS::URLSuffix"} {
		references[name] = localName
	}
	for name := range c.queues {
		references[name], references[name+".Arn"], references[name+".QueueName"] = server.URL+"/0/"+name, "arn:"+name, name
	}
	c.stack = endpoint.Stack{Name: localName, Parameters: deployed.Parameters(), Created: time.Now().Add(-24 * time.Hour)}
	c.stack.Outputs, err = deployed.Outputs(references)
	c.check(err)
	c.stack.Outputs[deployment.WebhookURL] = webhook.URL
	c.stack.Parameters["VeryfiBaseUrl"] = veryfi.URL
	c.alarms.Metrics = &cloudwatch.Metrics{}
	for _, id := range deployed.Alarms() {
		alarm, err := deployed.Alarm(id, references)
		c.check(err)
		c.alarms.Alarms = append(c.alarms.Alarms, alarm)
	}
	c.alarms.Metrics.Add(metrics.Namespace, metrics.Stored.Name, map[string]string{metrics.Stack: localName}, time.Now().Add(-time.Minute), 1)
	documents, err := deployed.Queue("DocumentQueue")
	c.check(err)
	c.attributes = map[string]map[string]string{"DeadLetterQueue": {"MessageRetentionPeriod": "1209600"}, "DocumentQueue": {
		"VisibilityTimeout": fmt.Sprint(int(documents.VisibilityTimeout.Seconds())), "MessageRetentionPeriod": fmt.Sprint(int(documents.Retention.Seconds())),
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:DeadLetterQueue","maxReceiveCount":%d}`, documents.MaxReceiveCount),
	}}
	processor, err := deployed.Function("ProcessorFunction", references)
	c.check(err)
	c.mapping = map[string]any{
		"UUID": "uuid", "State": "Enabled", "BatchSize": processor.Source.BatchSize, "MaximumBatchingWindowInSeconds": int(processor.Source.Window.Seconds()),
		"FunctionResponseTypes": []string{"ReportBatchItemFailures"}, "ScalingConfig": map[string]int{"MaximumConcurrency": processor.Source.MaximumConcurrency},
	}
	c.runs = []invocation{{payload: `{"listed":2,"enqueued":1,"stale":0}`}}

	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	t.Setenv("INTAKE_STACK", "")
	return c
}

func (c *cloud) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// intake runs the command, with --local.
func (c *cloud) intake(arguments ...string) (status int, out, notes string) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "stdin")
	c.check(os.WriteFile(file, []byte(c.stdin), 0o600))
	in, err := os.Open(file)
	c.check(err)
	defer in.Close()
	c.mu.Lock()
	c.calls = nil
	c.mu.Unlock()
	var o, n bytes.Buffer
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute) // a command that goes round is stopped
	defer cancel()
	a := newApp(ctx, in, &o, &n)
	a.pace = 1000
	status = a.run(append(arguments, "--local"))
	return status, o.String(), n.String()
}

// operation returns the name of the call that a request makes.
func operation(r *http.Request, body []byte) string {
	form, _ := url.ParseQuery(string(body))
	_, target, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case ok:
		return target
	case form.Get("Action") != "":
		return form.Get("Action")
	case strings.HasSuffix(r.URL.Path, "/invocations"):
		return "Invoke"
	case strings.Contains(r.URL.Path, "event-source-mappings"):
		return "ListEventSourceMappings"
	}
	return path.Base(r.URL.Path)
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.check(err)
	r.Body = io.NopCloser(bytes.NewReader(body))
	name := operation(r, body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, name)
	answer, ok := c.answers[name]
	if handler, is := answer.(http.HandlerFunc); is {
		handler(w, r)
		return
	}
	if f, is := answer.(func() any); is {
		answer = f()
	}
	if !ok || answer == nil {
		answer = c.answer(name, w, r, body)
	}
	if answer != nil {
		write(w, r, answer)
	}
}

// write answers in the service's protocol.
func write(w http.ResponseWriter, r *http.Request, answer any) {
	failed, _ := answer.(smithy.GenericAPIError)
	status := map[smithy.ErrorFault]int{smithy.FaultClient: http.StatusBadRequest, smithy.FaultServer: http.StatusInternalServerError}[failed.Fault]
	_, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case r.Header.Get("Smithy-Protocol") != "":
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		w.WriteHeader(status)
		w.Write(cbor.Encode(cbor.Map{"__type": cbor.String(failed.Code), "message": cbor.String(failed.Message)}))
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		w.WriteHeader(status)
		xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"ErrorResponse"`
			Code    string   `xml:"Error>Code"`
			Message string   `xml:"Error>Message"`
		}{Code: failed.Code, Message: failed.Message})
	default:
		protocol.Operations{target: func(context.Context, []byte) (any, error) {
			if failed.Code != "" {
				return nil, &failed
			}
			return answer, nil
		}}.ServeHTTP(w, r)
	}
}

// answer has a stand-in answer, or returns the answer.
func (c *cloud) answer(name string, w http.ResponseWriter, r *http.Request, body []byte) any {
	var input struct {
		QueueURL            string `json:"QueueUrl"`
		MaxNumberOfMessages int
		MessageBody         string
		ReceiptHandle       string
		Entries             []struct {
			ID            string `json:"Id"`
			ReceiptHandle string
		}
		Key, ExpressionAttributeValues, ExclusiveStartKey json.RawMessage
		RequestItems                                      map[string]struct{ Keys []json.RawMessage }
	}
	_ = json.Unmarshal(body, &input) // or another protocol
	queue := c.queues[path.Base(input.QueueURL)]
	switch name {
	case "DescribeStacks":
		c.stack.ServeHTTP(w, r)
	case "DescribeAlarms", "GetMetricStatistics":
		c.alarms.ServeHTTP(w, r)
	case "FilterLogEvents":
		c.logs.ServeHTTP(w, r)
	case "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage":
		c.secrets.ServeHTTP(w, r)
	case "GetTopicAttributes":
		endpoint.Topic{ARN: c.stack.Outputs[deployment.AlarmTopic]}.ServeHTTP(w, r)
	case "ListEventSourceMappings":
		return map[string]any{"EventSourceMappings": []any{c.mapping}}
	case "Invoke":
		run := c.runs[0]
		c.runs = c.runs[min(1, len(c.runs)-1):]
		if run.failed {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		io.WriteString(w, run.payload)
	case "GetItem":
		var in dynamodb.GetItemInput
		_ = json.Unmarshal(body, &in) // it cannot read items
		in.Key = table.ItemOf(input.Key)
		out, err := c.table().GetItem(r.Context(), &in)
		c.check(err)
		return map[string]any{"Item": inJSON(out.Item)}
	case "BatchGetItem":
		found := map[string][]any{}
		for name, asked := range input.RequestItems {
			var in types.KeysAndAttributes
			for _, key := range asked.Keys {
				in.Keys = append(in.Keys, table.ItemOf(key))
			}
			out, err := c.table().BatchGetItem(r.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{name: in}})
			c.check(err)
			for _, item := range out.Responses[name] {
				found[name] = append(found[name], inJSON(item))
			}
		}
		return map[string]any{"Responses": found, "UnprocessedKeys": map[string]any{}}
	case "Query":
		var in dynamodb.QueryInput
		_ = json.Unmarshal(body, &in)
		in.ExpressionAttributeValues, in.ExclusiveStartKey = table.ItemOf(input.ExpressionAttributeValues), table.ItemOf(input.ExclusiveStartKey)
		in.Limit = aws.Int32(min(2, *in.Limit)) // so there are pages
		out, err := c.table().Query(r.Context(), &in)
		c.check(err)
		items := []any{}
		for _, item := range out.Items {
			items = append(items, inJSON(item))
		}
		return map[string]any{"Items": items, "LastEvaluatedKey": inJSON(out.LastEvaluatedKey)}
	case "DescribeTable":
		return map[string]any{"Table": map[string]any{"TableStatus": "ACTIVE", "GlobalSecondaryIndexes": []any{map[string]any{"IndexName": "problems", "IndexStatus": "ACTIVE"}}}}
	case "DescribeTimeToLive":
		return map[string]any{"TimeToLiveDescription": map[string]any{"AttributeName": "expires_at"}}
	case "DescribeContinuousBackups":
		return map[string]any{"ContinuousBackupsDescription": map[string]any{"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": map[string]any{"PointInTimeRecoveryStatus": "ENABLED"}}}
	case "GetQueueAttributes":
		attributes := maps.Clone(c.attributes[path.Base(input.QueueURL)])
		attributes["QueueArn"] = "arn:" + path.Base(input.QueueURL)
		visible, hidden := queue.Count()
		attributes["ApproximateNumberOfMessages"], attributes["ApproximateNumberOfMessagesNotVisible"] = fmt.Sprint(visible), fmt.Sprint(hidden)
		return map[string]any{"Attributes": attributes}
	case "ReceiveMessage":
		if input.MaxNumberOfMessages > 10 {
			return refusal("InvalidParameterValue", "MaxNumberOfMessages must be from 1 to 10")
		}
		received := []any{}
		for _, m := range queue.Receive(input.MaxNumberOfMessages) {
			received = append(received, map[string]any{
				"MessageId": m.ID, "ReceiptHandle": m.Receipt, "Body": m.Body, "MD5OfBody": fmt.Sprintf("%x", md5.Sum([]byte(m.Body))),
				"Attributes": map[string]string{"SentTimestamp": fmt.Sprint(m.Sent.Add(-c.waited).UnixMilli())},
			})
		}
		return map[string]any{"Messages": received}
	case "SendMessage":
		queue.Handler().ServeHTTP(w, r)
	case "DeleteMessage":
		queue.Delete(input.ReceiptHandle)
		return struct{}{}
	case "ChangeMessageVisibilityBatch":
		if len(input.Entries) > 10 {
			return refusal("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.")
		}
		for _, entry := range input.Entries {
			queue.Hide(entry.ReceiptHandle, 0)
		}
		return map[string]any{"Successful": []any{}, "Failed": []any{}}
	case "StartMessageMoveTask":
		return map[string]string{"TaskHandle": "handle"}
	case "ListMessageMoveTasks":
		moved := c.queues["DeadLetterQueue"].Receive(math.MaxInt)
		for _, m := range moved {
			c.queues["DocumentQueue"].Send("", m.Body, 0)
			c.queues["DeadLetterQueue"].Delete(m.Receipt)
		}
		return map[string]any{"Results": []any{map[string]any{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": len(moved)}}}
	default:
		return refusal("UnknownOperationException", name)
	}
	return nil
}

// table returns DynamoDB with the cloud's rows.
func (c *cloud) table() *table.Table {
	rows := table.New(map[string]string{"problems": "updated_at"})
	for _, row := range c.rows {
		_, err := rows.PutItem(c.t.Context(), &dynamodb.PutItemInput{Item: row})
		c.check(err)
	}
	return rows
}

// inJSON returns an item in DynamoDB's JSON, nil for none.
func inJSON(item row) map[string]any {
	if item == nil {
		return nil
	}
	values := map[string]any{}
	for name, value := range item {
		switch value := value.(type) {
		case *types.AttributeValueMemberS:
			values[name] = map[string]any{"S": value.Value}
		case *types.AttributeValueMemberN:
			values[name] = map[string]any{"N": value.Value}
		case *types.AttributeValueMemberB:
			values[name] = map[string]any{"B": value.Value}
		case *types.AttributeValueMemberM:
			values[name] = map[string]any{"M": inJSON(value.Value)}
		}
	}
	return values
}

// newQueue returns a queue that hides what is received for longer than a test takes.
func newQueue() *queue.Queue {
	return queue.New(queue.Options{Visibility: time.Hour, MaxReceives: math.MaxInt, InFlight: math.MaxInt})
}

// die puts messages of documents among the dead letters.
func (c *cloud) die(ids ...string) { c.put("DeadLetterQueue", ids...) }

// put puts messages of documents into a queue.
func (c *cloud) put(queue string, ids ...string) {
	for _, id := range ids {
		c.queues[queue].Send("", `{"version":1,"event":"document.created","id":`+id+`}`, 0)
	}
}

package cost

import (
	"errors"
	"math"
	"path/filepath"
	"strconv"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/document"
	"veryfi-intake/shared/event"
)

// What nobody can measure on one machine is assumed here.
const (
	// callMilliseconds is how long a call to SQS takes, veryfiMilliseconds how long a
	// document takes from Veryfi, and tableMilliseconds how long reading and writing
	// its row takes.
	callMilliseconds   = 10
	veryfiMilliseconds = 300
	tableMilliseconds  = 15
)

// What one machine can measure is here with where it comes from.
const (
	// cpuMilliseconds is the CPU time of a webhook, and of a document (`make bench`);
	// fullMemory is the memory size in MB that has one CPU.
	cpuMilliseconds = 0.5
	fullMemory      = 1769

	// Bytes of log lines. WebhookLog and ProcessorLog are of our own lines about one
	// document (a test compares them). accessLog is API Gateway's line, systemLog
	// what Lambda writes about an invocation at level INFO (AWS Lambda, "Telemetry
	// API event schema reference": start and report).
	WebhookLog   = 480
	ProcessorLog = 800
	accessLog    = 400
	systemLog    = 520

	// DocumentMetrics are those that each document counts (a test compares them). The
	// reconciler has one more; others are paid for in the hours that have any.
	DocumentMetrics = 7

	// attributes is what a row has in addition to the document, in bytes.
	attributes = 330
)

const (
	gigabyte = 1 << 30
	month    = 30 * 24 * 3600 // seconds
	pollers  = 5              // that Lambda has for an idle queue ("Using Lambda with Amazon SQS")
	page     = 50             // documents that Veryfi lists at a time
	pollTime = 20             // seconds that one poll of an idle queue takes
	// compressed is what CloudWatch keeps of a byte of logs, as a rule.
	compressed = 0.15
	// secretCalls are made by an environment that is busy all the time, each month:
	// two versions every five minutes.
	secretCalls = 2 * month / 300
)

// Setup is what costs depend on, other than prices.
type Setup struct {
	WebhookMemory, ProcessorMemory, ReconcilerMemory int // MB
	// Batch is how many documents the processor gets at a time, as a rule.
	Batch float64
	// RequestsPerSecond is the pace of one environment towards Veryfi.
	RequestsPerSecond float64
	// ReconcileReads is how often the reconciler lists a document and reads its row,
	// ListsPerSecond how many pages of fifty it lists in a second.
	ReconcileReads, ListsPerSecond float64
	RetentionDays                  float64 // of logs
	Backup                         bool    // point-in-time recovery
	Alarms                         int
	// SystemLogs are Lambda's own lines about each invocation of the webhook and the
	// processor.
	SystemLogs bool
	// Enriched has an enrichment follow each document: it is announced, noted in the row,
	// retrieved and stored again.
	Enriched bool
	// Gzipped has all documents stored in document_gzip.
	Gzipped bool
}

// Deployed returns the setup that template.yaml describes. Batches of one are what
// a steady flow makes.
func Deployed(root string) (Setup, error) {
	t, err := template.Read(filepath.Join(root, "template.yaml"), nil)
	if err != nil {
		return Setup{}, err
	}
	references := template.References{"AWS::StackName": "-", "DocumentQueue": "-", "DeadLetterQueue": "-", "DocumentTable": "-", "VeryfiSecret": "-"}
	function := func(id string) template.Function {
		f, problem := t.Function(id, references)
		err = errors.Join(err, problem)
		return f
	}
	number := func(f template.Function, variable string) float64 {
		n, problem := strconv.ParseFloat(f.Environment[variable], 64)
		err = errors.Join(err, problem)
		return n
	}
	webhook, processor, reconciler := function("WebhookFunction"), function("ProcessorFunction"), function("ReconcilerFunction")
	return Setup{
		WebhookMemory: webhook.MemorySize, ProcessorMemory: processor.MemorySize, ReconcilerMemory: reconciler.MemorySize,
		Batch:             1,
		RequestsPerSecond: number(processor, "VERYFI_REQUESTS_PER_SECOND"),
		ListsPerSecond:    number(reconciler, "VERYFI_REQUESTS_PER_SECOND"),
		ReconcileReads:    number(reconciler, "RECONCILE_WINDOW_HOURS"), // a run an hour
		RetentionDays:     30,
		Backup:            true,
		Alarms:            len(t.Alarms()),
	}, err
}

// A Bill is what a month with a million documents costs, by part.
type Bill []Part

// A Part of a bill is in US dollars.
type Part struct {
	Name    string
	Dollars float64
}

// Total is the sum.
func (b Bill) Total() (sum float64) {
	for _, part := range b {
		sum += part.Dollars
	}
	return sum
}

// PerMillion returns the bill for documents of a size, in bytes of JSON, each
// announced by a webhook of its own.
func PerMillion(size int, s Setup, p Prices) (Bill, error) {
	item, err := itemSize(size, s.Gzipped)
	if err != nil {
		return nil, err
	}
	webhook := callMilliseconds + throttled(cpuMilliseconds, s.WebhookMemory)
	batch := veryfiMilliseconds + tableMilliseconds + (s.Batch-1)*1000/s.RequestsPerSecond + throttled(s.Batch*cpuMilliseconds, s.ProcessorMemory)
	logs := float64(WebhookLog + ProcessorLog + accessLog)
	if s.SystemLogs {
		logs += systemLog * (1 + 1/s.Batch)
	}
	times, noted := 1.0, 0.0
	if s.Enriched {
		times, noted = 2, 1
	}
	writes, reads := math.Ceil(float64(item)/1024), math.Ceil(float64(item)/4096)
	keeping := p.TableGBMonth
	if s.Backup {
		keeping += p.BackupGBMonth
	}
	return Bill{
		{"requests (API Gateway, Lambda)", million * times * (p.HTTPAPIRequest + p.LambdaRequest + p.LambdaRequest/s.Batch)},
		{"compute (Lambda)", million * p.LambdaGBSecond * (times*gigabyteSeconds(webhook, s.WebhookMemory) +
			times*gigabyteSeconds(batch, s.ProcessorMemory)/s.Batch +
			gigabyteSeconds(s.ReconcileReads*1000/s.ListsPerSecond, s.ReconcilerMemory)/page)},
		// Send, receive, delete; and polls of the idle queue.
		{"SQS", p.SQSRequest * (million*times*(1+2/s.Batch) + pollers*month/pollTime)},
		{"DynamoDB, writing", million * p.WriteUnit * writes * (times + noted)},
		// The document's key and those of the other kinds, without rows; the row of an
		// enrichment; and what the reconciler reads.
		{"DynamoDB, reading", million * p.ReadUnit * (times*float64(len(event.Kinds{}.All())) + noted*(reads-1) + s.ReconcileReads*reads/2)},
		{"DynamoDB, a month of keeping", million * float64(item) / gigabyte * keeping},
		{"logs", million * times * logs / gigabyte * (p.LogsGB + p.LogsGBMonth*compressed*s.RetentionDays/30)},
		{"secret", p.SecretMonth + secretCalls*2*p.SecretCall},
		{"metrics, alarms, dashboard", p.MetricMonth*(DocumentMetrics+1) + p.AlarmMonth*float64(s.Alarms) + p.DashboardMonth},
	}, nil
}

// itemSize returns how many bytes DynamoDB counts for a row.
func itemSize(size int, gzipped bool) (int, error) {
	d, err := document.Read(standin.Large(1, max(0, size-len(standin.Receipt(1)))), 1)
	if err != nil {
		return 0, err
	}
	if d.Native != nil && !gzipped {
		return attributes + d.NativeSize, nil
	}
	compressed, err := d.Gzip()
	return attributes + len(compressed), err
}

// throttled returns how long so much CPU time takes at a memory size.
func throttled(cpu float64, memory int) float64 {
	return cpu * max(1, fullMemory/float64(memory))
}

func gigabyteSeconds(milliseconds float64, memory int) float64 {
	return math.Ceil(milliseconds) / 1000 * float64(memory) / 1024
}

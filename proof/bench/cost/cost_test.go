package cost

import (
	"math"
	"slices"
	"strconv"
	"testing"
)

// units returns a part of the bill for documents of 15 KB at prices that count, or all
// of it.
func units(t *testing.T, s Setup, p Prices, name string) float64 {
	t.Helper()
	bill, err := PerMillion(15_000, s, p)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(bill, func(part Part) bool { return part.Name == name }); i >= 0 {
		return bill[i].Dollars
	}
	return bill.Total()
}

var plain = Setup{
	WebhookMemory: 1024, ProcessorMemory: 2048, ReconcilerMemory: 1024,
	Batch: 1, RequestsPerSecond: 10, ListsPerSecond: 2, RetentionDays: 30,
}

func near(got, want float64) bool { return math.Abs(got-want) <= want/1000 }

func TestABillByHand(t *testing.T) {
	t.Parallel()
	item, err := itemSize(15_000, false)
	if err != nil {
		t.Fatal(err)
	}
	if item < 9_000 || item > 15_000 {
		t.Fatalf("a document of 15,000 bytes is an item of %d", item)
	}
	tens := plain
	tens.Batch = 10
	reconciled := plain
	reconciled.ReconcileReads = 12
	enriched := plain
	enriched.Enriched = true
	watched := plain
	watched.Alarms = 5
	for name, test := range map[string]struct {
		got, want float64
	}{
		"API Gateway and two invocations": {units(t, plain, Prices{HTTPAPIRequest: 1, LambdaRequest: 1}, "requests (API Gateway, Lambda)"), 3 * million},
		"batches are invoked once":        {units(t, tens, Prices{LambdaRequest: 1}, "requests (API Gateway, Lambda)"), 1.1 * million},
		"send, receive, delete, polls":    {units(t, plain, Prices{SQSRequest: 1}, "SQS"), 3*million + 648_000},
		"a unit for each KB begun":        {units(t, plain, Prices{WriteUnit: 1}, "DynamoDB, writing"), million * float64((item+1023)/1024)},
		"a read for each of five kinds":   {units(t, plain, Prices{ReadUnit: 1}, "DynamoDB, reading"), 5 * million},
		"three writes with an enrichment": {units(t, enriched, Prices{WriteUnit: 1}, "DynamoDB, writing"), 3 * million * float64((item+1023)/1024)},
		"and its row is read":             {units(t, enriched, Prices{ReadUnit: 1}, "DynamoDB, reading"), million * (5 + 4 + float64((item+4095)/4096))},
		"and all calls are made twice":    {units(t, enriched, Prices{HTTPAPIRequest: 1, LambdaRequest: 1}, "requests (API Gateway, Lambda)"), 6 * million},
		"and halves of the reconciler":    {units(t, reconciled, Prices{ReadUnit: 1}, "DynamoDB, reading"), million * (5 + 6*float64((item+4095)/4096))},
		"a webhook of 11 ms at 1 GB, a document of 316 ms at 2 GB": {
			units(t, plain, Prices{LambdaGBSecond: 1}, "compute (Lambda)"), million * (0.011 + 0.316*2),
		},
		"ten documents wait for each other": {
			units(t, tens, Prices{LambdaGBSecond: 1}, "compute (Lambda)"), million * (0.011 + 1.220*2/10),
		},
		"six seconds of the reconciler for fifty documents": {
			units(t, reconciled, Prices{LambdaGBSecond: 1}, "compute (Lambda)"), million * (0.011 + 0.316*2 + 6.0/50),
		},
		"eight metrics, five alarms, a dashboard": {
			units(t, watched, Prices{MetricMonth: 1, AlarmMonth: 10, DashboardMonth: 100}, "metrics, alarms, dashboard"), 158,
		},
		"the sum": {
			units(t, plain, Prices{SQSRequest: 1, ReadUnit: 1}, "all"), 3*million + 648_000 + 5*million,
		},
	} {
		if !near(test.got, test.want) {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
}

func TestDeployedReadsTheTemplate(t *testing.T) {
	t.Parallel()
	s, err := Deployed("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if s.WebhookMemory == 0 || s.ProcessorMemory == 0 || s.ReconcilerMemory == 0 || s.RequestsPerSecond == 0 || s.ReconcileReads == 0 || s.ListsPerSecond == 0 || s.Alarms == 0 {
		t.Errorf("%+v", s)
	}
}

// TestPartsMakeTheSum reads the table as a person does.
func TestPartsMakeTheSum(t *testing.T) {
	t.Parallel()
	s, err := Deployed("../../..")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := Tables(s, USEast1)
	if err != nil {
		t.Fatal(err)
	}
	parts := tables[0]
	for column := 1; column < len(parts.Headers); column++ {
		sum := 0.0
		for _, row := range parts.Rows {
			value, err := strconv.ParseFloat(row[column], 64)
			if err != nil {
				t.Fatal(err)
			}
			if row[0] == "in all" {
				value = -value
			}
			sum += value
		}
		if math.Abs(sum) > 0.05 {
			t.Errorf("%s: the parts and the sum differ by %v", parts.Headers[column], sum)
		}
	}
	if len(parts.Rows) != 10 || len(tables[1].Rows) != len(levers) {
		t.Errorf("%d parts, %d levers", len(parts.Rows), len(tables[1].Rows))
	}
}

package simulation

import (
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"veryfi-intake/deployment/template"
	"veryfi-intake/local/machine"
	"veryfi-intake/local/standin"
	"veryfi-intake/shared/event"
	"veryfi-intake/shared/store"
)

var full = flag.Bool("full", false, "run TestOutageOfSixHours with a quarter of a million documents waiting")

// inFlightLimit is how many messages of a queue can be in flight (SQS quotas).
const inFlightLimit = 120_000

// TestOutageOfSixHours has Veryfi out while a backlog waits and more arrives. The
// numbers are those of template.yaml.
func TestOutageOfSixHours(t *testing.T) {
	t.Parallel()
	waiting, arriving := 5_000, 500
	if *full {
		waiting, arriving = 250_000, 20_000
	}
	deployed := readTemplate(t)
	for name, o := range map[string]outage{
		"503":                       {status: 503},
		"429 with a short wait":     {status: 429, retryAfter: 1},
		"503 with a short wait":     {status: 503, retryAfter: 1},
		"401":                       {status: 401},
		"no answer":                 {hangs: true},
		"an answer of another kind": {},
	} {
		t.Run(name, func(t *testing.T) {
			if !*full {
				t.Parallel()
			}
			synctest.Test(t, func(t *testing.T) {
				o.service, o.from, o.to = atVeryfi, time.Now(), time.Now().Add(6*time.Hour)
				p := deployed
				p.outages = []outage{o}
				w := newWorld(1, p, nil)
				w.schedule = &schedule{w: w}
				for n := range waiting {
					announce(w, int64(n+1))
				}
				go func() {
					for n := range arriving {
						time.Sleep(6 * time.Hour / time.Duration(arriving))
						announce(w, int64(waiting+n+1))
					}
				}()
				w.lambda.startPollers()
				time.Sleep(6 * time.Hour)
				during := w.sqs.Stats().InFlight
				for range 2 * 24 * 60 {
					if time.Sleep(time.Minute); w.sqs.Left() == 0 {
						break
					}
				}
				took := time.Since(o.to)
				w.lambda.stop()
				for _, violation := range w.violations {
					t.Error(violation)
				}
				processed := 0
				for _, row := range w.rows() {
					if row.Status == store.Processed {
						processed++
					}
				}
				stats, dead := w.sqs.Stats(), len(w.sqs.DeadLetters())
				if processed != waiting+arriving || dead != 0 {
					t.Errorf("%d of %d documents are stored, %d are dead letters", processed, waiting+arriving, dead)
				}
				if stats.InFlight >= inFlightLimit {
					t.Errorf("%d messages were in flight at once", stats.InFlight)
				}
				summary := fmt.Sprintf("%d documents, in flight at once: %d during the outage, %d after it; receives of one message: %d at most; the last document stored %v after the outage",
					processed, during, stats.InFlight, stats.MostOften, took.Round(time.Minute))
				t.Log(summary)
				if *progress {
					fmt.Printf("outage of six hours, %s: %s\n", name, summary)
				}
			})
		})
	}
}

func announce(w *World, id int64) {
	d := &stored{id: id, kind: standin.Documents, body: []byte(body(id, 1)), created: time.Now()}
	w.putDocument(d, nil)
	m := event.Message{Version: 1, Event: event.DocumentCreated, ID: id, Created: d.created.UTC().Format(time.DateTime), ReceivedAt: time.Now(), RequestID: "r"}
	w.sqs.Send(documentQueue, m.Encode(), 0)
}

// readTemplate returns a plan with the numbers that are deployed, in which all
// goes well.
func readTemplate(t *testing.T) plan {
	t.Helper()
	root, err := machine.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	deployed, err := template.Read(filepath.Join(root, "template.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	queue, err := deployed.Queue("DocumentQueue")
	if err != nil {
		t.Fatal(err)
	}
	references := template.References{"AWS::StackName": "simulation"}
	for _, id := range []string{"DocumentQueue", "DeadLetterQueue", "DocumentTable", "VeryfiSecret"} {
		references[id], references[id+".Arn"] = id, id
	}
	processor, err := deployed.Function("ProcessorFunction", references)
	if err != nil {
		t.Fatal(err)
	}
	rate, err := strconv.ParseFloat(processor.Environment["VERYFI_REQUESTS_PER_SECOND"], 64)
	if err != nil {
		t.Fatal(err)
	}
	if queue.VisibilityTimeout != visibility || processor.Timeout != processorTimeout || processor.Source.BatchSize != batchSize || processor.Source.Window != 0 {
		t.Errorf("the simulation differs from template.yaml: %+v, %+v", queue, processor)
	}
	tries, err := strconv.Atoi(processor.Environment["MAX_TRIES"])
	if err != nil {
		t.Fatal(err)
	}
	hours, err := strconv.Atoi(processor.Environment["GIVE_UP_AFTER_HOURS"])
	if err != nil {
		t.Fatal(err)
	}
	return plan{
		concurrency: processor.Source.MaximumConcurrency, rate: rate, ceiling: inFlightLimit,
		maxReceives: queue.MaxReceiveCount, maxTries: tries, giveUpAfter: time.Duration(hours) * time.Hour,
	}
}

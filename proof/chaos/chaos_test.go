package chaos

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"veryfi-intake/local/machine"
)

var seed = flag.Uint64("seed", 0, "of TestNothingIsLostAmidFaults; 0 draws one")

func TestNothingIsLostAmidFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("no stack with -short")
	}
	root, err := machine.FindRoot()
	if err != nil {
		t.Fatal(err)
	}
	if *seed == 0 {
		*seed = 1 + rand.Uint64()>>40
	}
	report, err := Run(t.Context(), Options{
		Root: root, Seed: *seed, Duration: 20 * time.Second, Patience: 2 * time.Minute, Progress: func(what string) { t.Log(what) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range report.Violations {
		t.Error(violation)
	}
	if t.Failed() {
		t.Logf("to see it again: make chaos SEED=%d DURATION=20s", *seed)
	}
	for _, place := range []string{"SQS", "DynamoDB", "Veryfi"} {
		if report.Faults[place] == nil {
			t.Errorf("no faults at %s", place)
		}
	}
	if report.Rows["processed"] < 20 || report.Rows["error"] == 0 || report.Redriven == 0 {
		t.Errorf("too little has happened: %+v", report)
	}
}

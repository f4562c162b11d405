// Command proof shows that veryfi-intake does what it promises: it makes things fail
// around it, breaks its code, measures it, and computes what it costs. The tests
// below this folder do the same in small.
package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"veryfi-intake/local/command"
	"veryfi-intake/local/stack"
	"veryfi-intake/proof/bench"
	"veryfi-intake/proof/bench/cost"
	"veryfi-intake/proof/chaos"
	"veryfi-intake/proof/mutants"
)

type commands struct {
	Chaos    chaosCommand    `cmd:"" help:"Run the stack with faults between its parts, and check that nothing is lost."`
	Mutants  mutantsCommand  `cmd:"" help:"Break the code in many ways, and show which test notices."`
	Mutation mutationCommand `cmd:"" help:"Break packages in every small way, and show what their tests do not notice."`
	Bench    benchCommand    `cmd:"" help:"Measure the functions next to what they are compared with."`
	Cost     costCommand     `cmd:"" help:"Print what a million documents a month cost on AWS."`
}

func main() {
	command.Main("proof", "Shows that veryfi-intake does what it promises.", &commands{})
}

type chaosCommand struct {
	Seed     uint64        `placeholder:"N" help:"Of the faults (any)."`
	Duration time.Duration `default:"2m" help:"How long faults are injected (${default})."`
}

// Run runs the stack with faults between its parts, prints them and the results, and
// fails when a promise was broken.
func (c chaosCommand) Run(run *command.Run) error {
	out := run.Out
	if c.Duration <= 0 {
		return errors.New("--duration must be longer than nothing")
	}
	if c.Seed == 0 {
		c.Seed = 1 + rand.Uint64()>>40
	}
	report, err := chaos.Run(run, chaos.Options{
		Root: run.Root, Seed: c.Seed, Duration: c.Duration, Patience: 5 * time.Minute,
		Progress: func(what string) { out.Step("%s", what) },
	})
	if err != nil {
		return err
	}
	var faults [][]string
	for _, place := range slices.Sorted(maps.Keys(report.Faults)) {
		for _, kind := range slices.Sorted(maps.Keys(report.Faults[place])) {
			faults = append(faults, []string{place, kind, strconv.Itoa(report.Faults[place][kind])})
		}
	}
	out.Table("Faults", []string{"where", "what", "times"}, faults)
	acknowledged := 0
	var rows [][]string
	for _, status := range slices.Sorted(maps.Keys(report.Rows)) {
		acknowledged += report.Rows[status]
		rows = append(rows, []string{status, strconv.Itoa(report.Rows[status])})
	}
	rows = append(rows,
		[]string{"acknowledged in all", strconv.Itoa(acknowledged)},
		[]string{"dead letters moved back", strconv.Itoa(report.Redriven)},
		[]string{"of the errors: deleted by an answer that never came", strconv.Itoa(report.Deleted)},
		[]string{"lost", strconv.Itoa(report.Lost)},
	)
	out.Table(fmt.Sprintf("What became of %d webhooks", report.Webhooks), []string{"ids", "count"}, rows)
	out.Line("")
	for _, violation := range report.Violations {
		out.Bad("%s", violation)
	}
	if len(report.Violations) > 0 {
		return fmt.Errorf("promises were broken; see it again with --seed %d", c.Seed)
	}
	out.Good("nothing is lost, nothing forged; at most %d requests to Veryfi in a second", report.Busiest)
	return nil
}

type mutantsCommand struct {
	Names []string `arg:"" optional:"" help:"The twins (all)."`
}

func (c mutantsCommand) Run(run *command.Run) error {
	return mutants.Twins(run, run.Root, c.Names, os.Stdout)
}

type mutationCommand struct {
	Base     string   `placeholder:"COMMIT" help:"Break only lines that have changed since."`
	Packages []string `arg:"" help:"What to break."`
}

func (c mutationCommand) Run(run *command.Run) error {
	return mutants.Small(run, run.Root, c.Base, c.Packages, os.Stdout)
}

type benchCommand struct {
	Rounds int      `default:"9" placeholder:"N" help:"How often each is measured (${default})."`
	Parts  []string `arg:"" optional:"" enum:"micro,functions,pipeline,sizes" help:"What to measure: micro, functions, pipeline, sizes (all)."`
}

// Run measures the functions and prints ratios, each with its target.
func (c benchCommand) Run(run *command.Run) error {
	out := run.Out
	if c.Rounds < 1 {
		return errors.New("--rounds must be 1 or more")
	}
	credentials, err := stack.SampleCredentials(run.Root)
	if err != nil {
		return err
	}
	missed := 0
	err = bench.Run(run, bench.Options{
		Root: run.Root, Credentials: credentials, Rounds: c.Rounds, Parts: c.Parts,
		Progress: func(what string) { out.Step("%s", what) },
		Table: func(table bench.Table) {
			missed += table.Missed
			out.Table(table.Title, table.Headers, table.Rows)
			for _, note := range table.Notes {
				out.Line("  %s", note)
			}
			out.Line("")
		},
	})
	switch {
	case err != nil:
		return err
	case missed == 0:
		out.Good("all targets are met")
	default:
		out.Bad("%d targets are missed", missed)
	}
	return nil
}

type costCommand struct{}

// Run prints what a million documents a month cost.
func (costCommand) Run(run *command.Run) error {
	setup, err := cost.Deployed(run.Root)
	if err != nil {
		return err
	}
	tables, err := cost.Tables(setup, cost.USEast1)
	for _, table := range tables {
		run.Out.Table(table.Title, table.Headers, table.Rows)
	}
	return err
}

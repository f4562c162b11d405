package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"veryfi-intake/local/command"
	"veryfi-intake/proof/chaos"
)

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

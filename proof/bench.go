package main

import (
	"errors"

	"veryfi-intake/local/command"
	"veryfi-intake/local/stack"
	"veryfi-intake/proof/bench"
)

type benchCommand struct {
	Rounds int      `default:"9" placeholder:"N" help:"How often each is measured (${default})."`
	Parts  []string `arg:"" optional:"" default:"micro,functions,pipeline,sizes" enum:"micro,functions,pipeline,sizes" help:"What to measure (${default})."`
}

// Run measures the functions and prints ratios, with the targets beside them.
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

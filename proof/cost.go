package main

import (
	"veryfi-intake/local/command"
	"veryfi-intake/proof/cost"
)

type costCommand struct{}

// Run prints what a million documents a month cost.
func (costCommand) Run(run *command.Run) error {
	setup, err := cost.Deployed(run.Root)
	if err != nil {
		return err
	}
	for _, table := range []struct {
		title string
		of    func(cost.Setup, cost.Prices) ([]string, [][]string, error)
	}{
		{"What a million documents cost, by part", cost.Parts},
		{"What a lever does to it", cost.Levers},
	} {
		headers, rows, err := table.of(setup, cost.USEast1)
		if err != nil {
			return err
		}
		run.Out.Table(table.title, headers, rows)
	}
	return nil
}

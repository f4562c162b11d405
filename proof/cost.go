package main

import (
	"veryfi-intake/local/command"
	"veryfi-intake/proof/bench/cost"
)

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

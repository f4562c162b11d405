package main

import (
	"os"

	"veryfi-intake/local/command"
	"veryfi-intake/proof/mutants"
)

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

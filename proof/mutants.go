package main

import (
	"os"
	"runtime"

	"veryfi-intake/local/command"
	"veryfi-intake/proof/mutants"
	"veryfi-intake/proof/mutation"
)

type mutantsCommand struct {
	Names []string `arg:"" optional:"" help:"The twins (all)."`
}

func (c mutantsCommand) Run(run *command.Run) error {
	return mutants.Run(run, run.Root, c.Names, os.Stdout)
}

type mutationCommand struct {
	Base     string   `placeholder:"COMMIT" help:"Break only lines that have changed since."`
	Packages []string `arg:"" help:"What to break."`
}

func (c mutationCommand) Run(run *command.Run) error {
	return mutation.Run(run, run.Root, c.Base, runtime.NumCPU(), c.Packages, os.Stdout)
}

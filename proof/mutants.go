package main

import (
	"os"
	"runtime"

	"veryfi-intake/proof/mutants"
	"veryfi-intake/proof/mutation"
)

type mutantsCommand struct {
	Names []string `arg:"" optional:"" help:"The twins (all)."`
}

func (c mutantsCommand) Run(a *app) error { return mutants.Run(a, a.root, c.Names, os.Stdout) }

type mutationCommand struct {
	Base     string   `placeholder:"COMMIT" help:"Break only lines that have changed since."`
	Packages []string `arg:"" help:"What to break."`
}

func (c mutationCommand) Run(a *app) error {
	return mutation.Run(a, a.root, c.Base, runtime.NumCPU(), c.Packages, os.Stdout)
}

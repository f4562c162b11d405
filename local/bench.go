package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"veryfi-intake/local/bench"
	"veryfi-intake/local/console"
)

// runBench measures the functions and prints ratios, with the targets beside them.
func runBench(ctx context.Context, root string, arguments []string, out *console.Console) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	rounds := flags.Int("rounds", 9, "")
	if err := flags.Parse(arguments); err != nil || *rounds < 1 {
		return errors.New(usage)
	}
	credentials, err := sampleCredentials(root)
	if err != nil {
		return err
	}
	missed := 0
	err = bench.Run(ctx, bench.Options{
		Root: root, Credentials: credentials, Rounds: *rounds, Parts: flags.Args(),
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

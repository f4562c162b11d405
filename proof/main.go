// Command proof shows that veryfi-intake does what it promises: it makes things fail
// around it, breaks its code, measures it, and computes what it costs. The tests
// below this folder do the same in small.
package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"veryfi-intake/deployment/console"
	"veryfi-intake/local/machine"
)

type commands struct {
	Chaos    chaosCommand    `cmd:"" help:"Run the stack amid faults, and check that nothing is lost."`
	Mutants  mutantsCommand  `cmd:"" help:"Break the code in many ways, and show which test notices."`
	Mutation mutationCommand `cmd:"" help:"Break packages in every small way, and show what their tests do not notice."`
	Bench    benchCommand    `cmd:"" help:"Measure the functions beside what they are compared with."`
	Cost     costCommand     `cmd:"" help:"Print what a million documents a month cost on AWS."`
}

// An app is one run of the command.
type app struct {
	context.Context //nolint:containedctx // it ends with the run

	root string // the clone
	out  *console.Console
}

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	out := console.Standard(os.Getenv)
	command := kong.Parse(&commands{}, kong.Name("proof"), kong.Description("Shows that veryfi-intake does what it promises."))
	root, err := machine.FindRoot()
	if err == nil {
		err = command.Run(&app{ctx, root, out})
	}
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		out.Step("stopped")
	default:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			out.Bad("%s", line)
		}
	}
	os.Exit(1)
}

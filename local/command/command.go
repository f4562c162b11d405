// Package command is the beginning and the end of the programs that a developer runs
// in the clone: local and proof.
package command

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

// A Run is one run of a program. Each of its commands has a method Run that takes one.
type Run struct {
	context.Context //nolint:containedctx // it ends with the run

	Root string // the clone
	Out  *console.Console
}

// Main parses the arguments as the commands' fields say (see kong), runs the command
// that was chosen, and ends the program when that has an error. The first signal ends
// the run's context; a second one ends the program, and the system its children.
func Main(name, description string, commands any) {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	out := console.On(os.Stdout, os.Getenv)
	chosen := kong.Parse(commands, kong.Name(name), kong.Description(description))
	root, err := machine.FindRoot()
	if err == nil {
		err = chosen.Run(&Run{ctx, root, out})
	}
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		out.Step("stopped")
	default:
		for line := range strings.SplitSeq(err.Error(), "\n") { // of a compiler, as a rule
			out.Bad("%s", line)
		}
	}
	os.Exit(1)
}

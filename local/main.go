// Command local runs veryfi-intake on one machine, with no AWS account and no
// Docker: `go run ./local run` shows a dozen webhooks on their way and ends,
// `go run ./local dev` stays and waits for yours.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"veryfi-intake/deployment/console"
	"veryfi-intake/local/machine"
	"veryfi-intake/local/stack"
)

type commands struct {
	Run runCommand `cmd:"" help:"Send sample webhooks through the whole stack, and show what becomes of them."`
	Dev devCommand `cmd:"" help:"Run the whole stack until Ctrl-C, for your own webhooks."`
}

// An app is one run of the command.
type app struct {
	context.Context //nolint:containedctx // it ends with the run

	root   string // the clone
	getenv func(string) string
	out    *console.Console
}

func main() {
	// The first signal stops the stack; a second one ends this process, and the
	// system its children.
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	out := console.Standard(os.Getenv)
	command := kong.Parse(&commands{}, kong.Name("local"), kong.Description("Runs veryfi-intake on this machine."))
	root, err := machine.FindRoot()
	if err == nil {
		err = command.Run(&app{ctx, root, os.Getenv, out})
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

// explain adds to an error what helps only here: the flag that chooses another
// port.
func explain(err error) error {
	var inUse *stack.PortInUseError
	if !errors.As(err, &inUse) {
		return err
	}
	flags := map[string]string{"webhook": "--webhook-port", "AWS endpoint": "--aws-port", "stand-in for Veryfi": "--veryfi-port"}
	return fmt.Errorf("%w: end the program that has it (`lsof -i :%d` shows it), or choose another port with `go run ./local dev %s N`", err, inUse.Port, flags[inUse.Purpose])
}

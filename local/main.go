// Command local runs veryfi-intake on one machine, with no AWS account and no
// Docker: `go run ./local run` shows a dozen webhooks on their way and ends,
// `go run ./local dev` stays and waits for yours,
// `go run ./local chaos` makes things fail, `go run ./local bench` measures,
// `go run ./local cost` tells what AWS will charge.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"

	"veryfi-intake/local/console"
	"veryfi-intake/local/stack"
)

const usage = "usage: go run ./local [run | dev [-webhook-port N] [-aws-port N] [-veryfi-port N] | chaos [-seed N] [-duration 2m] | cost | bench [-rounds N] [micro | functions | pipeline | sizes ...]]"

func main() {
	colour := isatty.IsTerminal(os.Stdout.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	out := console.New(os.Stdout, colour)
	// The first signal stops the stack; a second one ends this process, and the
	// system its children.
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	err := execute(ctx, os.Args[1:], os.Getenv, out)
	switch {
	case ctx.Err() != nil:
		out.Step("stopped")
	case err != nil:
		for line := range strings.SplitSeq(err.Error(), "\n") { // of a compiler, as a rule
			out.Bad("%s", line)
		}
	}
	if err != nil {
		os.Exit(1)
	}
}

func execute(ctx context.Context, arguments []string, getenv func(string) string, out *console.Console) error {
	command := "dev"
	if len(arguments) > 0 && !strings.HasPrefix(arguments[0], "-") {
		command, arguments = arguments[0], arguments[1:]
	}
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	switch command {
	case "run":
		if len(arguments) > 0 {
			return errors.New(usage)
		}
		return run(ctx, root, out)
	case "dev":
		ports, err := parsePorts(arguments)
		if err != nil {
			return err
		}
		return dev(ctx, root, ports, getenv, out)
	case "chaos":
		return runChaos(ctx, root, arguments, out)
	case "cost":
		if len(arguments) > 0 {
			return errors.New(usage)
		}
		return runCost(root, out)
	case "bench":
		return runBench(ctx, root, arguments, out)
	}
	return errors.New(usage)
}

// ports are those that dev documents.
type ports struct{ webhook, aws, veryfi int }

func parsePorts(arguments []string) (p ports, err error) {
	flags := flag.NewFlagSet("dev", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&p.webhook, "webhook-port", 8080, "")
	flags.IntVar(&p.aws, "aws-port", 8081, "")
	flags.IntVar(&p.veryfi, "veryfi-port", 8082, "")
	if err := flags.Parse(arguments); err != nil || flags.NArg() > 0 {
		return p, errors.New(usage)
	}
	return p, nil
}

// explain adds to an error what helps only here: the flag that chooses another
// port.
func explain(err error) error {
	var inUse *stack.PortInUseError
	if !errors.As(err, &inUse) {
		return err
	}
	flags := map[string]string{"webhook": "-webhook-port", "AWS endpoint": "-aws-port", "stand-in for Veryfi": "-veryfi-port"}
	return fmt.Errorf("%w: end the program that has it (`lsof -i :%d` shows it), or choose another port with `go run ./local dev %s N`", err, inUse.Port, flags[inUse.Purpose])
}

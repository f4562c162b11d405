// Command intake operates a deployed stack of veryfi-intake: it fills the secret,
// tells what is wrong, and brings back what was given up. `intake --help` lists what
// it can do, `intake doctor` is where to begin.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"veryfi-intake/local/console"
)

// commands are what the command line can say.
type commands struct {
	globals

	Doctor           doctorCommand    `cmd:"" help:"Check the whole stack, and say how to mend what is wrong."`
	URL              urlCommand       `cmd:"" name:"url" help:"Print the webhook's URL, and where to paste it."`
	VerificationCode codeCommand      `cmd:"" help:"Wait for the code that Veryfi sends when the URL is set, and print it."`
	Secret           secretCommands   `cmd:"" help:"Fill or clean up the secret with Veryfi's credentials."`
	Submit           submitCommand    `cmd:"" help:"Send documents to Veryfi, for asynchronous processing."`
	Get              getCommand       `cmd:"" help:"Print the row of a document."`
	Problems         problemsCommand  `cmd:"" help:"List the rows that need attention, newest first."`
	Tail             tailCommand      `cmd:"" help:"Follow the logs of all functions as one story."`
	Redrive          redriveCommand   `cmd:"" help:"Move dead letters back into the queue."`
	Reconcile        reconcileCommand `cmd:"" help:"Look for documents whose webhook never came, and enqueue them."`
	Replay           replayCommand    `cmd:"" help:"Sign an event file as Veryfi would, and send it to the webhook."`
}

// globals choose the stack.
type globals struct {
	Stack   string `default:"veryfi-intake" env:"INTAKE_STACK" placeholder:"NAME" help:"The stack (${default})."`
	Profile string `placeholder:"NAME" help:"The profile of the AWS configuration."`
	Region  string `help:"The AWS region, if not the profile's."`
	Local   bool   `help:"Use the stack of 'make dev' on this machine, or at AWS_ENDPOINT_URL."`
	JSON    bool   `help:"Print JSON, for machines."`
}

// An app is one run of the command.
type app struct {
	context.Context //nolint:containedctx // it ends with the run
	globals

	in       *os.File
	out, err io.Writer
	console  *console.Console // on out
}

func main() { os.Exit(run()) }

func run() int {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second signal ends the command at once
	var c commands
	parser, err := kong.New(&c,
		kong.Name("intake"),
		kong.Description("Operates a stack of veryfi-intake. Start with 'intake doctor'."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		panic(err) // the commands above are wrong
	}
	arguments := os.Args[1:]
	if len(arguments) == 0 {
		arguments = []string{"--help"}
	}
	command, err := parser.Parse(arguments)
	if err != nil {
		fmt.Fprintf(os.Stderr, "intake: %s. 'intake --help' lists the commands, 'intake COMMAND --help' what each takes.\n", strings.TrimRight(err.Error(), "?."))
		return 2
	}
	colour := isatty.IsTerminal(os.Stdout.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	a := &app{Context: ctx, globals: c.globals, in: os.Stdin, out: os.Stdout, err: os.Stderr, console: console.New(os.Stdout, colour)}
	err = command.Run(a)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnwell): // was printed
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))):
		fmt.Fprintln(os.Stderr, "intake: stopped")
	default:
		fmt.Fprintf(os.Stderr, "intake: %v\n", explain(err, a.globals))
	}
	return 1
}

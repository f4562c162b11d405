// Command intake operates a deployed stack of veryfi-intake: it fills the secret,
// tells what is wrong, and moves dead letters back. `intake --help` lists what it can
// do, `intake doctor` is where to begin.
package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"veryfi-intake/deployment"
	"veryfi-intake/deployment/console"
	"veryfi-intake/shared/event"
)

// commands are what the command line can say.
type commands struct {
	globals

	Doctor           doctorCommand    `cmd:"" help:"Check the whole stack, and say how to fix what is wrong."`
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

// What `make dev` starts: the stack's name, and where all AWS services are.
const (
	localName     = "local"
	localEndpoint = "http://127.0.0.1:8081"
)

// pace is how many requests a second the command makes to Veryfi: few, since those of
// the stack come on top.
const pace = 2

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second signal ends the command immediately
	os.Exit(newApp(ctx, os.Stdin, os.Stdout, os.Stderr).run(os.Args[1:]))
}

func newApp(ctx context.Context, in *os.File, out, notes io.Writer) *app {
	a := &app{Context: ctx, in: in, answers: console.IsTerminal(in), result: console.On(out, os.Getenv), notes: console.New(notes, false), pace: pace}
	if console.IsTerminal(notes) {
		a.terminal = notes
	}
	return a
}

// run returns the exit status: 0 for well, 1 for not, 2 for arguments that make no
// sense.
func (a *app) run(arguments []string) int {
	var c commands
	parser, err := kong.New(&c,
		kong.Name("intake"),
		kong.Description("Operates a stack of veryfi-intake. Start with 'intake doctor'."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"kinds": namesOf(event.Kinds{})},
		kong.Bind(a), kong.BindToProvider(a.stack),
	)
	if err != nil {
		panic(err) // the commands above are wrong
	}
	if len(arguments) == 0 {
		arguments = []string{"--help"}
	}
	command, err := parser.Parse(arguments)
	if err != nil {
		a.note("intake: %s. 'intake --help' lists the commands, 'intake COMMAND --help' what each takes.", strings.TrimRight(err.Error(), "?."))
		return 2
	}
	a.globals = c.globals
	err = command.Run()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnwell): // was printed
	case a.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(a))):
		a.note("intake: stopped")
	default:
		a.note("intake: %v", deployment.Explain(err))
	}
	return 1
}

// stack finds the stack, for each command that has it as a parameter.
func (a *app) stack() (*deployment.Stack, error) {
	options := deployment.Options{Name: a.Stack, Profile: a.Profile, Region: a.Region, RequestsPerSecond: a.pace, Now: time.Now}
	if a.Local {
		options.Name, options.LocalEndpoint = localName, cmp.Or(os.Getenv("AWS_ENDPOINT_URL"), localEndpoint)
	}
	return deployment.Find(a, options)
}

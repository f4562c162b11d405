// Command local runs veryfi-intake on one machine, with no AWS account and no
// Docker: `go run ./local run` shows a dozen webhooks on their way and ends,
// `go run ./local dev` stays and waits for yours.
package main

import (
	"errors"
	"time"

	"veryfi-intake/local/command"
	"veryfi-intake/local/demo"
	"veryfi-intake/local/stack"
)

type commands struct {
	Run runCommand `cmd:"" help:"Send sample webhooks through the whole stack, and show what becomes of them."`
	Dev devCommand `cmd:"" help:"Run the whole stack until Ctrl-C, for your own webhooks."`
}

func main() {
	command.Main("local", "Runs veryfi-intake on this machine.", &commands{})
}

type runCommand struct{}

// Run shows the demo on free ports, and prints what is wrong.
func (runCommand) Run(run *command.Run) error {
	credentials, err := stack.SampleCredentials(run.Root)
	if err != nil {
		return err
	}
	var logs demo.Logs
	start := time.Now()
	s, err := startStack(run, stack.Options{Credentials: credentials, Log: logs.Add})
	if err != nil {
		return err
	}
	defer s.Stop()
	run.Out.Good("the stack is up after %.1f s", time.Since(start).Seconds())
	problems, err := demo.Run(run, s, credentials, &logs, run.Out)
	if err != nil {
		return err
	}
	run.Out.Line("")
	for _, problem := range problems {
		run.Out.Bad("%s", problem)
	}
	if len(problems) > 0 {
		return errors.New("not everything is as expected")
	}
	run.Out.Good("everything is as expected, after %.1f s", time.Since(start).Seconds())
	return nil
}

// startStack starts a stack of the clone and prints what takes long.
func startStack(run *command.Run, options stack.Options) (*stack.Stack, error) {
	options.Root = run.Root
	options.Progress = func(what string) { run.Out.Step("%s", what) }
	options.Progress("building the functions and starting the emulators")
	return stack.Start(run, options)
}

package main

import (
	"errors"
	"time"

	"veryfi-intake/local/demo"
	"veryfi-intake/local/stack"
)

type runCommand struct{}

// Run shows the demo on free ports. Its error says that something is wrong; what
// it is was printed.
func (runCommand) Run(a *app) error {
	out := a.out
	credentials, err := stack.SampleCredentials(a.root)
	if err != nil {
		return err
	}
	var logs demo.Logs
	start := time.Now()
	out.Step("building the functions and starting the emulators")
	s, err := stack.Start(a, stack.Options{
		Root:        a.root,
		Credentials: credentials,
		Log:         logs.Add,
		Progress:    func(what string) { out.Step("%s", what) },
	})
	if err != nil {
		return err
	}
	defer s.Stop()
	out.Good("the stack is up after %.1f s", time.Since(start).Seconds())
	problems, err := demo.Run(a, s, credentials, &logs, out)
	if err != nil {
		return err
	}
	out.Line("")
	for _, problem := range problems {
		out.Bad("%s", problem)
	}
	if len(problems) > 0 {
		return errors.New("not all is as it must be")
	}
	out.Good("all is as it must be, after %.1f s", time.Since(start).Seconds())
	return nil
}

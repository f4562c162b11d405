package main

import (
	"veryfi-intake/deployment"
	"veryfi-intake/deployment/doctor"
)

type doctorCommand struct{}

func (doctorCommand) Help() string {
	return `Looks at the stack, the secret, Veryfi, the webhook, the queues, the table, a key of your own, whether the functions start, the alarms, who receives them, and what waits, and changes nothing. To see that the webhook refuses a forged request it sends one, which is counted apart. The exit status is 1 when something needs a fix.`
}

func (doctorCommand) Run(a *app, s *deployment.Stack) error {
	found, err := doctor.Examine(a, s)
	if err == nil && a.JSON {
		err = a.printJSON(found)
	}
	if err != nil {
		return err
	}
	for _, f := range found {
		show := a.result.Good
		if !f.OK {
			show, err = a.result.Bad, errUnwell
		}
		if !a.JSON {
			show("%-13s  %s", f.Check, f.Text)
		}
	}
	return err
}

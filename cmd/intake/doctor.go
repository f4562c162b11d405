package main

import (
	"fmt"
	"slices"

	"veryfi-intake/deployment/template"
)

type doctorCommand struct{}

// Help is shown by --help.
func (doctorCommand) Help() string {
	return `Looks at the stack, the secret, Veryfi, the webhook, the queues, the table, a key of your own, whether the functions start, the alarms, who hears of them, and what waits, and changes nothing. To see that the webhook refuses a forged request it sends one, which is counted apart. The exit status is 1 when something needs a mend.`
}

// A finding is one thing that was looked at.
type finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	// Text says what was found, and of what is not OK also how to mend it.
	Text string `json:"text"`
}

func fine(format string, values ...any) []finding {
	return []finding{{OK: true, Text: fmt.Sprintf(format, values...)}}
}

func wrong(format string, values ...any) []finding {
	return []finding{{Text: fmt.Sprintf(format, values...)}}
}

// A doctor looks at a stack.
type doctor struct {
	*app
	*deployment
	template *template.Template
}

// Run prints all findings.
func (doctorCommand) Run(a *app) error {
	d, err := a.doctor()
	if err != nil {
		return err
	}
	found := d.examine(d.checks())
	if a.Err() != nil {
		return a.Err() // what was found then is nothing
	}
	return d.report(found)
}

func (a *app) doctor() (d doctor, err error) {
	d.app = a
	if d.deployment, err = a.deployment(); err == nil {
		d.template, err = d.deployment.template()
	}
	return d, err
}

// A check is something to look at.
type check struct {
	name string
	look func() ([]finding, error)
}

func (d doctor) checks() []check {
	return []check{
		{"stack", d.stack}, {"secret", d.secret}, {"Veryfi", d.asksVeryfi},
		{"webhook", d.webhookAnswers}, {"forgery", d.webhookRefuses},
		{"queues", d.queues}, {"table", d.table}, {"key", d.key}, {"functions", d.functions}, {"processor", d.processor}, {"alarms", d.alarms}, {"receivers", d.receivers},
		{"waiting", d.waiting}, {"dead letters", d.deadLetters}, {"problems", d.problems}, {"last document", d.lastDocument},
	}
}

// examine looks at all, side by side.
func (d doctor) examine(checks []check) []finding {
	found := make([][]finding, len(checks))
	var looks []func()
	for i, check := range checks {
		looks = append(looks, func() {
			findings, err := check.look()
			if err != nil {
				findings = wrong("it could not be looked at: %v", explain(err, d.globals))
			}
			for j := range findings {
				findings[j].Check = check.name
			}
			found[i] = findings
		})
	}
	sideBySide(looks...)
	return slices.Concat(found...)
}

func (d doctor) report(found []finding) error {
	ill := 0
	for _, f := range found {
		if !f.OK {
			ill++
		}
	}
	if d.JSON {
		if err := d.printJSON(found); err != nil {
			return err
		}
	} else {
		for _, f := range found {
			line := fmt.Sprintf("%-13s  %s", f.Check, f.Text)
			if f.OK {
				d.result.Good("%s", line)
			} else {
				d.result.Bad("%s", line)
			}
		}
	}
	if ill > 0 {
		return errUnwell
	}
	return nil
}

// Package doctor looks for all that can be wrong with a deployed stack, and changes
// nothing.
package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	intake "veryfi-intake"
	"veryfi-intake/deployment"
	"veryfi-intake/deployment/template"
)

// A Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	// Text says what was found, and when it is not OK also how to fix it.
	Text string `json:"text"`
}

// A doctor looks at a stack.
type doctor struct {
	*deployment.Stack

	template *template.Template // this version's, with the stack's parameters
}

// A check has one finding or more, or none where there is nothing to look at. An error
// means that it could not look.
type check struct {
	name string
	look func(context.Context) ([]Finding, error)
}

func (d doctor) checks() []check {
	return []check{
		{"stack", d.stack}, {"secret", d.secret}, {"Veryfi", d.veryfi},
		{"webhook", d.webhookAnswers}, {"forgery", d.webhookRefuses},
		{"queues", d.queues}, {"table", d.table}, {"key", d.key}, {"functions", d.functions}, {"processor", d.processor}, {"alarms", d.alarms}, {"receivers", d.receivers},
		{"waiting", d.waiting}, {"dead letters", d.deadLetters}, {"problems", d.problems}, {"last document", d.lastDocument},
	}
}

// Examine does all checks at the same time. To see that the webhook refuses a forged
// request it sends one, which is counted apart.
func Examine(ctx context.Context, s *deployment.Stack) ([]Finding, error) {
	known, err := template.Parse(intake.Template, nil)
	if err != nil {
		return nil, err
	}
	parameters := maps.Clone(s.Parameters)
	maps.DeleteFunc(parameters, func(name, _ string) bool { _, ok := known.Parameters()[name]; return !ok })
	d := doctor{Stack: s}
	if d.template, err = template.Parse(intake.Template, parameters); err != nil {
		return nil, err
	}
	checks := d.checks()
	found := make([][]Finding, len(checks))
	var group sync.WaitGroup
	for i, check := range checks {
		group.Go(func() {
			findings, err := check.look(ctx)
			if err != nil {
				findings = wrong("cannot look at it: %v", deployment.Explain(err))
			}
			for j := range findings {
				findings[j].Check = check.name
			}
			found[i] = findings
		})
	}
	group.Wait()
	return slices.Concat(found...), ctx.Err() // what was found after the end is nothing
}

func fine(format string, values ...any) []Finding {
	return []Finding{{OK: true, Text: fmt.Sprintf(format, values...)}}
}

func wrong(format string, values ...any) []Finding {
	return []Finding{{Text: fmt.Sprintf(format, values...)}}
}

// drifted is a finding about what is not as the template says. CloudFormation puts
// nothing back whose template has not changed.
func drifted(what string, is, want any) []Finding {
	return wrong("%s is %v, and the template says %v: set it back in the console, or `make deploy` if this version is not deployed yet", what, is, want)
}

// A setting is one value, as it is and as the template has it.
type setting struct {
	name     string
	is, want any
}

// compare returns a finding about the first setting of something that has drifted.
func compare(of string, settings ...setting) []Finding {
	for _, s := range settings {
		if s.is != s.want {
			return drifted(s.name+" of "+of, s.is, s.want)
		}
	}
	return nil
}

// ago says how long ago something was.
func (d doctor) ago(t time.Time) string { return deployment.ForPeople(d.Now().Sub(t)) + " ago" }

package main

import (
	"errors"
	"fmt"
	"slices"

	"veryfi-intake/deployment"
)

type redriveCommand struct {
	ID    []string `arg:"" optional:"" help:"Ids of documents, or keys of rows."`
	Class string   `placeholder:"CLASS" help:"Dead letters whose row has this class of error; 'intake problems' lists them."`
	All   bool     `help:"All dead letters."`
}

func (redriveCommand) Help() string {
	return `Fix the cause first. Each document is processed as new, and its row counts on. With --all SQS itself moves the messages. SQS cannot choose, so for ids and classes each message is received, sent to the queue, and only then deleted; the others come back at the end.`
}

// Validate sees that nothing is chosen by accident.
func (c redriveCommand) Validate() error {
	chosen := 0
	for _, is := range []bool{c.ID != nil, c.Class != "", c.All} {
		if is {
			chosen++
		}
	}
	if chosen != 1 || slices.Contains(c.ID, "") {
		return errors.New("say which dead letters: --all, --class CLASS, or ids")
	}
	return nil
}

func (c redriveCommand) Run(a *app, s *deployment.Stack) error {
	var r deployment.Redrive
	var err error
	if c.All {
		show, end := a.progress("moving dead letters")
		r, err = s.RedriveAll(a, show)
		end()
	} else {
		show, end := a.progress("looking at dead letters")
		r, err = s.RedriveSome(a, c.ID, c.Class, show)
		end()
	}
	if r.Held > 0 {
		a.note("%d dead letters that were not chosen stay hidden for %.0f minutes: %v", r.Held, deployment.HideTime.Minutes(), deployment.Explain(r.HeldBy))
	}
	if err != nil {
		if r.Moved > 0 {
			a.note("%d were moved into the queue before that.", r.Moved)
		}
		return err
	}
	if r.Hidden > 0 {
		a.note("%d of those that are left are hidden, for half an hour at most: another redrive looks at them, or has died. Try again then.", r.Hidden)
	}
	err = a.tell(map[string]int{"moved": r.Moved, "left": r.Left}, fmt.Sprintf("%d moved into the queue, %d left among the dead letters.", r.Moved, r.Left))
	for _, id := range c.ID {
		if !r.Found[id] {
			a.note("%s is not among the dead letters.", id)
			err = errUnwell
		}
	}
	return err
}

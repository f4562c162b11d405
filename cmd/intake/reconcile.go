package main

import (
	"errors"
	"fmt"
	"time"

	"veryfi-intake/deployment"
	"veryfi-intake/shared/reconciliation"
)

type reconcileCommand struct {
	ID          []string `arg:"" optional:"" help:"Documents to fetch unless they are stored, whatever their rows say: 123456789, or as the key of their row: check#5."`
	Again       bool     `help:"Fetch these documents although they are stored; what comes replaces them."`
	Since       string   `placeholder:"TIME" help:"Documents that Veryfi has created since then: 2026-11-01, 2026-11-01T12:00:00Z, or 36h for so long ago."`
	Until       string   `placeholder:"TIME" help:"And before then; without it, up to now."`
	Unsupported bool     `help:"Fetch the documents of unsupported events that this version, or MoreKinds, knows by now."`
}

func (reconcileCommand) Help() string {
	return `Runs the reconciler function, time after time until all is done. Without --since, --unsupported and ids it does what the scheduled run does every hour, which leaves out the last hour: those webhooks may still come. It reads the lists of the kinds in the parameter ReconcileKinds. Veryfi's lists may lack documents that have failed.`
}

// Validate sees that nothing is asked for that the function would refuse.
func (c reconcileCommand) Validate() error {
	_, err := c.request(time.Now())
	return err
}

// Run has the reconciler do all that is asked for.
func (c reconcileCommand) Run(a *app, s *deployment.Stack) error {
	request, err := c.request(time.Now())
	if err != nil {
		return err
	}
	show, end := a.progress("documents listed")
	all, err := s.Reconcile(a, request, show)
	end()
	if err != nil {
		return err
	}
	return a.tell(all, c.outcome(all))
}

// outcome says what was done, and what happens next.
func (c reconcileCommand) outcome(all reconciliation.Result) string {
	takenUp := fmt.Sprintf("%d unsupported events are known by now, and their documents enqueued; %d rows of those from before removed.", all.TakenUp, all.Removed)
	switch {
	case c.Again:
		return fmt.Sprintf("%s enqueued, to be fetched again.", deployment.Documents(all.Enqueued))
	case c.ID != nil:
		return fmt.Sprintf("%d of %s enqueued; the others are stored.", all.Enqueued, deployment.Documents(len(c.ID)))
	case c.Unsupported && all.TakenUp > 0:
		return takenUp + " A later run, by schedule or by hand, removes their rows once each document has a row of its own."
	case c.Unsupported:
		return takenUp
	}
	line := fmt.Sprintf("%d documents listed, %d of them enqueued; %d rows that waited for too long enqueued, too.", all.Listed, all.Enqueued, all.Stale)
	if all.TakenUp+all.Removed > 0 {
		line += " " + takenUp
	}
	return line
}

// request returns what the function is asked for.
func (c reconcileCommand) request(now time.Time) (r reconciliation.Request, err error) {
	r.Again, r.Unsupported = c.Again, c.Unsupported
	switch {
	case c.Unsupported && (c.ID != nil || c.Since != "" || c.Until != ""):
		return r, errors.New("--unsupported takes no ids and no time")
	case c.Again && c.ID == nil:
		return r, errors.New("--again needs ids")
	case c.ID != nil && (c.Since != "" || c.Until != ""):
		return r, errors.New("give either ids or a time")
	case c.Until != "" && c.Since == "":
		return r, errors.New("--until needs --since")
	}
	for _, text := range c.ID {
		id, err := reconciliation.ParseID(text)
		if err != nil {
			return r, err
		}
		r.IDs = append(r.IDs, id)
	}
	if c.Since == "" {
		return r, nil
	}
	since, err := readTime(c.Since, now)
	if err != nil {
		return r, err
	}
	until, err := readTime(c.Until, now)
	if err != nil {
		return r, err
	}
	if !since.Before(until) {
		return r, errors.New("--since must be before --until, and in the past")
	}
	r.Since, r.Until = reconciliation.At(since.UTC().Truncate(time.Second)), reconciliation.At(until.UTC().Truncate(time.Second))
	return r, nil
}

// readTime reads a time, or how long ago it was, "" for now.
func readTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	t, err := reconciliation.ParseTime(text)
	if err != nil {
		err = fmt.Errorf("%w: write 2026-11-01, 2026-11-01T12:00:00Z, or 36h for so long ago", err)
	}
	return t, err
}

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"veryfi-intake/deployment"
	"veryfi-intake/shared/reconciliation"
)

type reconcileCommand struct {
	ID          []string `arg:"" optional:"" help:"Keys of documents, such as 123456789 or check#5, to fetch unless they are stored, whatever their rows say."`
	Again       bool     `help:"Fetch these documents also if they are stored."`
	Unsupported bool     `help:"Take up the rows of unsupported events that the stack knows by now."`
	Since       string   `placeholder:"TIME" help:"Documents that Veryfi has created since then: 2026-11-01, 2026-11-01T12:00:00Z, or 36h for so long ago."`
	Until       string   `placeholder:"TIME" help:"And before then; without it, up to now."`
}

func (reconcileCommand) Help() string {
	return `Runs the reconciler function, time after time until all is done. Without --since and ids it does what the scheduled run does every hour, which leaves out the last hour: those webhooks may still come. It reads the lists of the kinds in ReconcileKinds, which may lack documents that have failed.`
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
	line := fmt.Sprintf("%d documents listed, %d of them enqueued; %d rows that waited for too long enqueued, too.", all.Listed, all.Enqueued, all.Stale)
	switch {
	case c.Unsupported:
		line = fmt.Sprintf("The ids of %d rows enqueued; %d rows of earlier runs are gone. A row goes in a later run, when each of its ids has a row of its own.", all.TakenUp, all.Removed)
	case c.ID != nil && c.Again:
		line = fmt.Sprintf("%d of %s enqueued.", all.Enqueued, deployment.Documents(len(c.ID)))
	case c.ID != nil:
		line = fmt.Sprintf("%d of %s enqueued; the others are stored.", all.Enqueued, deployment.Documents(len(c.ID)))
	}
	return a.tell(all, line)
}

// request returns what the function is asked for.
func (c reconcileCommand) request(now time.Time) (r reconciliation.Request, err error) {
	switch {
	case c.Unsupported && (c.ID != nil || c.Again || c.Since != "" || c.Until != ""):
		return r, errors.New("--unsupported takes nothing else")
	case c.Again && c.ID == nil:
		return r, errors.New("--again needs ids")
	case c.ID != nil && (c.Since != "" || c.Until != ""):
		return r, errors.New("give either ids or a time")
	case c.Until != "" && c.Since == "":
		return r, errors.New("--until needs --since")
	}
	for _, text := range c.ID {
		number := text[strings.LastIndexByte(text, '#')+1:]
		if id, err := strconv.ParseInt(number, 10, 64); err != nil || id < 1 {
			return r, fmt.Errorf("%s is not a document's id: a whole number from 1 on, or a kind and a number such as check#5", text)
		}
		r.IDs = append(r.IDs, reconciliation.ID(text))
	}
	r.Again, r.Unsupported = c.Again, c.Unsupported
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

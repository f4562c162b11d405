package main

import (
	"errors"
	"time"

	"veryfi-intake/deployment"
)

type codeCommand struct {
	Since   time.Duration `default:"15m" help:"How far to look back (${default})."`
	Timeout time.Duration `default:"10m" help:"How long to wait (${default})."`
}

func (codeCommand) Help() string {
	return `Paste the URL ('intake url') into Veryfi's Settings > Keys. Veryfi sends a code to it immediately; type that into the portal, or the URL is not saved. All codes of the last minutes are printed, the newest last, each with its time (UTC). Anybody can send one to the URL: one that is not signed may not be Veryfi's. With --json it is an array.`
}

func (c codeCommand) Run(a *app, s *deployment.Stack) error {
	start := time.Now()
	a.note("Waiting for Veryfi's code. Paste the URL into Settings > Keys now: %s", s.Outputs[deployment.WebhookURL])
	for {
		codes, err := s.VerificationCodes(a, start.Add(-c.Since))
		switch {
		case err != nil:
			return err
		case codes != nil:
			return c.print(a, codes)
		case time.Since(start) > c.Timeout:
			return errors.New("no code has come: `intake doctor` checks that the URL answers; then save it in the portal once more")
		case !deployment.Wait(a, pollInterval):
			return a.Err()
		}
	}
}

func (codeCommand) print(a *app, codes []deployment.VerificationCode) error {
	if a.JSON {
		return a.printJSON(codes)
	}
	for _, c := range codes {
		remark := ""
		if c.Signed != nil && !*c.Signed {
			remark = ", not signed"
		}
		a.say("%s  %s, %s%s", c.Code, c.ReceivedAt.Format(time.DateTime), ago(c.ReceivedAt), remark)
	}
	a.note("Type the newest, the last one, into the portal, if it came when you saved the URL. When you have saved it again since, wait for the next one with --since 0s.")
	return nil
}

package main

import "veryfi-intake/deployment"

type urlCommand struct{}

func (urlCommand) Run(a *app, s *deployment.Stack) error {
	url := s.Outputs[deployment.WebhookURL]
	if err := a.tell(map[string]string{"url": url}, url); err != nil || a.JSON {
		return err
	}
	a.note("\nPaste it into Veryfi's portal: Settings > Keys > Webhook URL, and save. Veryfi sends a code\nto it immediately; `intake verification-code` prints that. Type it into the portal.")
	return nil
}

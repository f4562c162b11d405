package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"veryfi-intake/deployment"
	"veryfi-intake/shared/secret"
)

type secretCommands struct {
	Set    secretSetCommand    `cmd:"" help:"Write Veryfi's credentials into the secret, after Veryfi has accepted them."`
	Revoke secretRevokeCommand `cmd:"" help:"Forget the previous credentials: a leaked client secret verifies no webhook any more."`
}

type secretSetCommand struct {
	NoCheck bool `help:"Write without asking Veryfi whether the credentials are right."`
	Yes     bool `help:"Do not ask before a client secret stops verifying."`
}

func (secretSetCommand) Help() string {
	return `Asks for the four values of Veryfi's Settings > Keys and does not show what you type; Enter alone keeps a value as it is. From a pipe it reads JSON: {"client_id": "…", "client_secret": "…", "username": "…", "api_key": "…"}; a name that is left out keeps its value. An API key that begins with vrfk_ needs no username.

Nothing is written when nothing has changed: a second write would lose the previous values, with which webhooks are verified that were signed before a rotation. When only the other values have changed, the previous client secret is kept; when the client secret changes twice within a day, the command asks.`
}

func (c secretSetCommand) Run(a *app, s *deployment.Stack) error {
	versions, err := s.SecretVersions(a)
	if err != nil {
		return err
	}
	before := versions.Current.Credentials
	after, err := a.readCredentials(before)
	if err == nil {
		err = complete(after)
	}
	if err != nil {
		return fmt.Errorf("%w. Nothing was written", err)
	}
	if after == before {
		return a.tell(map[string]bool{"written": false}, "Nothing has changed, and nothing was written.")
	}
	if !c.NoCheck {
		switch err := s.Accepts(a, after); {
		case errors.Is(err, deployment.ErrRefused):
			return fmt.Errorf("%w. Nothing was written", err)
		case err != nil:
			return fmt.Errorf("cannot ask Veryfi whether the credentials are right: %w. Nothing was written. Try again, or write them unasked with --no-check", err)
		}
	}
	if versions.Loses(after, time.Now()) {
		if err := a.confirm("The client secret was changed less than a day ago. Webhooks that were signed before that will be refused.", c.Yes); err != nil {
			return err
		}
	}
	if err := s.WriteSecret(a, versions, after); err != nil {
		return err
	}
	lines := []string{
		"Written. The functions read it when the values before are refused, at most once in ten seconds, and every five minutes.",
		"Veryfi cannot check the client secret: the next webhook shows whether it is right (`intake submit FILE --wait`).",
	}
	if before.ClientSecret != "" && before.ClientSecret != after.ClientSecret {
		lines = append(lines, "Webhooks that were signed with the client secret before still verify. `intake secret revoke` ends that.")
	}
	return a.tell(map[string]bool{"written": true}, lines...)
}

// complete says which value is missing, or cannot be one of Veryfi's.
func complete(c secret.Credentials) error {
	for _, value := range []struct{ name, text string }{
		{"client_id", c.ClientID}, {"client_secret", c.ClientSecret}, {"api_key", c.APIKey}, {"username", c.Username},
	} {
		switch {
		case value.text == "" && (value.name != "username" || !c.IsBearer()):
			return fmt.Errorf("a value is missing: %s (an API key that begins with vrfk_ needs no username)", value.name)
		case strings.ContainsFunc(value.text, unicode.IsControl):
			return fmt.Errorf("%s holds a line break or another character that cannot be seen: paste it again", value.name)
		}
	}
	return nil
}

// readCredentials returns what is typed, or the JSON on the standard input, over
// what is there.
func (a *app) readCredentials(after secret.Credentials) (secret.Credentials, error) {
	if !a.answers {
		decoder := json.NewDecoder(io.LimitReader(a.in, 64<<10))
		decoder.DisallowUnknownFields()
		// The decoder's own error could quote the input.
		if decoder.Decode(&after) != nil || decoder.More() {
			return after, errors.New(`the input is not JSON of the form {"client_id": "…", "client_secret": "…", "username": "…", "api_key": "…"}`)
		}
		return after.Trimmed(), nil
	}
	a.note("The values are in Veryfi's portal, Settings > Keys. What you type is not shown.")
	for _, value := range []struct {
		name string
		of   *string
	}{
		{"client id", &after.ClientID}, {"client secret", &after.ClientSecret}, {"API key", &after.APIKey}, {"username", &after.Username},
	} {
		if value.of == &after.Username && after.IsBearer() {
			continue
		}
		hint := ""
		if *value.of != "" {
			hint = " (Enter keeps it)"
		}
		a.notes.Prompt("%s%s: ", value.name, hint)
		typed, err := a.ask(func() (string, error) {
			text, err := term.ReadPassword(int(a.in.Fd()))
			return string(text), err
		})
		a.note("")
		if err != nil {
			return after, err
		}
		if typed != "" {
			*value.of = typed
		}
	}
	return after.Trimmed(), nil
}

type secretRevokeCommand struct {
	Yes bool `help:"Do not ask."`
}

func (secretRevokeCommand) Help() string {
	return `See first that a webhook verifies with the new client secret ('intake submit FILE --wait', 'intake doctor'). After 'secret set' both client secrets verify webhooks, so that none is lost that was signed before. When the one before has leaked, take it away: at the latest five minutes later nothing that is signed with it is accepted. The value itself stays in Secrets Manager for a while, without a stage.`
}

// Run ends that the previous client secret verifies.
func (c secretRevokeCommand) Run(a *app, s *deployment.Stack) error {
	versions, err := s.SecretVersions(a)
	if err != nil {
		return err
	}
	if !versions.HasPrevious() {
		return a.tell(map[string]bool{"revoked": false}, "There is no previous client secret.")
	}
	if err := a.confirm("Webhooks that were signed with the previous client secret will be refused.", c.Yes); err != nil {
		return err
	}
	if err := s.Revoke(a, versions); err != nil {
		return err
	}
	return a.tell(map[string]bool{"revoked": true}, "Revoked. Within five minutes the functions forget the previous client secret.")
}

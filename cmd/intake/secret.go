package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"golang.org/x/term"

	"veryfi-intake/shared/failure"
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

// Help is shown by --help.
func (secretSetCommand) Help() string {
	return `Asks for the four values of Veryfi's Settings > Keys and does not show what you type; Enter alone keeps a value as it is. From a pipe it reads JSON: {"client_id": "…", "client_secret": "…", "username": "…", "api_key": "…"}; a name that is left out keeps its value. An API key that begins with vrfk_ needs no username.

Nothing is written when nothing has changed: a second write would lose the previous values, with which webhooks are verified that were signed before a rotation. When only the other values have changed, the previous client secret is kept; when the client secret changes twice within a day, the command asks.`
}

// Run writes the secret.
func (c secretSetCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	before, err := d.version(a, awsCurrent)
	if err != nil {
		return err
	}
	after, err := a.readCredentials(before.Credentials)
	if err != nil {
		return err
	}
	if err := complete(after); err != nil {
		return fmt.Errorf("%w. Nothing was written", err)
	}
	if after == before.Credentials {
		return a.told(map[string]bool{"written": false}, "Nothing has changed, and nothing was written.")
	}
	if !c.NoCheck {
		switch err := d.accepts(a, after); {
		case errors.Is(err, errRefused):
			return fmt.Errorf("%w. Nothing was written", err)
		case err != nil:
			return fmt.Errorf("Veryfi could not be asked whether the credentials are right: %w. Nothing was written. Try again, or write them unasked with --no-check", err)
		}
	}
	if err := c.write(a, d, before, after); err != nil {
		return err
	}
	lines := []string{
		"Written. The functions read it when the values before are refused, at most once in ten seconds, and every five minutes.",
		"Whether the client secret is right, Veryfi cannot be asked: the next webhook shows it (`intake submit FILE --wait`).",
	}
	if before.ClientSecret != "" && before.ClientSecret != after.ClientSecret {
		lines = append(lines, "Webhooks that were signed with the client secret before still verify. `intake secret revoke` ends that.")
	}
	return a.told(map[string]bool{"written": true}, lines...)
}

// write makes the credentials the current version. Secrets Manager makes the one that
// was current the previous one, and forgets the one before.
func (c secretSetCommand) write(a *app, d *deployment, before version, after secret.Credentials) error {
	text, err := json.Marshal(after) //nolint:gosec // for the secret itself
	if err != nil {
		return err
	}
	previous, err := d.version(a, awsPrevious)
	if err != nil {
		return err
	}
	const inUse = 24 * time.Hour // Veryfi's three tries have ended by then
	verifies := previous.ClientSecret != "" && previous.ClientSecret != before.ClientSecret
	keep := verifies && after.ClientSecret == before.ClientSecret
	if verifies && !keep && previous.ClientSecret != after.ClientSecret && time.Since(before.created) < inUse {
		if err := a.confirm("The client secret was changed less than a day ago. Webhooks that were signed before that will be refused.", c.Yes); err != nil {
			return err
		}
	}
	client, id := secretsmanager.NewFromConfig(d.aws), d.outputs[secretID]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a), time.Minute) // both calls or none
	defer cancel()
	if _, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: aws.String(string(text))}); err != nil || !keep {
		return err
	}
	_, err = client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &id, VersionStage: aws.String(awsPrevious), RemoveFromVersionId: &before.id, MoveToVersionId: &previous.id,
	})
	if err != nil {
		return fmt.Errorf("written, but the previous client secret does not verify webhooks any more: %w", err)
	}
	return nil
}

// The stages of the values that are in use, and of those before the last change.
const (
	awsCurrent  = "AWSCURRENT"
	awsPrevious = "AWSPREVIOUS"
)

// A version is one of the secret's.
type version struct {
	secret.Credentials
	id      string
	created time.Time
}

// version returns the version with a stage; it is empty when no version has the stage.
func (d *deployment) version(ctx context.Context, stage string) (v version, err error) {
	out, err := secretsmanager.NewFromConfig(d.aws).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(d.outputs[secretID]), VersionStage: &stage})
	if _, none := errors.AsType[*types.ResourceNotFoundException](err); none {
		return v, nil
	}
	if err != nil {
		return v, err
	}
	if json.Unmarshal([]byte(aws.ToString(out.SecretString)), &v.Credentials) != nil {
		v.Credentials = secret.Credentials{} // the functions take nothing of it, either
	}
	v.Credentials = v.Trimmed()
	v.id, v.created = aws.ToString(out.VersionId), aws.ToTime(out.CreatedDate)
	return v, nil
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

// told prints a result.
func (a *app) told(result any, lines ...string) error {
	if a.JSON {
		return a.printJSON(result)
	}
	for _, line := range lines {
		a.say("%s", line)
	}
	return nil
}

var errRefused = errors.New("Veryfi refuses these credentials: compare client id, username and API key with Settings > Keys")

// accepts asks Veryfi for a list that is as good as empty. It cannot tell whether the
// client secret is right: no request shows it. The error is [errRefused], or that of
// a request with no good answer.
func (d *deployment) accepts(ctx context.Context, c secret.Credentials) error {
	client, err := d.veryfi(c)
	if err != nil {
		return err
	}
	_, _, err = client.List(ctx, time.Now().Add(-time.Second), time.Now(), 1)
	if failure.ClassOf(err) == failure.CredentialsRefused {
		return errRefused
	}
	return err
}

// readCredentials returns what is typed, or the JSON on the standard input, over
// what is there.
func (a *app) readCredentials(before secret.Credentials) (secret.Credentials, error) {
	after := before
	if !a.answers {
		decoder := json.NewDecoder(io.LimitReader(a.in, 64<<10))
		decoder.DisallowUnknownFields()
		// The decoder's own error could quote the input.
		if decoder.Decode(&after) != nil || decoder.More() {
			return after, errors.New(`the input is not JSON of the form {"client_id": "…", "client_secret": "…", "username": "…", "api_key": "…"}. Nothing was written`)
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

// Help is shown by --help.
func (secretRevokeCommand) Help() string {
	return `See first that a webhook verifies with the new client secret ('intake submit FILE --wait', 'intake doctor'). After 'secret set' both client secrets verify webhooks, so that none is lost that was signed before. When the one before has leaked, take it away: at the latest five minutes later nothing that is signed with it is accepted. The value itself stays in Secrets Manager for a while, without a stage.`
}

// Run takes the stage AWSPREVIOUS away.
func (c secretRevokeCommand) Run(a *app) error {
	d, err := a.deployment()
	if err != nil {
		return err
	}
	current, err := d.version(a, awsCurrent)
	if err != nil {
		return err
	}
	previous, err := d.version(a, awsPrevious)
	if err != nil {
		return err
	}
	if previous.ClientSecret == "" || previous.ClientSecret == current.ClientSecret {
		return a.told(map[string]bool{"revoked": false}, "There is no previous client secret.")
	}
	if err := a.confirm("Webhooks that were signed with the previous client secret will be refused.", c.Yes); err != nil {
		return err
	}
	_, err = secretsmanager.NewFromConfig(d.aws).UpdateSecretVersionStage(a, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: aws.String(d.outputs[secretID]), VersionStage: aws.String(awsPrevious), RemoveFromVersionId: &previous.id,
	})
	if err != nil {
		return err
	}
	return a.told(map[string]bool{"revoked": true}, "Revoked. Within five minutes the functions forget the previous client secret.")
}

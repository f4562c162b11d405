package deployment

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"veryfi-intake/shared/failure"
	"veryfi-intake/shared/secret"
	"veryfi-intake/shared/veryfi"
)

// FillHint says how to fill the secret.
const FillHint = "`intake secret set` asks for the four values of Veryfi's Settings > Keys"

// Credentials returns what the functions read of the secret; values that are not filled
// are empty.
func (s *Stack) Credentials(ctx context.Context) (secret.Credentials, error) {
	known, err := secret.New(secretsmanager.NewFromConfig(s.AWS), s.Outputs[SecretID], s.Now).Get(ctx)
	if err != nil {
		return secret.Credentials{}, err
	}
	return known.Credentials, nil
}

// ClientSecret returns the one that signs webhooks. The error says so when the secret is
// not filled.
func (s *Stack) ClientSecret(ctx context.Context) (string, error) {
	known, err := s.Credentials(ctx)
	if err == nil {
		err = known.Verifies()
	}
	return known.ClientSecret, notFilled(err)
}

// VeryfiClient returns a client of Veryfi's API with the stack's credentials. The error
// says so when the secret is not filled.
func (s *Stack) VeryfiClient(ctx context.Context) (*veryfi.Client, error) {
	known, err := s.Credentials(ctx)
	if err == nil {
		err = known.Retrieves()
	}
	if err != nil {
		return nil, notFilled(err)
	}
	return s.veryfi(known)
}

func notFilled(err error) error {
	switch {
	case errors.Is(err, secret.ErrNotFilled):
		return errors.New("the secret is not filled: " + FillHint)
	case errors.Is(err, secret.ErrForm):
		return fmt.Errorf("the secret cannot be used: %w: %s, and writes them so", secret.ErrForm, FillHint)
	}
	return err
}

// VeryfiURL is where the stack has Veryfi's API.
func (s *Stack) VeryfiURL() string {
	return cmp.Or(s.Parameters["VeryfiBaseUrl"], veryfi.DefaultBaseURL)
}

func (s *Stack) veryfi(c secret.Credentials) (*veryfi.Client, error) {
	transport := veryfi.NewTransport()
	transport.Proxy = http.ProxyFromEnvironment // as for AWS
	return veryfi.NewClient(veryfi.Config{
		BaseURL: s.VeryfiURL(), RequestsPerSecond: s.RequestsPerSecond, Secrets: secret.Fixed(c), Transport: transport, Now: s.Now,
	})
}

// ErrRefused means that Veryfi does not take the credentials.
var ErrRefused = errors.New("Veryfi refuses these credentials: compare client id, username and API key with Settings > Keys")

// Accepts asks Veryfi whether it takes the credentials, for a list that is as good as
// empty. It cannot tell whether the client secret is right: no request shows it. The
// error is [ErrRefused], or that of a request with no good answer.
func (s *Stack) Accepts(ctx context.Context, c secret.Credentials) error {
	client, err := s.veryfi(c)
	if err != nil {
		return err
	}
	_, _, err = client.List(ctx, veryfi.Documents, s.Now().Add(-time.Second), s.Now(), 1)
	if failure.ClassOf(err) == failure.CredentialsRefused {
		return ErrRefused
	}
	return err
}

// The stages of the values that are in use, and of those before the last change.
const (
	awsCurrent  = "AWSCURRENT"
	awsPrevious = "AWSPREVIOUS"
)

// Versions are the two values of the secret that verify webhooks.
type Versions struct{ Current, Previous Version }

// A Version is one value of the secret, with nothing in it where there is none.
type Version struct {
	secret.Credentials

	ID      string
	Created time.Time
}

// SecretVersions reads both values of the secret.
func (s *Stack) SecretVersions(ctx context.Context) (v Versions, err error) {
	if v.Current, err = s.version(ctx, awsCurrent); err == nil {
		v.Previous, err = s.version(ctx, awsPrevious)
	}
	return v, err
}

func (s *Stack) version(ctx context.Context, stage string) (v Version, err error) {
	out, err := secretsmanager.NewFromConfig(s.AWS).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(s.Outputs[SecretID]), VersionStage: &stage})
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
	v.ID, v.Created = aws.ToString(out.VersionId), aws.ToTime(out.CreatedDate)
	return v, nil
}

// HasPrevious reports whether a client secret verifies webhooks that is not the current
// one.
func (v Versions) HasPrevious() bool {
	return v.Previous.ClientSecret != "" && v.Previous.ClientSecret != v.Current.ClientSecret
}

// Loses reports whether writing credentials takes away a client secret that may still be
// needed: the previous one, when the current one was written less than a day ago.
// Veryfi's three tries have ended by then.
func (v Versions) Loses(after secret.Credentials, now time.Time) bool {
	const inUse = 24 * time.Hour
	return v.HasPrevious() && after.ClientSecret != v.Current.ClientSecret && after.ClientSecret != v.Previous.ClientSecret && now.Sub(v.Current.Created) < inUse
}

// WriteSecret makes the credentials the current value. Secrets Manager makes the one
// that was current the previous one, and forgets the one before, unless the client
// secret is the same: then the previous one is kept.
func (s *Stack) WriteSecret(ctx context.Context, over Versions, c secret.Credentials) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // both calls or none
	defer cancel()
	_, err = secretsmanager.NewFromConfig(s.AWS).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String(s.Outputs[SecretID]), SecretString: aws.String(string(text))})
	if err != nil || !over.HasPrevious() || c.ClientSecret != over.Current.ClientSecret {
		return err
	}
	if err := s.movePrevious(ctx, over.Current.ID, &over.Previous.ID); err != nil {
		return fmt.Errorf("written, but the previous client secret does not verify webhooks any more: %w", err)
	}
	return nil
}

// Revoke has the previous client secret verify no webhook any more. The functions forget
// it within five minutes.
func (s *Stack) Revoke(ctx context.Context, v Versions) error {
	return s.movePrevious(ctx, v.Previous.ID, nil)
}

func (s *Stack) movePrevious(ctx context.Context, from string, to *string) error {
	_, err := secretsmanager.NewFromConfig(s.AWS).UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: aws.String(s.Outputs[SecretID]), VersionStage: aws.String(awsPrevious), RemoveFromVersionId: &from, MoveToVersionId: to,
	})
	return err
}

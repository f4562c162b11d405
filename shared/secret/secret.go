// Package secret has a Veryfi profile's credentials: it reads them from Secrets Manager, keeps
// them for minutes, and reads them again when they seem to have changed.
package secret

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"veryfi-intake/shared/signature"
)

const (
	// maxAge is when a secret is read again. It is used meanwhile.
	maxAge = 5 * time.Minute
	// maxUntried is how long a secret is used when nobody tries to read it again. A later
	// caller, as after a function was frozen for hours, waits for the reading.
	maxUntried = 15 * time.Minute
	// reloadInterval is the least time between two readings that callers ask for, and after
	// a failed one if there is a secret to use. So wrong signatures set no pace.
	reloadInterval = 10 * time.Second
	// retryInterval is the least time between two readings while there is nothing to use.
	retryInterval = time.Second
	// readTimeout bounds one reading with its retries.
	readTimeout = 3 * time.Second
	// untilRead is longer than a reading takes.
	untilRead = 2 * readTimeout
	// retryTimeout bounds how long a caller waits for a reading after a failed one.
	retryTimeout = 500 * time.Millisecond

	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"

	// placeholder stands for a value that is not known yet, in a secret made by hand. The
	// secret of template.yaml has no version at first.
	placeholder = "unset"
)

// ErrNotFilled means that the secret lacks the values that are needed.
var ErrNotFilled = errors.New("the secret is not filled: put the four values from Veryfi's Settings > Keys into it, as README says")

// Credentials are the four values of a Veryfi profile. One that is not filled is empty.
type Credentials struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Username     string `json:"username"`
	APIKey       string `json:"api_key"`
}

// Verifies returns [ErrNotFilled] when there is nothing to verify a webhook with.
func (c Credentials) Verifies() error {
	if c.ClientSecret == "" {
		return ErrNotFilled
	}
	return nil
}

// Retrieves returns [ErrNotFilled] when a request to Veryfi lacks a value.
func (c Credentials) Retrieves() error {
	if c.ClientID == "" || c.APIKey == "" || c.Username == "" && !c.IsBearer() {
		return ErrNotFilled
	}
	return nil
}

// IsBearer reports whether the API key is of the newer kind: a bearer token, which needs no
// username.
func (c Credentials) IsBearer() bool { return strings.HasPrefix(c.APIKey, "vrfk_") }

// Secret is what was read.
type Secret struct {
	Credentials
	// Keys verify webhooks, with the current client secret and the previous one, so that a
	// rotation loses nothing.
	Keys []*signature.Key
}

func newSecret(now Credentials, before *Credentials) *Secret {
	s := &Secret{Credentials: now, Keys: []*signature.Key{signature.NewKey(now.ClientSecret)}}
	if before != nil && before.ClientSecret != "" && before.ClientSecret != now.ClientSecret {
		s.Keys = append(s.Keys, signature.NewKey(before.ClientSecret))
	}
	return s
}

// HasKeysOf reports whether both secrets verify the same webhooks.
func (s *Secret) HasKeysOf(other *Secret) bool {
	return slices.EqualFunc(s.Keys, other.Keys, (*signature.Key).Equal)
}

// A Provider hands out a secret: a [Source], or what stands in for one.
type Provider interface {
	// Get returns what is known. The error says why nothing is.
	Get(context.Context) (*Secret, error)
	// Reload reads the secret again, but not at the pace of whoever asks.
	Reload(context.Context) (*Secret, error)
}

// Client is the part of [secretsmanager.Client] that is used here.
type Client interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// A Source hands out a secret. It is safe for concurrent use.
//
// A secret that was read is used immediately, also while Secrets Manager is down or hangs:
// it is read in the background, once at a time. A caller waits, 3 s at most, while there is
// nothing to use, when nobody has tried to read the secret for 15 minutes, and in
// [Source.Reload]; while readings fail, half a second once in ten.
//
// So while Secrets Manager answers, a version whose stage was taken away verifies for five
// minutes and one reading; with few webhooks, until the first one after that time, and never
// after 15 minutes.
type Source struct {
	client Client // nil when the secret is fixed
	id     string
	clock  func() time.Time

	mu         sync.Mutex
	secret     *Secret  // the last one that was read
	err        error    // why there is none
	reading    *reading // in progress, or nil
	tried      time.Time
	failing    bool // the last reading failed
	nextRead   time.Time
	nextReload time.Time
}

// A reading is one try to read the secret.
type reading struct {
	began time.Time
	done  chan struct{}
}

// Fixed returns a source of credentials that never change.
func Fixed(c Credentials) *Source {
	return &Source{secret: newSecret(c.Trimmed(), nil)}
}

// New returns a source that reads the secret with that ARN or name: the JSON of
// [Credentials].
func New(client Client, id string, now func() time.Time) *Source {
	return &Source{client: client, id: id, clock: now}
}

// Configured returns the source of the environment: Secrets Manager if VERYFI_SECRET_ID is
// set, else VERYFI_CLIENT_ID, VERYFI_CLIENT_SECRET, VERYFI_USERNAME and VERYFI_API_KEY.
func Configured(getenv func(string) string, client Client, now func() time.Time) (*Source, error) {
	if id := getenv("VERYFI_SECRET_ID"); id != "" {
		return New(client, id, now), nil
	}
	c := Credentials{
		ClientID:     getenv("VERYFI_CLIENT_ID"),
		ClientSecret: getenv("VERYFI_CLIENT_SECRET"),
		Username:     getenv("VERYFI_USERNAME"),
		APIKey:       getenv("VERYFI_API_KEY"),
	}
	if c == (Credentials{}) {
		return nil, errors.New("VERYFI_SECRET_ID is not set: set it to the secret's ARN or name, or set VERYFI_CLIENT_SECRET and the other three values")
	}
	return Fixed(c), nil
}

// Get returns the secret that was read last. The error says why there is none.
func (s *Source) Get(ctx context.Context) (*Secret, error) {
	return s.ask(ctx, func(now time.Time) (due bool, wait time.Duration) {
		if !s.secret.isUsable() || now.Sub(s.tried) >= maxUntried {
			wait = untilRead
		}
		return !now.Before(s.nextRead), wait
	})
}

// Prepare reads the secret before the first Get needs it. An error waits for that.
func (s *Source) Prepare(ctx context.Context) { _, _ = s.Get(ctx) }

// Reload reads the secret again because it seems to have changed, at most once in 10
// seconds, and returns what is known then. While readings fail, only the caller who starts
// the next one waits for it, and not for long: it may succeed again.
func (s *Source) Reload(ctx context.Context) (*Secret, error) {
	return s.ask(ctx, func(now time.Time) (due bool, wait time.Duration) {
		due = !now.Before(s.nextReload)
		if due {
			s.nextReload = now.Add(reloadInterval)
		}
		switch {
		case !s.secret.isUsable() || !s.failing:
			wait = untilRead
		case due:
			wait = retryTimeout
		}
		return due, wait
	})
}

// ask returns the secret. how says whether a reading is due, and how long to wait for the
// one in progress.
//
// Times are of the wall clock: a frozen function's monotonic clock may stand still. A
// reading that was frozen too is abandoned, and its result is not used.
func (s *Source) ask(ctx context.Context, how func(now time.Time) (due bool, wait time.Duration)) (*Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		return s.secret, nil
	}
	now := s.clock().Round(0)
	due, wait := how(now)
	if s.reading != nil && now.Sub(s.reading.began) > untilRead {
		s.reading, due = nil, true
	}
	if due && s.reading == nil {
		s.reading = &reading{now, make(chan struct{})}
		go s.read(context.WithoutCancel(ctx), s.reading)
	}
	if inProgress := s.reading; wait > 0 && inProgress != nil {
		s.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-inProgress.done:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		s.mu.Lock()
	}
	switch {
	case s.secret != nil:
		return s.secret, nil
	case s.err != nil:
		return nil, s.err
	default:
		return nil, fmt.Errorf("wait for the secret: %w", cmp.Or(ctx.Err(), context.DeadlineExceeded))
	}
}

// isUsable reports whether webhooks can be verified or documents retrieved.
func (s *Secret) isUsable() bool { return s != nil && (s.Verifies() == nil || s.Retrieves() == nil) }

// read reads both versions of the secret. When that fails, the known secret stays; if none
// is known, the current version alone is better than nothing.
func (s *Source) read(ctx context.Context, r *reading) {
	defer close(r.done)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	// One after the other: concurrently they would need two connections.
	now, err := s.version(ctx, current)
	before, beforeErr := s.version(ctx, previous)

	_, none := errors.AsType[*types.ResourceNotFoundException](beforeErr)
	if none || errors.Is(beforeErr, ErrForm) {
		beforeErr = nil // never changed, or first filled with something else
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading != r {
		return
	}
	s.reading, s.tried, s.failing = nil, r.began, err != nil || beforeErr != nil
	switch {
	case err != nil:
		s.err = fmt.Errorf("read the secret: %w", err)
	case beforeErr == nil:
		s.secret = newSecret(*now, before)
	case s.secret == nil:
		s.secret = newSecret(*now, nil)
	case s.secret.Credentials != *now: // a rotation: what was current is previous
		s.secret = newSecret(*now, &s.secret.Credentials)
	}
	switch {
	case !s.secret.isUsable():
		s.nextRead = r.began.Add(retryInterval)
	case s.failing:
		s.nextRead = r.began.Add(reloadInterval)
		s.nextReload = s.nextRead
	case s.secret.Verifies() != nil || s.secret.Retrieves() != nil:
		s.nextRead = r.began.Add(retryInterval)
	default:
		s.nextRead = r.began.Add(maxAge)
	}
}

// ErrForm means that the secret is not the JSON of [Credentials].
var ErrForm = errors.New(`it is not JSON of the form {"client_id": "…", "client_secret": "…", "username": "…", "api_key": "…"}`)

// version reads one version of the secret. An error never holds any of it.
func (s *Source) version(ctx context.Context, stage string) (*Credentials, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.id, VersionStage: &stage})
	if stage == current && isWithoutValue(err) {
		return &Credentials{}, nil
	}
	if err != nil {
		return nil, err
	}
	var c Credentials
	if json.Unmarshal([]byte(aws.ToString(out.SecretString)), &c) != nil {
		return nil, ErrForm
	}
	c = c.Trimmed()
	return &c, nil
}

// isWithoutValue reports whether the secret exists and nobody has written a value yet.
// Secrets Manager has one error for that and for a missing secret, with two texts.
func isWithoutValue(err error) bool {
	missing, ok := errors.AsType[*types.ResourceNotFoundException](err)
	return ok && strings.Contains(missing.ErrorMessage(), "staging label: "+current)
}

// Trimmed returns the credentials without placeholders, and without the spaces that come
// from pasting.
func (c Credentials) Trimmed() Credentials {
	for _, value := range []*string{&c.ClientID, &c.ClientSecret, &c.Username, &c.APIKey} {
		if *value = strings.TrimSpace(*value); *value == placeholder {
			*value = ""
		}
	}
	return c
}

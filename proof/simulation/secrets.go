package simulation

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"veryfi-intake/shared/secret"
)

// A secretsModel holds the secret's versions.
type secretsModel struct {
	mu       sync.Mutex
	versions []string
}

// put makes credentials the current version.
func (m *secretsModel) put(c secret.Credentials) {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // four strings
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions = append(m.versions, string(text))
}

// version returns the newest but so many.
func (m *secretsModel) version(back int) (text string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := len(m.versions) - 1 - back; i >= 0 {
		return m.versions[i], true
	}
	return "", false
}

// A secretsClient is Secrets Manager as an environment sees it.
type secretsClient struct {
	w *World
	e *environment
}

func (c secretsClient) GetSecretValue(ctx context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	back := 0
	if aws.ToString(in.VersionStage) == "AWSPREVIOUS" {
		back = 1
	}
	if back == 0 {
		c.e.readsSecret()
	}
	if _, err := c.w.call(ctx, c.e, secrets, "read the secret "+aws.ToString(in.VersionStage)); err != nil {
		return nil, err
	}
	text, ok := c.w.secrets.version(back)
	if !ok {
		return nil, &types.ResourceNotFoundException{}
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: &text}, nil
}

// readsSecret keeps an attacker from setting the pace: after the first readings
// there is one a second while none succeeds, and otherwise one in ten seconds.
func (e *environment) readsSecret() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secretReads++
	if allowed := 3 + int(time.Since(e.born)/time.Second); e.secretReads > allowed {
		e.w.violate("%s has read the secret %d times in %v", e.name, e.secretReads, time.Since(e.born))
	}
}

package secrets

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// get asks the server through the SDK, once.
func get(t *testing.T, s *Server, id, stage string) (string, error) {
	t.Helper()
	input := &secretsmanager.GetSecretValueInput{SecretId: &id}
	if stage != "" {
		input.VersionStage = &stage
	}
	output, err := client(t, s).GetSecretValue(t.Context(), input)
	if err != nil {
		return "", err
	}
	return *output.SecretString, nil
}

func client(t *testing.T, s *Server) *secretsmanager.Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
		}),
	})
}

func want(t *testing.T, s *Server, stage, value string) {
	t.Helper()
	got, err := get(t, s, "VeryfiSecret", stage)
	var missing *types.ResourceNotFoundException
	if value == "" && !errors.As(err, &missing) || value != "" && err != nil || got != value {
		t.Errorf("%s is %q (%v), want %q", stage, got, err, value)
	}
}

func TestPutRotates(t *testing.T) {
	t.Parallel()
	s := New("VeryfiSecret", "one")
	want(t, s, "", "one")
	want(t, s, Previous, "")
	s.Put("two")
	want(t, s, Current, "two")
	want(t, s, Previous, "one")
	s.Remove(Previous)
	want(t, s, Previous, "")
	if s.Calls() != 5 {
		t.Errorf("%d calls, want 5", s.Calls())
	}
}

func TestOtherSecretIsNotFound(t *testing.T) {
	t.Parallel()
	var missing *types.ResourceNotFoundException
	if _, err := get(t, New("VeryfiSecret", "one"), "Other", ""); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
}

// versionOf returns the id of the version with a stage.
func versionOf(t *testing.T, c *secretsmanager.Client, stage string) *string {
	t.Helper()
	out, err := c.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("VeryfiSecret"), VersionStage: &stage})
	if err != nil {
		t.Fatal(err)
	}
	return out.VersionId
}

// TestStageMovesBack is what keeps a client secret when only another value changes.
func TestStageMovesBack(t *testing.T) {
	t.Parallel()
	s := New("VeryfiSecret", "one")
	s.Put("two")
	c, id := client(t, s), aws.String("VeryfiSecret")
	one, two := versionOf(t, c, Previous), versionOf(t, c, Current)
	s.Put("three")
	for _, to := range []*string{aws.String("a version that there is not......"), one} {
		_, err := c.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{SecretId: id, VersionStage: aws.String(Previous), RemoveFromVersionId: two, MoveToVersionId: to})
		if (err == nil) != (to == one) {
			t.Errorf("to %s: %v", *to, err)
		}
	}
	want(t, s, Current, "three")
	want(t, s, Previous, "one")
}

// TestOperatorRotatesAndRevokes makes the calls of `intake secret`.
func TestOperatorRotatesAndRevokes(t *testing.T) {
	t.Parallel()
	s := New("VeryfiSecret", "one")
	c, id := client(t, s), aws.String("VeryfiSecret")
	if _, err := c.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: id, SecretString: aws.String("two")}); err != nil {
		t.Fatal(err)
	}
	want(t, s, Current, "two")
	want(t, s, Previous, "one")
	for _, stage := range []string{Current, Previous} {
		_, err := c.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: id, VersionStage: aws.String(Previous), RemoveFromVersionId: versionOf(t, c, stage),
		})
		if (err == nil) != (stage == Previous) {
			t.Errorf("the stage was taken from the version that is %s: %v", stage, err)
		}
	}
	want(t, s, Previous, "")
	want(t, s, Current, "two")
	if _, err := c.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{}); err == nil {
		t.Error("another call has no error")
	}
}

// Package secrets is AWS Secrets Manager in memory: one secret with its versions and
// their stages, and the calls that are made for it.
package secrets

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"veryfi-intake/local/aws/protocol"
)

// Stages of a secret's versions.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
)

// A Server holds one secret. It is safe for concurrent use.
type Server struct {
	id string

	mu       sync.Mutex
	versions map[string]version // by id; AWS deletes one without a stage some time later
	stages   map[string]string  // ids of versions, by stage
	calls    int
}

type version struct {
	value   string
	created time.Time
}

// New returns a secret that has a current value and, as a new one, no previous one.
func New(id, value string) *Server {
	s := &Server{id: id, versions: map[string]version{}, stages: map[string]string{}}
	s.Put(value)
	return s
}

// Put makes value the current one and the one before it the previous.
func (s *Server) Put(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if current, ok := s.stages[Current]; ok {
		s.stages[Previous] = current
	}
	id := fmt.Sprintf("version-%024d", len(s.versions)+1)
	s.versions[id] = version{value, time.Now()}
	s.stages[Current] = id
}

// Remove takes a stage away from its value, as an operator does with a leaked one.
func (s *Server) Remove(stage string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stages, stage)
}

// Calls returns how often the secret was asked for.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// GetSecretValue is that of [secretsmanager.Client].
func (s *Server) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call(in.SecretId); err != nil {
		return nil, err
	}
	stage := Current
	if in.VersionStage != nil {
		stage = *in.VersionStage
	}
	id, ok := s.stages[stage]
	if !ok {
		return nil, notFound(" value for staging label: " + stage)
	}
	found := s.versions[id]
	return &secretsmanager.GetSecretValueOutput{
		ARN: s.arn(), Name: &s.id, VersionId: &id, SecretString: &found.value, VersionStages: []string{stage}, CreatedDate: &found.created,
	}, nil
}

// PutSecretValue is that of [secretsmanager.Client].
func (s *Server) PutSecretValue(_ context.Context, in *secretsmanager.PutSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error) {
	s.mu.Lock()
	err := s.call(in.SecretId)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s.Put(aws.ToString(in.SecretString))
	return &secretsmanager.PutSecretValueOutput{ARN: s.arn(), Name: &s.id, VersionStages: []string{Current}}, nil
}

// UpdateSecretVersionStage is that of [secretsmanager.Client]: it takes a stage from a
// version and gives it to another, or to none.
func (s *Server) UpdateSecretVersionStage(_ context.Context, in *secretsmanager.UpdateSecretVersionStageInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call(in.SecretId); err != nil {
		return nil, err
	}
	stage, from, to := aws.ToString(in.VersionStage), aws.ToString(in.RemoveFromVersionId), aws.ToString(in.MoveToVersionId)
	if _, known := s.versions[to]; s.stages[stage] != from || to != "" && !known {
		return nil, &types.InvalidParameterException{Message: aws.String("The staging label " + stage + " isn't attached to that version, or there is no version to move it to.")}
	}
	if s.stages[stage] = to; to == "" {
		delete(s.stages, stage)
	}
	return &secretsmanager.UpdateSecretVersionStageOutput{ARN: s.arn(), Name: &s.id}, nil
}

// ServeHTTP makes these calls over HTTP.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	get := protocol.Of(s.GetSecretValue)
	protocol.Operations{
		"GetSecretValue": func(ctx context.Context, body []byte) (any, error) {
			output, err := get(ctx, body)
			if err != nil {
				return nil, err
			}
			found := output.(*secretsmanager.GetSecretValueOutput) //nolint:errcheck // what get returns
			return struct {
				*secretsmanager.GetSecretValueOutput
				CreatedDate float64 // in the protocol's form
			}{found, float64(found.CreatedDate.UnixMilli()) / 1000}, nil
		},
		"PutSecretValue":           protocol.Of(s.PutSecretValue),
		"UpdateSecretVersionStage": protocol.Of(s.UpdateSecretVersionStage),
	}.ServeHTTP(w, r)
}

// call counts a call, which must be for this secret.
func (s *Server) call(id *string) error {
	s.calls++
	if aws.ToString(id) != s.id {
		return notFound(".")
	}
	return nil
}

func (s *Server) arn() *string {
	return aws.String("arn:aws:secretsmanager:us-east-1:000000000000:secret:" + s.id)
}

func notFound(what string) error {
	return &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret" + what)}
}

// Package secrets stands in for AWS Secrets Manager: one secret with its
// current and its previous value, and the one call GetSecretValue.
package secrets

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// Stages of a secret's values.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
)

// A Server answers GetSecretValue for one secret. Its methods may be called by
// any number of goroutines.
type Server struct {
	id string

	mu     sync.Mutex
	values map[string]version // by stage
	down   bool
	calls  int
}

type version struct {
	id, value string
	created   time.Time
}

// New returns a server for a secret that has a current value and, as every new
// secret, no previous one.
func New(id, value string) *Server {
	s := &Server{id: id, values: map[string]version{}}
	s.Put(value)
	return s
}

// Put makes value the current one and the one before it the previous.
func (s *Server) Put(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if current, ok := s.values[Current]; ok {
		s.values[Previous] = current
	}
	now := time.Now()
	s.values[Current] = version{id: now.Format("20060102-150405.000000000-version"), value: value, created: now}
}

// Remove takes a stage away from its value, as an operator does with a leaked
// previous secret.
func (s *Server) Remove(stage string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, stage)
}

// SetDown makes every call fail, or work again.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Calls returns how often the secret was asked for.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// ServeHTTP speaks JSON 1.1 as Secrets Manager does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if target := r.Header.Get("X-Amz-Target"); target != "secretsmanager.GetSecretValue" {
		fail(w, http.StatusBadRequest, "UnknownOperationException", "the stand-in knows GetSecretValue only, not "+target)
		return
	}
	var input struct {
		SecretID     string `json:"SecretId"`
		VersionStage string
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&input); err != nil {
		fail(w, http.StatusBadRequest, "SerializationException", err.Error())
		return
	}
	if input.VersionStage == "" {
		input.VersionStage = Current
	}
	s.mu.Lock()
	s.calls++
	down := s.down
	version, ok := s.values[input.VersionStage]
	s.mu.Unlock()
	switch {
	case down:
		fail(w, http.StatusInternalServerError, "InternalServiceError", "the stand-in was told to be down")
	case input.SecretID != s.id:
		fail(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	case !ok:
		fail(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: "+input.VersionStage)
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{
			"ARN":           "arn:aws:secretsmanager:us-east-1:000000000000:secret:" + s.id,
			"Name":          s.id,
			"VersionId":     version.id,
			"SecretString":  version.value,
			"VersionStages": []string{input.VersionStage},
			"CreatedDate":   float64(version.created.UnixMilli()) / 1000,
		})
	}
}

func fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "Message": message})
}

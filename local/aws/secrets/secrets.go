// Package secrets stands in for AWS Secrets Manager: one secret with its
// current and its previous value, and the calls that are made for it.
package secrets

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Stages of a secret's values.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
)

// A Server answers GetSecretValue, PutSecretValue and UpdateSecretVersionStage for
// one secret. Its methods may be called by any number of
// goroutines.
type Server struct {
	id string

	mu       sync.Mutex
	versions map[string]version // by id; AWS deletes one without a stage some time later
	stages   map[string]string  // ids of versions, by stage
	down     bool
	calls    int
}

type version struct {
	value   string
	created time.Time
}

// New returns a server for a secret that has a current value and, as every new
// secret, no previous one.
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
	now := time.Now()
	id := now.Format("20060102-150405.000000000-version")
	s.versions[id] = version{value, now}
	s.stages[Current] = id
}

// Remove takes a stage away from its value, as an operator does with a leaked
// previous secret.
func (s *Server) Remove(stage string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stages, stage)
}

// move takes a stage from a version and gives it to another, or to none. It reports
// whether both are there, and the stage where it was said to be.
func (s *Server) move(stage, from, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.versions[to]; s.stages[stage] != from || to != "" && !known {
		return false
	}
	if s.stages[stage] = to; to == "" {
		delete(s.stages, stage)
	}
	return true
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
	var input struct {
		SecretID            string `json:"SecretId"`
		VersionStage        string
		SecretString        string
		RemoveFromVersionID string `json:"RemoveFromVersionId"`
		MoveToVersionID     string `json:"MoveToVersionId"`
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
	id, ok := s.stages[input.VersionStage]
	version := s.versions[id]
	s.mu.Unlock()
	answer := map[string]any{"ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:" + s.id, "Name": s.id}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	switch {
	case down:
		fail(w, http.StatusInternalServerError, "InternalServiceError", "the stand-in was told to be down")
		return
	case input.SecretID != s.id:
		fail(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		return
	case operation == "GetSecretValue" && !ok:
		fail(w, http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: "+input.VersionStage)
		return
	case operation == "GetSecretValue":
		answer["VersionId"], answer["SecretString"] = id, version.value
		answer["VersionStages"] = []string{input.VersionStage}
		answer["CreatedDate"] = float64(version.created.UnixMilli()) / 1000
	case operation == "PutSecretValue":
		s.Put(input.SecretString)
		answer["VersionStages"] = []string{Current}
	case operation == "UpdateSecretVersionStage":
		if !s.move(input.VersionStage, input.RemoveFromVersionID, input.MoveToVersionID) {
			fail(w, http.StatusBadRequest, "InvalidParameterException", "The staging label "+input.VersionStage+" isn't attached to that version, or there is no version to move it to.")
			return
		}
	default:
		fail(w, http.StatusBadRequest, "UnknownOperationException", "the stand-in does not know "+operation)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "Message": message})
}

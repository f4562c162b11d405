package lambda

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// An API answers Lambda's calls Invoke and ListEventSourceMappings.
type API struct {
	Functions map[string]*Function // by name
	// Mapping returns the one event source mapping, as Lambda describes it.
	Mapping func() map[string]any
}

// ServeHTTP answers one call. An invocation's answer is the function's response.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(r.URL.Path, "/2015-03-31/event-source-mappings") && r.Method == http.MethodGet {
		_ = json.NewEncoder(w).Encode(map[string]any{"EventSourceMappings": []map[string]any{a.Mapping()}})
		return
	}
	name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/2015-03-31/functions/"), "/invocations")
	function := a.Functions[name]
	if !ok || function == nil {
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]string{"Message": "Function not found: " + name})
		return
	}
	event, err := io.ReadAll(io.LimitReader(r.Body, MaxPayload+1))
	if err != nil {
		return // the client is gone
	}
	response, err := function.Invoke(r.Context(), event)
	var failed *Error
	switch {
	case errors.As(err, &failed):
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		_ = json.NewEncoder(w).Encode(map[string]string{"errorType": failed.Type, "errorMessage": failed.Message})
	case err != nil:
		w.Header().Set("X-Amzn-Errortype", "ServiceException")
		w.WriteHeader(http.StatusInternalServerError)
	default:
		_, _ = w.Write(response)
	}
}

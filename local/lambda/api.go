package lambda

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// An API answers Lambda's call Invoke, for functions by their names.
type API map[string]*Function

// ServeHTTP invokes a function and waits for its response.
func (a API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/2015-03-31/functions/"), "/invocations")
	function := a[name]
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

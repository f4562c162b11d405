package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// A response is what a function answers in payload format 2.0.
type response struct {
	StatusCode      *int              `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Cookies         []string          `json:"cookies"`
}

// writeResponse writes the function's response. One without a statusCode is a
// body with status 200; one that makes no sense is a 500.
func writeResponse(w http.ResponseWriter, payload []byte) {
	body := bytes.TrimSpace(payload)
	if !hasStatusCode(body) {
		var text string
		if json.Unmarshal(body, &text) == nil {
			body = []byte(text)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
		return
	}
	var r response
	if json.Unmarshal(body, &r) != nil || r.StatusCode == nil || *r.StatusCode < 100 || *r.StatusCode > 599 {
		refuse(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	body = []byte(r.Body)
	if r.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(r.Body)
		if err != nil {
			refuse(w, http.StatusInternalServerError, "Internal Server Error")
			return
		}
		body = decoded
	}
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	for name, value := range r.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range r.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(*r.StatusCode)
	w.Write(body)
}

func hasStatusCode(payload []byte) bool {
	var object map[string]json.RawMessage
	if json.Unmarshal(payload, &object) != nil {
		return false
	}
	_, ok := object["statusCode"]
	return ok
}

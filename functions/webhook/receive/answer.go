package receive

import (
	"net/http"

	"github.com/aws/aws-lambda-go/events"
)

// An answer is what a request gets: a status and one word about it.
type answer struct {
	status int
	body   string
}

var (
	alive            = answer{http.StatusOK, `{"status":"ok"}`}
	accepted         = answer{http.StatusOK, `{"status":"accepted"}`}
	badRequest       = answer{http.StatusBadRequest, `{"error":"the body is not a JSON object"}`}
	unauthorized     = answer{http.StatusUnauthorized, `{"error":"the signature is missing or wrong"}`}
	methodNotAllowed = answer{http.StatusMethodNotAllowed, `{"error":"use POST"}`}
	tooLarge         = answer{http.StatusRequestEntityTooLarge, `{"error":"the body is too large"}`}
	unavailable      = answer{http.StatusServiceUnavailable, `{"error":"try again later"}`}
)

func (a answer) response() events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{
		StatusCode: a.status,
		Headers:    map[string]string{"content-type": "application/json"},
		Body:       a.body,
	}
}

// Package protocol answers AWS's JSON protocol, which SQS, DynamoDB and Secrets Manager
// speak, with methods that have the signatures of the SDK's clients.
package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
)

// maxBody is more than any service takes, in bytes.
const maxBody = 16 << 20

// An Operation answers the body of a request.
type Operation func(ctx context.Context, body []byte) (output any, err error)

// Of makes an operation of a client's method. The SDK names the members of inputs and
// outputs as the protocol does. An output with times or attribute values needs an
// operation of its own: the protocol writes them in another way than [encoding/json].
func Of[Input, Output, Options any](method func(context.Context, *Input, ...func(*Options)) (*Output, error)) Operation {
	return func(ctx context.Context, body []byte) (any, error) {
		var input Input
		if err := json.Unmarshal(body, &input); err != nil {
			return nil, &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()}
		}
		return method(ctx, &input)
	}
}

// Operations are those of one service, by name.
type Operations map[string]Operation

// ServeHTTP answers the operation that X-Amz-Target names.
func (o Operations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the client has gone
	}
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	operation, ok := o[name]
	if !ok {
		fail(w, &smithy.GenericAPIError{Code: "UnknownOperationException", Message: "the stand-in does not know " + name})
		return
	}
	output, err := operation(r.Context(), body)
	if err != nil {
		fail(w, err)
		return
	}
	_ = json.NewEncoder(w).Encode(output)
}

// fail answers 500 to an error that is the service's fault, and 400 to all others.
func fail(w http.ResponseWriter, err error) {
	status, code, message := http.StatusBadRequest, "InternalFailure", err.Error()
	if known, ok := errors.AsType[smithy.APIError](err); ok {
		code, message = known.ErrorCode(), known.ErrorMessage()
		if known.ErrorFault() == smithy.FaultServer {
			status = http.StatusInternalServerError
		}
	}
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "Message": message})
}

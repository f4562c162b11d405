package deployment

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
)

func TestStackThatIsNotThereSaysWhy(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"REVIEW_IN_PROGRESS": "never deployed", "CREATE_IN_PROGRESS": "wait until", "DELETE_IN_PROGRESS": "wait until",
		"ROLLBACK_COMPLETE": "delete-stack --stack-name s", "UPDATE_COMPLETE": "another version",
	} {
		if err := (&Stack{Options: Options{Name: "s"}, Status: status}).lacks("TableName"); !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", status, err)
		}
	}
}

func TestErrorsOfAWSSayWhatToDo(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"Use a --profile":     &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "User x is not authorized"},
		"sign in again":       &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "expired"},
		"something else":      errors.New("something else"),
		"mistyped or deleted": &smithy.GenericAPIError{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid."},
		"clock right":         &smithy.GenericAPIError{Code: "RequestExpired", Message: "Request has expired."},
		"aws sso login":       errors.New("failed to refresh cached credentials, refresh cached SSO token failed"),
		"does not answer":     &smithy.OperationError{ServiceID: "SQS", OperationName: "ReceiveMessage", Err: errors.New("net/http: timeout awaiting response headers")},
		"cannot reach AWS":    &smithy.OperationError{ServiceID: "SQS", OperationName: "ReceiveMessage", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}},
		"dial: refused":       &net.OpError{Op: "dial", Err: errors.New("refused")},
	} {
		if got := Explain(err); !strings.Contains(got.Error(), want) {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

func TestTimesAreForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 seconds", 90 * time.Second: "90 seconds", 10 * time.Minute: "10 minutes", 5 * time.Hour: "5 hours", 72 * time.Hour: "3 days",
	} {
		if got := ForPeople(d); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
}

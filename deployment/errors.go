package deployment

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
)

// Explain says of an error of AWS what to do about it, and returns other errors as they
// are.
func Explain(err error) error {
	if profile, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return fmt.Errorf("there is no profile %s: `aws configure list-profiles` shows those there are", profile.Profile)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch code := api.ErrorCode(); {
		case IsDenied(err):
			return fmt.Errorf("AWS does not let you do this: %s. Use a --profile that may", api.ErrorMessage())
		case strings.HasPrefix(code, "ExpiredToken"):
			return errors.New("your AWS session has ended: sign in again, as with `aws sso login`")
		case slices.Contains([]string{"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"}, code):
			return errors.New("AWS does not know these credentials: they were mistyped or deleted. `aws configure` sets others, --profile chooses")
		case code == "RequestExpired":
			return errors.New("AWS says that the request is too old: sign in again, or set this machine's clock right")
		}
	}
	if call, ok := errors.AsType[*smithy.OperationError](err); ok { // of AWS, not of Veryfi
		if unreached, ok := errors.AsType[*net.OpError](err); ok {
			return fmt.Errorf("cannot reach AWS: see the network, --region and AWS_ENDPOINT_URL (%w)", unreached)
		}
		if strings.Contains(err.Error(), "timeout awaiting response headers") {
			return fmt.Errorf("AWS does not answer within %v (%s): see the network, --region and AWS_ENDPOINT_URL", answerTime, call.Service())
		}
	}
	for _, known := range []struct{ part, says string }{ // that have no type
		{"failed to resolve service endpoint", "AWS_ENDPOINT_URL is not an address such as http://127.0.0.1:8081"},
		{"SSO token", "your AWS session has ended: sign in again with `aws sso login`"},
		{"SSO session", "your AWS session has ended: sign in again with `aws sso login`"},
		{"failed to refresh cached credentials", "no AWS credentials are found: set a profile up with `aws configure`, and name it with --profile or AWS_PROFILE"},
		{"no EC2 IMDS role found", "no AWS credentials are found: set a profile up with `aws configure`, and name it with --profile or AWS_PROFILE"},
	} {
		if strings.Contains(err.Error(), known.part) {
			return errors.New(known.says)
		}
	}
	return err
}

// IsDenied reports whether AWS has refused a call for want of a permission.
func IsDenied(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && (strings.HasPrefix(api.ErrorCode(), "AccessDenied") || strings.HasPrefix(api.ErrorCode(), "UnauthorizedOperation"))
}

package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
)

// ownKey is the section of the docs that has the statements.
const ownKey = `docs/operate.md, "Your own key"`

// key looks whether the policy of the user's own key names the services that use it by
// themselves. It belongs to the key, so that the stack cannot write it; with AWS's own
// keys there is nothing to look at.
func (d doctor) key() ([]finding, error) {
	key := d.parameters["KmsKeyArn"]
	if key == "" {
		return nil, nil
	}
	out, err := kms.NewFromConfig(d.aws).GetKeyPolicy(d, &kms.GetKeyPolicyInput{KeyId: &key})
	if api, ok := errors.AsType[smithy.APIError](err); ok && isDenied(api.ErrorCode()) {
		return fine("you may not read the policy of %s: have somebody who may compare `aws kms get-key-policy --key-id %s` with %s", key, key, ownKey), nil
	}
	if err != nil {
		return nil, err
	}
	var found []finding
	for _, user := range []struct{ service, without string }{
		{"cloudwatch.amazonaws.com", "alarms reach nobody"},
		{"logs." + d.aws.Region + ".amazonaws.com", "nothing is logged"},
	} {
		if !names(aws.ToString(out.Policy), user.service) {
			found = append(found, wrong("the policy of %s does not name %s, and without that %s: add the statement that %s has", key, user.service, user.without, ownKey)...)
		}
	}
	if found == nil {
		return fine("its policy names alarms and logs"), nil
	}
	return found, nil
}

// names reports whether a key's policy allows a service anything. What exactly, and on
// which conditions, is the owner's to say.
func names(policy, service string) bool {
	var document struct {
		Statement oneOrMore[struct {
			Effect    string
			Principal json.RawMessage // an object, or "*"
		}]
	}
	if json.Unmarshal([]byte(policy), &document) != nil {
		return false
	}
	for _, statement := range document.Statement {
		var principal struct{ Service oneOrMore[string] }
		_ = json.Unmarshal(statement.Principal, &principal)
		if strings.EqualFold(statement.Effect, "Allow") && slices.Contains(principal.Service, service) {
			return true
		}
	}
	return false
}

// A oneOrMore is what IAM writes as a list, or without one as a single element.
type oneOrMore[T any] []T

// UnmarshalJSON reads either.
func (o *oneOrMore[T]) UnmarshalJSON(text []byte) error {
	if strings.HasPrefix(string(text), "[") {
		return json.Unmarshal(text, (*[]T)(o))
	}
	*o = make([]T, 1)
	return json.Unmarshal(text, &(*o)[0])
}

package main

import (
	"fmt"
	"strings"

	"veryfi-intake/local/stack"
	"veryfi-intake/shared/secret"
)

// realCredentials returns those of the environment; ok is false when none is
// set. Only some of them is an error.
func realCredentials(getenv func(string) string) (credentials secret.Credentials, ok bool, err error) {
	credentials, missing := stack.CredentialsFrom(getenv)
	switch {
	case credentials == secret.Credentials{}:
		return credentials, false, nil
	case len(missing) > 0:
		return credentials, false, fmt.Errorf("set %s too, or none of VERYFI_*: the real Veryfi needs all of them, the sample none", strings.Join(missing, " and "))
	}
	return credentials, true, nil
}

// mask shows the end of a secret only.
func mask(secret string) string {
	const shown = 4
	if len(secret) <= 2*shown {
		return "****"
	}
	return "****" + secret[len(secret)-shown:]
}

package stack

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"veryfi-intake/shared/secret"
)

// SampleCredentials returns the made-up ones of local/env.json, which `sam
// local` uses too.
func SampleCredentials(root string) (secret.Credentials, error) {
	path := filepath.Join(root, "local", "env.json")
	var functions map[string]map[string]string
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &functions)
	}
	if err != nil {
		return secret.Credentials{}, fmt.Errorf("read the sample credentials in %s: %w", path, err)
	}
	credentials, ok, err := CredentialsFrom(func(name string) string { return functions[processorFunction][name] })
	if !ok {
		return credentials, fmt.Errorf("%s has no sample credentials for %s: %w", path, processorFunction, cmp.Or(err, errors.New("none is set")))
	}
	return credentials, nil
}

// CredentialsFrom returns what VERYFI_* say; ok is false when none is set. It is an error
// when some are set and others missing. Newer API keys, which begin with vrfk_, need no
// user name.
func CredentialsFrom(getenv func(string) string) (credentials secret.Credentials, ok bool, err error) {
	var missing []string
	get := func(name string, optional bool) string {
		value := getenv(name)
		if value == "" && !optional {
			missing = append(missing, name)
		}
		return value
	}
	credentials.ClientID = get("VERYFI_CLIENT_ID", false)
	credentials.ClientSecret = get("VERYFI_CLIENT_SECRET", false)
	credentials.APIKey = get("VERYFI_API_KEY", false)
	credentials.Username = get("VERYFI_USERNAME", credentials.IsBearer())
	switch {
	case credentials == secret.Credentials{}:
		return credentials, false, nil
	case len(missing) > 0:
		return credentials, false, fmt.Errorf("set %s too, or none of VERYFI_*: the real Veryfi needs all of them, the sample none", strings.Join(missing, " and "))
	}
	return credentials, true, nil
}

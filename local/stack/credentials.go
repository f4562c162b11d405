package stack

import (
	"encoding/json"
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
	text, err := os.ReadFile(path)
	if err != nil {
		return secret.Credentials{}, fmt.Errorf("read the sample credentials: %w", err)
	}
	var functions map[string]map[string]string
	if err := json.Unmarshal(text, &functions); err != nil {
		return secret.Credentials{}, fmt.Errorf("read the sample credentials in %s: %w", path, err)
	}
	variables := functions["ProcessorFunction"]
	credentials, missing := CredentialsFrom(func(name string) string { return variables[name] })
	if len(missing) > 0 {
		return secret.Credentials{}, fmt.Errorf("%s has no %s for ProcessorFunction", path, strings.Join(missing, ", "))
	}
	return credentials, nil
}

// CredentialsFrom reads VERYFI_* and names those that are not set. Newer API
// keys, which begin with vrfk_, need no user name.
func CredentialsFrom(getenv func(string) string) (credentials secret.Credentials, missing []string) {
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
	return credentials, missing
}

// Package intake holds template.yaml, for programs that run where the file is not.
package intake

import _ "embed"

// Template is template.yaml of this version.
//
//go:embed template.yaml
var Template []byte

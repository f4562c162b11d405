package template

import (
	"fmt"
	"maps"
	"slices"
)

// An Artifact is what a function is deployed as.
type Artifact struct {
	Function     string // the logical id
	CodeURI      string // a folder, from the template's own
	Architecture string // arm64 or x86_64
}

// Artifacts returns what all functions are deployed as, sorted by function.
func (t *Template) Artifacts() ([]Artifact, error) {
	var artifacts []Artifact
	for _, id := range slices.Sorted(maps.Keys(t.resources)) {
		if t.resources[id].Type != functionType {
			continue
		}
		var properties struct {
			CodeURI       string `json:"CodeUri"`
			Architectures []string
		}
		if err := t.properties(id, functionType, t.Names(), &properties, "CodeUri", "Architectures"); err != nil {
			return nil, err
		}
		if properties.Architectures == nil {
			properties.Architectures = []string{"x86_64"} // as SAM has it
		}
		if len(properties.Architectures) != 1 {
			return nil, fmt.Errorf("%s: a function has one architecture, not %d", id, len(properties.Architectures))
		}
		artifacts = append(artifacts, Artifact{id, properties.CodeURI, properties.Architectures[0]})
	}
	return artifacts, nil
}

package template

import (
	"slices"
	"testing"
)

// What `sam build` writes: every reference in its long form, every CodeUri a
// folder beside the template.
const builtSample = `
Parameters:
  Architecture: {Type: String, Default: arm64}
Globals:
  Function:
    CodeUri: .
    Architectures: [Ref: Architecture]
Resources:
  Processor:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ProcessorFolder}
  Fixed:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: FixedFolder, Architectures: [x86_64]}
  Table:
    Type: AWS::DynamoDB::Table
`

func TestArtifactsOfABuiltTemplate(t *testing.T) {
	for given, want := range map[string]string{"": "arm64", "x86_64": "x86_64"} {
		values := map[string]string{}
		if given != "" {
			values["Architecture"] = given
		}
		template, err := Parse([]byte(builtSample), values)
		if err != nil {
			t.Fatal(err)
		}
		got, err := template.Artifacts()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, []Artifact{{"Fixed", "FixedFolder", "x86_64"}, {"Processor", "ProcessorFolder", want}}) {
			t.Errorf("given %q: %v", given, got)
		}
	}
}

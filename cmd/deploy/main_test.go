package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func templateFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "template.yaml")
	const text = `
Parameters:
  Architecture: {Type: String, Default: arm64}
  Schedule: {Type: String, Default: rate(1 hour)}
  Days: {Type: Number, Default: 30}
  Email: {Type: String, Default: ""}
  MoreKinds: {Type: String, Default: ""}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValuesAreQuotedAsSAMReadsThem(t *testing.T) {
	t.Parallel()
	path := templateFile(t)
	for text, want := range map[string][]string{
		"":                                 nil,
		"Days=90":                          {`Days="90"`},
		"Email=":                           {`Email=""`},
		`Email="" Days=90`:                 {`Email=""`, `Days="90"`},
		"Schedule=rate(2 hours)":           {`Schedule="rate(2 hours)"`},
		"Schedule=rate(2 hours) Days=90":   {`Schedule="rate(2 hours)"`, `Days="90"`},
		`Schedule="rate(2  hours)" Days=1`: {`Schedule="rate(2  hours)"`, `Days="1"`},
		`'Schedule=a b=c'`:                 {`Schedule="a b=c"`},
		`Schedule="a Days=1" `:             {`Schedule="a Days=1"`},
		`Email='"'"'"`:                     {`Email="\"'"`},
		`Email=a\b$x;#*`:                   {`Email="a\b$x;#*"`},
	} {
		got, err := overrides(path, text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

func TestWhatWouldNotArriveIsRefused(t *testing.T) {
	t.Parallel()
	path := templateFile(t)
	for text, want := range map[string]string{
		"Architecture=x86_64":                "the architecture is set with ARCH=",
		"Days=90 Architecture=":              "the architecture is set with ARCH=",
		`"Architecture=x86_64"`:              "the architecture is set with ARCH=",
		"ParameterKey=Days,ParameterValue=1": "there is no parameter ParameterKey",
		"Dais=90":                            "there is no parameter Dais",
		"file://values.toml":                 `"file://values.toml" is not NAME=VALUE`,
		"90 Days=1":                          `"90" is not NAME=VALUE`,
		`Schedule="rate(1 hour)`:             `a quote (") is not closed`,
		`Email=don't`:                        "a quote (') is not closed",
		`Email=a\`:                           "SAM CLI cannot pass a backslash",
		`Email='a\"b'`:                       "SAM CLI cannot pass a backslash",
		`Email='a\ b'`:                       "SAM CLI cannot pass a backslash",
		"--no-confirm-changeset Days=90":     "is not NAME=VALUE",
		"=90":                                "is not NAME=VALUE",
		"MoreKinds=document=receipts":        "it is retrieved from documents",
		"MoreKinds=a=b, c=d":                 "there is no parameter c",
		"MoreKinds=a=b,c":                    "MORE_KINDS must be pairs",
	} {
		_, err := overrides(path, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

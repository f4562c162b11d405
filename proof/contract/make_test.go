package contract_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestToolsInPythonAreWhatTheyWere reads what pip installs: in this mode it takes no
// file with another hash.
func TestToolsInPythonAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	if installs := regexp.MustCompile(`(?m)^.* pip install .*$`).FindAllString(read(t, "Makefile"), -1); len(installs) != 1 || !strings.Contains(installs[0], " --require-hashes ") {
		t.Errorf("the Makefile installs with %q", installs)
	}
	pinned := regexp.MustCompile(`(?m)^[\w.-]+==.*`).FindAllString(read(t, "local/requirements.txt"), -1)
	if len(pinned) == 0 {
		t.Error("nothing is pinned")
	}
	for _, line := range pinned {
		if !strings.HasSuffix(line, ` \`) {
			t.Errorf("%s has no hash", line)
		}
	}
}

// TestCIRunsWhatEverybodyRuns leaves permissions and pinned actions to zizmor.
func TestCIRunsWhatEverybodyRuns(t *testing.T) {
	t.Parallel()
	for path, lines := range map[string][]string{".github/workflows/test.yml": {"- run: make lint test\n", "timeout-minutes: 60\n"}, ".ci/run": {"make lint test\n"}} {
		for _, line := range lines {
			if !strings.Contains(read(t, path), line) {
				t.Errorf("%s has no %q", path, line)
			}
		}
	}
	if lint := regexp.MustCompile(`(?ms)^lint:.*?\n\n`).FindString(read(t, "Makefile")); !strings.Contains(lint, "$(zizmor) --offline") || !strings.Contains(lint, "--pedantic .github/workflows") {
		t.Errorf("make lint does not check workflows:\n%s", lint)
	}
}

// makeWith runs make with a `go` that builds no function, and a `sam` that builds with
// the Makefile and writes the arguments of a deployment into arguments.
func makeWith(t *testing.T, arguments string, variables ...string) (output string, err error) {
	t.Helper()
	goCommand, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir()
	for name, script := range map[string]string{
		"go":  `case "$*" in *-trimpath*) echo "built for $GOARCH";; *) exec '` + goCommand + `' "$@";; esac`,
		"sam": `case $1 in build) mkdir -p "$3/WebhookFunction" && make build-WebhookFunction ARTIFACTS_DIR="$3/WebhookFunction";; deploy) printf '%s\0' "$@" >'` + arguments + `';; esac`,
	} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "make", append([]string{"sam=" + programs + "/sam", "venv=Makefile"}, variables...)...)
	command.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "MAKEFLAGS=", "MAKELEVEL=", "ARCH=arm64", "PARAMETERS=")
	text, err := command.CombinedOutput()
	return string(text), err
}

// A samDeploy is `sam deploy` with arguments in a folder, and what SAM reads.
type samDeploy struct {
	Folder    string            `json:"folder"`
	Arguments []string          `json:"arguments"`
	Values    map[string]string `json:"values"`
}

// readBySAM fills in the values; a deployment that SAM refuses has none.
func readBySAM(t *testing.T, deployments []samDeploy) []samDeploy {
	t.Helper()
	python := absolute(t, ".tools/venv/bin/python")
	if !exists(python) {
		t.Skip("SAM CLI is not there: `make validate` installs it")
	}
	const script = `
import json, os, sys
from click import BadParameter
from samcli.commands.deploy.command import cli
deployments = json.load(sys.stdin)
for d in deployments:
    os.chdir(d["folder"])
    try:
        d["values"] = cli.make_context("deploy", list(d["arguments"])).params["parameter_overrides"]
    except BadParameter:
        pass
json.dump(deployments, sys.stdout)
`
	input, err := json.Marshal(deployments)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), python, "-c", script)
	command.Env = append(os.Environ(), "SAM_CLI_TELEMETRY=0")
	command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var read []samDeploy
	if err := json.Unmarshal(output, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func TestMakeDeployPassesOnWhatIsMeant(t *testing.T) {
	t.Parallel()
	var deployments []samDeploy
	var wants []map[string]string
	for variables, want := range map[string]map[string]string{
		"ENV=default": {"Architecture": "arm64"},
		"ENV=prod\nARCH=x86_64\nPARAMETERS=LogRetentionDays=90":                             {"Architecture": "x86_64", "LogRetentionDays": "90"},
		"PARAMETERS=MoreKinds=parse=parse":                                                  {"Architecture": "arm64", "MoreKinds": "parse=parse"},
		"PARAMETERS=MoreKinds=parse=parse,contract=contracts ReconcileKinds=document,check": {"Architecture": "arm64", "MoreKinds": "parse=parse,contract=contracts", "ReconcileKinds": "document,check"},
		"PARAMETERS=MoreKinds=":                                                             {"Architecture": "arm64", "MoreKinds": ""},
		"PARAMETERS=ReconcileSchedule=rate(2 hours)":                                        {"Architecture": "arm64", "ReconcileSchedule": "rate(2 hours)"},
		`PARAMETERS=ReconcileSchedule="cron(0 8 ? * 2-6 *)" AlarmEmail=`:                    {"Architecture": "arm64", "ReconcileSchedule": "cron(0 8 ? * 2-6 *)", "AlarmEmail": ""},
		"PARAMETERS=AlarmEmail=a'b'@example.com SilenceAlarmHours=6":                        {"Architecture": "arm64", "AlarmEmail": "ab@example.com", "SilenceAlarmHours": "6"},
		`PARAMETERS=AlarmEmail='$x$(y)` + "`z`" + `"\b;&|#*' VeryfiBaseUrl=`:                {"Architecture": "arm64", "AlarmEmail": "$x$(y)`z`\"\\b;&|#*", "VeryfiBaseUrl": ""},
		`PARAMETERS=AlarmEmail="it's \b" VeryfiBaseUrl=https://x.example/?a=b`:              {"Architecture": "arm64", "AlarmEmail": `it's \b`, "VeryfiBaseUrl": "https://x.example/?a=b"},
	} {
		folder := t.TempDir()
		arguments := filepath.Join(folder, "arguments")
		output, err := makeWith(t, arguments, append(strings.Split(variables, "\n"), "build-dir="+folder+"/build", "deploy")...)
		if err != nil {
			t.Errorf("%s: %v\n%s", variables, err, output)
			continue
		}
		text, err := os.ReadFile(arguments)
		if err != nil {
			t.Fatal(err)
		}
		deployments = append(deployments, samDeploy{Folder: absolute(t, "."), Arguments: strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")[1:]})
		wants = append(wants, want)
	}
	for i, d := range readBySAM(t, deployments) {
		if diff := cmp.Diff(wants[i], d.Values); diff != "" {
			t.Errorf("%q (-want +got):\n%s", d.Arguments, diff)
		}
	}
}

func TestMakeDeployRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"PARAMETERS=Architecture=x86_64":              "set with ARCH=x86_64",
		"PARAMETERS=AlarmEmail= Architecture=\"arm64": "not closed",
		"PARAMETERS=LogRetention=90":                  "there is no parameter LogRetention",
		"PARAMETERS=MoreKinds=a=b c=d":                "there is no parameter c",
		"PARAMETERS=MoreKinds=a=b, c=d":               "there is no parameter c",
		"ARCH=amd64":                                  "it can be arm64 or x86_64",
	} {
		folder := t.TempDir()
		arguments := filepath.Join(folder, "arguments")
		output, err := makeWith(t, arguments, variable, "build-dir="+folder+"/build", "deploy")
		if err == nil || !strings.Contains(output, want) || exists(arguments) {
			t.Errorf("%s: %v\n%s", variable, err, output)
		}
	}
}

// With SAM CLI alone: `sam build && sam deploy`, in each environment.
func TestWhatWasBuiltIsDeployed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"samconfig.toml", "template.yaml"} {
		if err := os.Symlink(absolute(t, name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	var deployments []samDeploy
	for _, environment := range []string{"default", "sandbox", "prod"} {
		deployments = append(deployments, samDeploy{Folder: folder, Arguments: []string{"--config-env", environment}})
	}
	for _, d := range readBySAM(t, deployments) {
		if d.Values != nil {
			t.Errorf("%q deploys %v with no build", d.Arguments, d.Values)
		}
	}
	for architecture, built := range map[string]string{"arm64": "built for arm64\n", "x86_64": "built for amd64\n"} {
		artifacts := filepath.Join(folder, ".aws-sam", "build", "WebhookFunction")
		if err := os.MkdirAll(artifacts, 0o755); err != nil {
			t.Fatal(err)
		}
		output, err := makeWith(t, "", "-s", "build-WebhookFunction", "ARCH="+architecture, "ARTIFACTS_DIR="+artifacts)
		if err != nil || output != built {
			t.Fatalf("%v: %s", err, output)
		}
		for _, d := range readBySAM(t, deployments) {
			if diff := cmp.Diff(map[string]string{"Architecture": architecture}, d.Values); diff != "" {
				t.Errorf("%q (-want +got):\n%s", d.Arguments, diff)
			}
		}
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"veryfi-intake/local/stack"
)

func TestLocalStackHasItsName(t *testing.T) {
	t.Parallel()
	if localName != stack.Name {
		t.Errorf("the local stack is named %s", stack.Name)
	}
}

// said is a command as README, the docs, the template and this command's own texts
// write it: in backticks, or on a line of its own.
var said = regexp.MustCompile("`intake ([a-z][^`]*)`|(?m)^\\s*intake ([a-z-][^\\n]*)$")

// anID stands for an id: of a reader, or in a text of this command.
var anID = regexp.MustCompile(`%[ds]|\bID\b`)

// TestEveryCommandThatIsSaidExists parses what people are told to type.
func TestEveryCommandThatIsSaidExists(t *testing.T) {
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	paths = append(append(paths, "../../README.md", "../../template.yaml"), sources(t)...)
	commandsSaid := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		joined := string(text)
		if strings.HasSuffix(path, ".yaml") { // folded lines
			joined = regexp.MustCompile(`\n +`).ReplaceAllString(joined, " ")
		}
		for _, match := range said.FindAllStringSubmatch(joined, -1) {
			line, _, _ := strings.Cut(match[1]+match[2], " #") // check#5 is a key
			line = anID.ReplaceAllString(line, "7")
			commandsSaid++
			if err := parses(t, words(line)); err != nil {
				t.Errorf("%s: intake %s: %v", path, line, err)
			}
		}
	}
	if commandsSaid < 40 {
		t.Errorf("%d commands were found", commandsSaid)
	}
	if parses(t, []string{"redrive", "--everything"}) == nil {
		t.Error("a flag that does not exist was not noticed")
	}
}

// sources returns the files that this command is made of, down to what the functions
// have, too.
func sources(t *testing.T) (paths []string) {
	t.Helper()
	for _, folder := range []string{".", "../../deployment", "../../deployment/doctor"} {
		found, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(found) == 0 {
			t.Fatal(folder, err)
		}
		paths = append(paths, found...)
	}
	return slices.DeleteFunc(paths, func(path string) bool { return strings.HasSuffix(path, "_test.go") })
}

func parses(t *testing.T, arguments []string) error {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, kong.Name("intake"), kong.Vars{"kinds": ""}, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(arguments)
	return err
}

// words splits a line as a shell does, as far as the lines here go.
func words(line string) []string {
	var found []string
	for _, match := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		found = append(found, match[1]+match[2])
	}
	return slices.DeleteFunc(found, func(word string) bool { return word == "" })
}

// TestActionsThatAreNeededAreSaid compares what this command calls, and the packages it
// has do so, with the table of actions in docs/operate.md.
func TestActionsThatAreNeededAreSaid(t *testing.T) {
	t.Parallel()
	called := map[string]bool{"secretsmanager:GetSecretValue": true, "dynamodb:GetItem": true, "dynamodb:BatchGetItem": true, "dynamodb:Query": true} // by shared/secret and shared/store
	// IAM names some calls otherwise.
	action := map[string]string{
		"sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility", "lambda:Invoke": "lambda:InvokeFunction", "cloudwatchlogs:FilterLogEvents": "logs:FilterLogEvents",
	}
	input := regexp.MustCompile(`&([a-z]+)\.(\w+)Input\{`)
	for _, path := range sources(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range input.FindAllStringSubmatch(string(text), -1) {
			name := match[1] + ":" + match[2]
			if known, ok := action[name]; ok {
				name = known
			}
			called[name] = true
		}
	}
	docs, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(docs), "## What the operator may do")
	said := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		service := ""
		for _, match := range regexp.MustCompile("`(?:([a-z]+):)?([A-Z]\\w+)`").FindAllStringSubmatch(cells[2], -1) {
			if match[1] != "" {
				service = match[1]
			}
			said[service+":"+match[2]] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(called)), slices.Sorted(maps.Keys(said))); diff != "" {
		t.Errorf("what is called (-) is not what is said (+):\n%s", diff)
	}
}

// Command deploy runs `sam deploy` with the values in PARAMETERS, quoted as SAM reads
// them. It refuses what SAM would drop without a word.
//
// usage: PARAMETERS='NAME=VALUE ...' deploy TEMPLATE COMMAND [ARGUMENT ...]
//
// The values come after the command's last argument, --parameter-overrides. A value
// goes on until the next NAME=, so it may have spaces. Quotes are a shell's.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"veryfi-intake/deployment/template"
	"veryfi-intake/shared/event"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: PARAMETERS='NAME=VALUE ...' deploy TEMPLATE COMMAND [ARGUMENT ...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:], os.Getenv("PARAMETERS")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run returns only when the command does not start.
func run(templateFile string, command []string, parameters string) error {
	values, err := overrides(templateFile, parameters)
	if err != nil {
		return fmt.Errorf("PARAMETERS: %w", err)
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, append(command, values...), os.Environ())
}

var (
	assignment = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*)=`)
	// SAM takes a backslash there for an escape, and has none for a backslash.
	escape = regexp.MustCompile(`\\(["'\s]|$)`)
)

// overrides returns the values of text, one argument each, for the template's
// parameters.
func overrides(templateFile, text string) (arguments []string, err error) {
	words, err := split(text)
	if err != nil {
		return nil, err
	}
	var texts []string // NAME=VALUE
	for _, word := range words {
		switch {
		case assignment.MatchString(word):
			texts = append(texts, word)
		case len(texts) == 0:
			return nil, fmt.Errorf("%q is not NAME=VALUE", word)
		default:
			texts[len(texts)-1] += " " + word
		}
	}
	values := map[string]string{}
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		if name == "Architecture" {
			return nil, errors.New("the architecture is set with ARCH=x86_64 or ARCH=arm64, since the functions are built for it, too")
		}
		if escape.MatchString(value) {
			return nil, fmt.Errorf("SAM CLI cannot pass a backslash before a space, before a quote or at the end: %s", name)
		}
		values[name] = value
		arguments = append(arguments, name+`="`+strings.ReplaceAll(value, `"`, `\"`)+`"`)
	}
	if _, err := template.Read(templateFile, values); err != nil {
		return nil, err
	}
	_, err = event.ParseKinds(values["MoreKinds"]) // with wrong ones the functions would not start
	return arguments, err
}

var (
	// A word goes on through what is in quotes.
	wordText = regexp.MustCompile(`(?:[^\s"']|"[^"]*"|'[^']*')+`)
	quoted   = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)
)

// split returns the words of text as a shell does that knows nothing but spaces and
// quotes.
func split(text string) (words []string, err error) {
	if left := wordText.ReplaceAllString(text, ""); strings.ContainsAny(left, `"'`) {
		return nil, fmt.Errorf("a quote (%s) is not closed", strings.TrimSpace(left)[:1])
	}
	for _, word := range wordText.FindAllString(text, -1) {
		words = append(words, quoted.ReplaceAllString(word, "$1$2"))
	}
	return words, nil
}

package startup

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Settings reads the environment, and remembers each mistake: whoever has made several
// learns of all together. After a mistake the value returned means nothing.
type Settings struct {
	getenv func(string) string
	wrong  []string
}

// Err says what is wrong with the variables that were read, and where they come from. It
// is nil when nothing is.
func (s *Settings) Err() error {
	if len(s.wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(s.wrong, "; ") + " (Lambda and template.yaml set these variables; elsewhere set them as docs/reference.md says)")
}

// Check remembers an error, which names its variable. A nil error is no mistake.
func (s *Settings) Check(err error) {
	if err != nil {
		s.wrong = append(s.wrong, err.Error())
	}
}

// Text reads a variable that must be set.
func (s *Settings) Text(variable string) string {
	text := s.getenv(variable)
	if text == "" {
		s.Check(errors.New(variable + " is not set"))
	}
	return text
}

// TextOr reads a variable that may be left out: then it is ifUnset.
func (s *Settings) TextOr(ifUnset, variable string) string {
	return cmp.Or(s.getenv(variable), ifUnset)
}

// Whole reads a whole number from least to most, written as template.yaml takes it:
// digits alone, with no zero in front.
func (s *Settings) Whole(variable string, least, most int) int {
	text := s.getenv(variable)
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text || n < least || n > most {
		s.Check(fmt.Errorf("%s must be a whole number from %d to %d", variable, least, most))
	}
	return n
}

// WholeOr is [Settings.Whole] for a variable that may be left out: then it is ifUnset.
func (s *Settings) WholeOr(ifUnset int, variable string, least, most int) int {
	if s.getenv(variable) == "" {
		return ifUnset
	}
	return s.Whole(variable, least, most)
}

// Number reads a number from least to most, with decimals or without.
func (s *Settings) Number(variable string, least, most float64) float64 {
	n, err := strconv.ParseFloat(s.getenv(variable), 64)
	if err != nil || !(n >= least && n <= most) { // NaN, too
		s.Check(fmt.Errorf("%s must be a number from %v to %v", variable, least, most))
	}
	return n
}

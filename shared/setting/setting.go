// Package setting reads the functions' settings from the environment.
package setting

import (
	"fmt"
	"strconv"
)

// Whole reads a whole number from least to most, written as template.yaml takes it:
// digits alone, with no zero in front. The error names the variable.
func Whole(getenv func(string) string, variable string, least, most int) (int, error) {
	text := getenv(variable)
	n, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(n) != text || n < least || n > most {
		return 0, fmt.Errorf("%s must be a whole number from %d to %d", variable, least, most)
	}
	return n, nil
}

// WholeOr is [Whole] for a variable that may be left out: then it is ifUnset.
func WholeOr(ifUnset int, getenv func(string) string, variable string, least, most int) (int, error) {
	if getenv(variable) == "" {
		return ifUnset, nil
	}
	return Whole(getenv, variable, least, most)
}

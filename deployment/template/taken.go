package template

import (
	"slices"
	"strconv"
)

// awkward are values that one parameter or another must refuse.
var awkward = []string{
	"", "-1", "+5", " 5", "5\n", "007", "0.05", "0.1", "0.5", "5.0", "5.25", "5.125", "1e1", "1e9", "0x10", "0x1p3", "5f", "5d", "Inf", "NaN", "1_0", "٥",
	"http://x", "https://x", "https://x/", "https://x/api", "https://x:443", "https://x:x", "https://%", "https://x y", "https://x?a=b", "https://[::1]", "https://[",
	"parse=", "parse=parse", "parse=parse,contract=contracts", "parse_set=parse", "document", "check", "document,check,bank_statement", "document,",
}

// numbers are at and next to the bounds of all parameters.
var numbers = []int{0, 1, 2, 10, 28, 29, 30, 719, 720, 721, 999, 1000, 1439, 1440, 1441, 9999, 10_000, 36_499, 36_500, 36_501, 99_999, 100_000, 100_001}

// Taken tries values of a parameter, good and awkward ones, and returns a function's
// environment for each that the template at path takes, by value: a test can start the
// function with all of them.
func Taken(path, parameter, function string) (map[string]map[string]string, error) {
	values := slices.Clip(awkward)
	for _, n := range numbers {
		values = append(values, strconv.Itoa(n))
	}
	taken := map[string]map[string]string{}
	for _, value := range values {
		t, err := Read(path, map[string]string{parameter: value})
		if err != nil {
			return nil, err
		}
		if t.Check() != nil {
			continue
		}
		references := t.Names()
		references["AWS::StackName"] = "test"
		settings, err := t.Function(function, references)
		if err != nil {
			return nil, err
		}
		taken[value] = settings.Environment
	}
	return taken, nil
}

package signature

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// reference prints a float with nothing but exact fractions and the standard
// library's shortest digits. strconv.ParseFloat is no reference: of more than 800
// digits it reads some wrong.
func reference(token string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(token), "e")
	if n, err := strconv.Atoi(exponent); exponent != "" && (err != nil || n > 6000 || n < -6000) {
		token = mantissa + "e" + exponent[:1] + "6000" // the same, as far as it matters here
	}
	q, ok := new(big.Rat).SetString(token)
	if !ok {
		panic(token)
	}
	f, _ := q.Float64()
	f = math.Copysign(f, map[bool]float64{true: -1, false: 1}[token[0] == '-'])
	switch a := math.Abs(f); {
	case math.IsInf(a, 1):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'g', -1, 64)), "+")
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func checkFloat(t *testing.T, token string) {
	t.Helper()
	var r floatReader
	if got, want := string(r.appendRepr(nil, []byte(token))), reference(token); got != want {
		t.Errorf("%s: got %s, want %s", token, got, want)
	}
}

func TestFloatsAtTheEdges(t *testing.T) {
	t.Parallel()
	for _, token := range []string{
		"0.0", "0e5", "0e-999999999999", "0.00e999999999999", "1e999999999999999999999", "1e-999999999999999999999", "1e+5", "1E5",
		"0." + strings.Repeat("0", 5000) + "1e5001", "1" + strings.Repeat("0", 5000) + "e-5000", strings.Repeat("9", 5000) + ".0",
		"1e308", "1.797693134862315e308", "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1.797693134862315807e308", "1.797693134862315808e308", "2e308", "1e309", "1e310",
		"5e-324", "3e-324", "2e-324", "2.4703282292062327208e-324", "2.47032822920623272e-324", "1e-323", "1e-310", "2.2250738585072011e-308", "2.2250738585072014e-308", "1e-307", "1e-306",
		"9007199254740993.0", "9007199254740993e0", "9007199254740995e0", "4503599627370496.5", "4503599627370497.5", "1e22", "1e23", "123456789012345680.0",
		"0.0001", "0.00001", "0.00012", "1e15", "1e16", "1e17", "999999999999999.9", "9999999999999998.0", "9999999999999999.0", "0.1", "100.0", "12.5", "123456789012345678901234567890.5",
	} {
		checkFloat(t, token)
		checkFloat(t, "-"+token)
	}
}

// halfway returns the number between x and the next float64, in full, and its exponent.
func halfway(x float64) (digits, exponent string) {
	next := math.Float64frombits(math.Float64bits(x) + 1)
	sum := new(big.Float).SetPrec(2200).Add(big.NewFloat(x).SetPrec(2200), big.NewFloat(next).SetPrec(2200))
	text := sum.Quo(sum, big.NewFloat(2)).Text('e', 800)
	e := strings.IndexByte(text, 'e')
	return strings.TrimRight(text[:e], "0") + "0", text[e:]
}

// TestFloatsAsExactFractions takes floats of all sizes, the smallest and the largest more
// often, and what is halfway between two of them, and next to that.
func TestFloatsAsExactFractions(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 3_000 {
		for _, bits := range []uint64{
			random.Uint64() >> 1, random.Uint64() >> (12 + random.IntN(50)), 1<<52 + random.Uint64()>>12,
			math.Float64bits(math.MaxFloat64) - random.Uint64()>>(55+random.IntN(9)), math.Float64bits(float64(random.Uint64()>>random.IntN(11)) / 16),
		} {
			x := math.Float64frombits(bits)
			if math.IsNaN(x) || x >= math.MaxFloat64 {
				continue
			}
			checkFloat(t, strconv.FormatFloat(x, 'e', -1, 64))
			checkFloat(t, strconv.FormatFloat(x, 'e', random.IntN(25), 64))
			digits, exponent := halfway(x)
			checkFloat(t, digits+exponent)
			checkFloat(t, digits+strings.Repeat("0", random.IntN(40))+"1"+exponent)
			checkFloat(t, digits[:len(digits)-2]+"4999"+exponent)
			checkFloat(t, digits[:min(len(digits), 3+random.IntN(30))]+exponent)
		}
	}
}

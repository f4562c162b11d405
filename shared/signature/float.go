package signature

import (
	"bytes"
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// A floatReader prints numbers as Python does. strconv would take a hundred times as
// long for numbers halfway between two float64s, and for the smallest ones, and a forged
// body may be full of them. Here each is read by one division.
type floatReader struct {
	digits []byte
	exact  *exact // nil until it is needed
}

type exact struct {
	number, divisor, quotient, rest big.Int
	powers                          map[int]power
}

// A power is a power of 5.
type power struct {
	of5     *big.Int
	inverse uint64 // 2^(63+its bits) / of5, rounded down
}

// From 1e-307 on, no two numbers of 15 digits are the same float64: these digits are the
// shortest.
const shortest, smallest = 15, -306

// maxCounting is how many digits decide which float64 is the nearest: a number halfway
// between two of them has 768 digits at most. Further digits count only as not zero.
const maxCounting = 768

// beyond is where the numbers of 309 digits begin that no float64 can hold.
var beyond = []byte("1797693134862316")

// appendRepr prints repr(float(token)): the shortest digits that read back as the
// same number, with an exponent below 1e-4 and from 1e16 on.
func (r *floatReader) appendRepr(dst, token []byte) []byte {
	if token[0] == '-' {
		dst, token = append(dst, '-'), token[1:]
	}
	digits, point := r.decimal(token)
	switch {
	case len(digits) == 0 || point < -323:
		return append(dst, "0.0"...)
	case point > 309 || point == 309 && bytes.Compare(digits, beyond) >= 0:
		return append(dst, "inf"...)
	case len(digits) <= shortest && point >= smallest:
		return appendDecimal(dst, digits, point)
	}
	f := r.divide(digits, point-len(digits))
	switch {
	case f == 0:
		return append(dst, "0.0"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	}
	var text [24]byte
	digits, point = r.decimal(strconv.AppendFloat(text[:0], f, 'e', -1, 64))
	return appendDecimal(dst, digits, point)
}

// decimal returns the digits of a number without zeros at both ends. The number is
// 0.digits times 10 to the point.
func (r *floatReader) decimal(token []byte) (digits []byte, point int) {
	whole := -1
	r.digits = r.digits[:0]
scan:
	for i, c := range token {
		switch {
		case c == '.':
			whole = len(r.digits)
		case c <= '9':
			r.digits = append(r.digits, c)
		default:
			exponent, _ := strconv.ParseInt(string(token[i+1:]), 10, 40) // the nearest one, if it needs more bits
			point = int(exponent)
			break scan
		}
	}
	if whole < 0 {
		whole = len(r.digits)
	}
	digits = bytes.TrimLeft(r.digits, "0")
	point += whole - len(r.digits) + len(digits)
	if digits = bytes.TrimRight(digits, "0"); len(digits) > maxCounting {
		digits = append(digits[:maxCounting], '1')
	}
	return digits, point
}

func appendDecimal(dst, digits []byte, point int) []byte {
	switch n := len(digits); {
	case point > 16 || point < -3:
		if dst = append(dst, digits[0]); n > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		sign, exponent := byte('+'), point-1
		if exponent < 0 {
			sign, exponent = '-', -exponent
		}
		if dst = append(dst, 'e', sign); exponent < 10 {
			dst = append(dst, '0')
		}
		return strconv.AppendInt(dst, int64(exponent), 10)
	case point <= 0:
		return append(append(append(dst, "0."...), "000"[:-point]...), digits...)
	case point < n:
		return append(append(append(dst, digits[:point]...), '.'), digits[point:]...)
	default:
		return append(append(append(dst, digits...), "000000000000000"[:point-n]...), ".0"...)
	}
}

// divide returns the float64 that is nearest to digits times 10 to the scale.
func (r *floatReader) divide(digits []byte, scale int) float64 {
	if r.exact == nil {
		r.exact = &exact{powers: make(map[int]power)}
	}
	x := r.exact
	five := x.power(max(scale, -scale))
	number, divisor := &x.number, x.divisor.SetUint64(1)
	if n, err := strconv.ParseUint(string(digits), 10, 64); err != nil {
		number.SetString(string(digits), 10)
	} else if f, ok := five.divide(n, scale); ok {
		return f
	} else {
		number.SetUint64(n)
	}
	if scale < 0 {
		divisor = five.of5
	} else {
		number.Mul(number, five.of5)
	}
	// The result is number / divisor * 2^scale. The quotient gets 62 or 63 bits, or fewer
	// where its third one would be below the smallest float64, 2^-1074.
	shift := min(62-number.BitLen()+divisor.BitLen(), scale+1076)
	if shift > 0 {
		number.Lsh(number, uint(shift))
	} else {
		divisor = x.divisor.Lsh(divisor, uint(-shift))
	}
	x.quotient.QuoRem(number, divisor, &x.rest)
	n := x.quotient.Uint64()
	if x.rest.Sign() != 0 {
		n |= 1 // more than the quotient, so that it is not halfway
	}
	if shift == scale+1076 && n < 1<<55 {
		return small(n)
	}
	return math.Ldexp(float64(n), scale-shift)
}

// small returns the float64 that is nearest to n * 2^-1076. The smallest is 2^-1074: n is
// the binary form, and two bits more.
func small(n uint64) float64 {
	bits := n >> 2
	if n&3 == 3 || n&7 == 6 {
		bits++
	}
	return math.Float64frombits(bits)
}

// divide returns n * 10^scale, where p is the power of -scale. ok is false unless the
// result is small and 64 bits of the quotient decide which float64 is the nearest. The
// power divides no such n.
func (p power) divide(n uint64, scale int) (f float64, ok bool) {
	zeros := bits.LeadingZeros64(n)
	shift := p.of5.BitLen() + zeros - scale - 1077
	if scale > -300 || shift < 9 {
		return 0, false
	}
	quotient, _ := bits.Mul64(n<<zeros, p.inverse) // at most two too low
	least, most := quotient>>shift, (quotient+2)>>shift
	return small(least | 1), least == most
}

// power returns 5 to the power of n.
func (x *exact) power(n int) power {
	p, ok := x.powers[n]
	if !ok {
		p.of5 = new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(n)), nil)
		one := big.NewInt(1)
		p.inverse = one.Lsh(one, uint(p.of5.BitLen()+63)).Quo(one, p.of5).Uint64()
		x.powers[n] = p
	}
	return p
}

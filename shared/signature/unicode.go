package signature

// A python is the minor version of a CPython 3. Versions differ in one thing
// that a signature shows: which characters they know, and so print as they are
// rather than as an escape.
type python uint8

// pythons are the versions that a signature may come from, the likeliest first.
// 3.10 knows the same characters as 3.9.
var pythons = [...]python{11, 12, 13, 14, 9, 8, 15}

//go:generate python3 unicode.py

// A newRange is a range of printable characters that CPython 3.8 does not know, with the
// first version that does. newRunes has all of them, in order. No character has ceased to
// be printable since.
type newRange struct {
	lo, hi rune
	since  python
}

// printableSince returns the first CPython in which r is printable, if that depends on
// the version. For all other characters Python and Go agree: printable are the ASCII space
// and what is not in the categories Cc, Cf, Cs, Co, Cn, Zl, Zp and Zs.
func printableSince(r rune) (since python, ok bool) {
	if r < newRunes[1].lo { // all that takes two bytes, and so may come most often
		return newRunes[0].since, r == newRunes[0].lo
	}
	first, last := 0, len(newRunes)-1
	for first < last {
		if middle := (first + last) / 2; newRunes[middle].hi < r {
			first = middle + 1
		} else {
			last = middle
		}
	}
	found := newRunes[first]
	return found.since, found.lo <= r && r <= found.hi
}

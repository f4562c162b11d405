package signature

import (
	"math/bits"
	"slices"
	"unicode/utf8"
)

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
	if r < newRunes[1].lo { // two bytes in UTF-8: a body has room for most of these
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

// A newer is a character of a text that not every Python prints as it is.
type newer struct {
	at    int
	rune  rune
	since python
}

// findNewer lists the characters of the text that not every Python prints as they are.
func (p *Payload) findNewer() {
	p.newer = p.newer[:0]
	if p.printer.newer == 0 {
		return
	}
	p.newer = slices.Grow(p.newer, p.printer.newer)
	for i := 0; i < len(p.newest); {
		if p.newest[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(p.newest[i:])
		if since, ok := printableSince(r); ok {
			p.newer = append(p.newer, newer{i, r, since})
		}
		i += size
	}
}

// text returns what a version of Python prints for data.
func (p *Payload) text(version python) []byte {
	if len(p.newer) == 0 {
		return p.newest
	}
	from := 0
	p.older = slices.Grow(p.older[:0], len(p.newest)+6*len(p.newer))
	for _, n := range p.newer {
		if n.since > version {
			p.older = appendEscape(append(p.older, p.newest[from:n.at]...), n.rune)
			from = n.at + utf8.RuneLen(n.rune)
		}
	}
	p.older = append(p.older, p.newest[from:]...)
	p.printer.work += len(p.older)
	return p.older
}

// versions are the versions of Python that print data differently, the likeliest
// first.
func (p *Payload) versions() []python {
	if len(p.newer) == 0 {
		return pythons[:1]
	}
	var since, tried uint32 // a bit for each version
	for _, n := range p.newer {
		since |= 1 << n.since
	}
	var differ []python
	for _, v := range pythons {
		// Versions print the same if the last one that added any of the characters, up
		// to and including themselves, is the same.
		last := uint32(1) << bits.Len32(since&(2<<v-1))
		if tried&last == 0 {
			tried |= last
			differ = append(differ, v)
		}
	}
	return differ
}

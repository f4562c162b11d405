package signature

import (
	"fmt"
	"hash"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// largest is how large a body the webhook takes.
const largest = 262_144

// newerOfAll has a character that is new in each Python, so that no two of them print
// the same.
const newerOfAll = "\u08be\u061d\u0cf3\u2ffc\u0897\u088f"

// A shape makes bodies: a unit is repeated as often as a body has room for it, after
// an array or an object was opened so often.
type shape struct {
	depth            int
	open, unit, shut string
}

func (s shape) body() string {
	head, tail := `{"data":["`+newerOfAll+`",`+strings.Repeat(s.open, s.depth), strings.Repeat(s.shut, s.depth)+"]}"
	first := strings.TrimPrefix(s.unit, ",")
	n := (largest - len(head) - len(tail) - len(first)) / len(s.unit)
	body := head + first + strings.Repeat(s.unit, n) + tail
	return body + strings.Repeat(" ", largest-len(body))
}

func inString(text string) shape { return shape{1, `"`, text, `"`} }

// worst are the shapes that a search has found, or somebody has thought of.
var worst = map[string]shape{
	"levels with a repeated key":        {990, `{"":0,"":`, "\x7f", `}`}, // closed below
	"levels with a repeated key, twice": {200, `{"":0,"":[0],"a":1,"":[`, `,0`, `]}`},
	"what no Python prints":             inString("\x7f"),
	"what no Python prints, two bytes":  inString("\u0080"),
	"four bytes":                        inString("\U000e0001"),
	"what few print":                    inString("\u0cf3"),
	"what few print, two bytes":         inString("\u061d"),
	"what few print, four bytes":        inString("\U0001fae8"),
	"escapes":                           inString(`\r`),
	"quotes":                            inString(`'\"`),
	"zeros":                             {0, "", ",0", ""},
	"empty arrays":                      {0, "", ",[]", ""},
	"empty objects":                     {0, "", ",{}", ""},
	"one key":                           {1, "{", `,"":0`, "}"},
	"one key in each":                   {0, "", `,{"":0,"":0}`, ""},
	"long numbers":                      {0, "", ",1e15", ""},
	"small numbers":                     {0, "", ",5e-324", ""},
	"numbers that are halfway":          {0, "", ",9007199254740993e0", ""},
	"next to halfway":                   {0, "", ",2.4703282292062327208e-324", ""},
	"large numbers":                     {0, "", ",1e308", ""},
	"numbers of many digits":            {0, "", "," + strings.Repeat("7", 790) + "e-1100", ""},
}

func worstBodies() map[string]string {
	bodies := make(map[string]string)
	for name, s := range worst {
		bodies[name] = s.body()
	}
	quoted := strings.Repeat(`{"":0,"":`, 990)
	bodies["levels with a repeated key"] = `{"data":` + quoted + `"` + newerOfAll + strings.Repeat("\x7f", 250_000) + `"` + strings.Repeat("}", 991)
	for name, key := range map[string]func(int) string{
		"many keys":       func(i int) string { return strconv.FormatInt(int64(i), 36) },
		"long keys":       func(i int) string { return strings.Repeat("\x7f", 800) + strconv.Itoa(1000+i) },
		"16 keys of 16 K": func(i int) string { return strings.Repeat("\x7f", 16_000) + strconv.Itoa(1000+i) },
	} {
		var b strings.Builder
		b.WriteString(`{"data":{"` + newerOfAll + `":0`)
		for i := 0; b.Len() < largest-20_000; i++ {
			b.WriteString(`,"` + key(i) + `":0`)
		}
		bodies[name] = b.String() + "}}"
	}
	return bodies
}

// A counter counts what is hashed.
type counter struct {
	hash.Hash
	bytes int
}

func (c *counter) Write(b []byte) (int, error) {
	c.bytes += len(b)
	return c.Hash.Write(b)
}

// work returns how many bytes were printed, compared or moved, and how many hashed,
// until a body was refused.
func work(t interface{ Errorf(string, ...any) }, body string) (moved, hashed int) {
	var p Payload
	err := p.Parse([]byte(body))
	key := NewKey(secret)
	count := &counter{Hash: key.mac}
	key.mac = count
	if err == nil {
		_, err = p.Verify(strings.Repeat("A", 43)+"=", key)
	}
	if err == nil {
		t.Errorf("a forged body is accepted: %.100q", body)
	}
	return p.printer.work, count.bytes
}

// checkWork keeps the work for a body in proportion to its size. One byte is printed
// as four at most: DEL is `\x7f`. What is printed is moved once where keys are repeated,
// and then written and hashed for each of seven Pythons; keys are compared with up to 15
// others. A body that means no harm costs 2 a byte.
func checkWork(t interface{ Errorf(string, ...any) }, body string) {
	moved, hashed := work(t, body)
	if moved > (4*(1+1+len(pythons))+4*manyKeys/2)*largest {
		t.Errorf("%d bytes are moved: %.100q", moved, body)
	}
	if hashed > 4*len(pythons)*largest {
		t.Errorf("%d bytes are hashed: %.100q", hashed, body)
	}
}

func TestWorkIsInProportionToTheBody(t *testing.T) {
	t.Parallel()
	for name, body := range worstBodies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkWork(t, body)
			if len(body) > largest || !strings.HasPrefix(body, `{"data":`) || new(Payload).Parse([]byte(body)) != nil {
				t.Error("the test is wrong: this is no body to be verified")
			}
		})
	}
}

// atoms are what random shapes are made of.
var atoms = []string{
	",0", ",1e15", ",-0", ",5e-324", ",1e308", ",9007199254740993e0", ",NaN", ",null", `,""`, `,"a"`, `,"\r"`, `,"'"`, ",\"\x7f\"", ",\"\u0cf3\"", ",\"\u061d\"", ",[]", ",{}", `,{"":0}`, `,{"":0,"":1}`,
	`,{"a":{},"b":[],"a":{"a":1,"a":2}}`, `,[[[]]]`, ",\"\U0001fae8\"", `,"\ud83e\udee8"`, `,"\ud800"`,
}

func TestWorkIsInProportionToARandomBody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkWork(t, randomShape(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }).body())
	})
}

func randomShape(pick func(n int) int) shape {
	var s shape
	for range 1 + pick(4) {
		s.unit += atoms[pick(len(atoms))]
	}
	wrappers := [][2]string{{"[", "]"}, {`{"":0,"":[`, "]}"}, {`[{"a":[0],"b":1,"a":`, `}]`}, {`{"a":1,"` + newerOfAll + `":[`, `],"a":2}`}}
	w := wrappers[pick(len(wrappers))]
	s.open, s.shut = w[0], w[1]
	s.depth = pick(480)
	if strings.HasSuffix(s.open, ":") { // one value is wanted
		s.open, s.shut = s.open+"[", "]"+s.shut
		s.depth /= 2
	}
	return s
}

// BenchmarkWorst measures how many times as long as a flat body a forged one takes to be
// refused, and looks for a worse one than the known among random shapes. All bodies are
// measured in one run, several times in turn with the flat one, and the least times count.
func BenchmarkWorst(b *testing.B) {
	key, forged := NewKey(secret), strings.Repeat("A", 43)+"="
	refuse := func(body string) time.Duration {
		text, start := []byte(body), time.Now()
		var p Payload
		if err := p.Parse(text); err == nil {
			_, _ = p.Verify(forged, key)
		}
		return time.Since(start)
	}
	flat := `{"data":{"id":1,"error":"` + strings.Repeat("a", largest-28) + `"}}`
	ratio := func(body string) float64 {
		least, leastFlat := time.Hour, time.Hour
		for range 7 {
			least, leastFlat = min(least, refuse(body)), min(leastFlat, refuse(flat))
		}
		return least.Seconds() / leastFlat.Seconds()
	}
	worst, name := 0., ""
	look := func(body, what string) {
		r := ratio(body)
		for again := 0; r > worst && again < 5; again++ { // the machine may have been busy
			r = min(r, ratio(body))
		}
		if r > worst {
			worst, name = r, what
		}
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for b.Loop() {
		for n, body := range worstBodies() {
			look(body, n)
		}
		for range 200 {
			s := randomShape(random.IntN)
			look(s.body(), fmt.Sprintf("%+q", []string{s.open, s.unit, s.shut}))
		}
		b.Logf("the worst: %s", name)
		b.ReportMetric(worst, "x-flat")
	}
}

package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

func signText(text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// program answers each body, a line of base64, with the base64 of the bytes that
// Veryfi would sign, or with "-" where Python cannot decode or encode it.
const program = `
import base64, json, sys
print(sys.version_info.minor)
for line in sys.stdin:
    body = base64.b64decode(line).decode("utf-8", "surrogatepass") if line.strip() else ""
    try:
        payload = json.loads(body)
        print("+" + base64.b64encode(str(payload["data"]).encode("utf-8")).decode() if isinstance(payload, dict) else "-")
    except (ValueError, KeyError, RecursionError):
        print("-")
`

// compareWithPython compares this package with the CPython of this machine.
func compareWithPython(t *testing.T, bodies []string) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is missing: in CI the comparison with CPython must run")
		}
		t.Skip("python3 is missing: not compared with CPython")
	}
	var in strings.Builder
	for _, body := range bodies {
		in.WriteString(base64.StdEncoding.EncodeToString([]byte(body)) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), path, "-c", program)
	cmd.Stdin, cmd.Stderr = strings.NewReader(in.String()), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Fields(string(out))
	minor, err := strconv.Atoi(answers[0])
	if err != nil || len(answers) != len(bodies)+1 {
		t.Fatalf("%d answers to %d bodies, %v", len(answers)-1, len(bodies), err)
	}
	for i, body := range bodies {
		agrees(t, body, answers[i+1], python(minor))
	}
}

func agrees(t *testing.T, body, answer string, version python) {
	t.Helper()
	var p Payload
	err := p.Parse([]byte(body))
	gotOK, wantOK := err == nil && p.data.JSON != nil, answer != "-"
	if gotOK != wantOK {
		t.Fatalf("%q: parsed: %v (%v), by Python: %v", body, gotOK, err, wantOK)
	}
	if !gotOK {
		return
	}
	want, err := base64.StdEncoding.DecodeString(answer[1:])
	if err != nil {
		t.Fatal(err)
	}
	if got := p.text(version); !bytes.Equal(got, want) {
		t.Fatalf("%q: text is\n%s\nby Python\n%s", body, got, want)
	}
	if _, err := p.Verify(signText(string(want)), NewKey(secret)); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
}

func TestAgreesWithCPython(t *testing.T) {
	bodies := make([]string, 20_000)
	if testing.Short() {
		bodies = bodies[:2_000]
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	for i := range bodies {
		bodies[i] = g.body()
	}
	compareWithPython(t, bodies)
}

// TestEveryCharacterIsPrintedAsCPythonDoes goes through all of Unicode.
func TestEveryCharacterIsPrintedAsCPythonDoes(t *testing.T) {
	const block = 0x400
	var bodies []string
	for first := rune(0); first <= 0x10ffff; first += block {
		var escaped, raw strings.Builder
		for r := first; r < first+block; r++ {
			if r > 0xffff {
				high, low := utf16.EncodeRune(r)
				fmt.Fprintf(&escaped, `\u%04x\u%04X`, high, low)
			} else {
				fmt.Fprintf(&escaped, `\u%04X`, r)
			}
			if r >= 0x20 && r != '"' && r != '\\' {
				raw.WriteRune(r)
			}
		}
		// An apostrophe elsewhere must not decide about these quotes.
		bodies = append(bodies, `{"data": ["`+escaped.String()+`", "`+raw.String()+`"]}`)
	}
	compareWithPython(t, bodies)
}

// A generator makes bodies as Veryfi might send them, and worse.
type generator struct{ *rand.Rand }

func (g generator) pick(s ...string) string { return s[g.IntN(len(s))] }

func (g generator) body() string {
	var members []string
	for range 1 + g.IntN(3) {
		members = append(members, g.pick(`"event"`, `"data"`, `"d\u0061ta"`, g.string())+g.space()+":"+g.space()+g.value(0))
	}
	members = append(members, `"data":`+g.value(0))
	body := g.space() + "{" + strings.Join(members, g.space()+",") + "}" + g.space()
	if g.IntN(10) == 0 {
		return g.damaged(body)
	}
	return body
}

func (g generator) space() string { return g.pick("", "", "", " ", "\n\t", "\r\n ") }

func (g generator) value(depth int) string {
	n := 12
	if depth > 6 {
		n = 8
	}
	switch g.IntN(n) {
	case 0:
		return g.pick("null", "true", "false", "NaN", "Infinity", "-Infinity")
	case 1:
		return strconv.FormatInt(g.Int64()>>g.IntN(64), 10)
	case 2:
		return g.pick("0", "-0", "1", "9223372036854775807", "9223372036854775808", "-"+strings.Repeat("7", 1+g.IntN(400)))
	case 3:
		return g.float()
	case 4, 5, 6, 7:
		return g.string()
	case 8, 9:
		return "[" + g.join(func() string { return g.value(depth + 1) }) + "]"
	default:
		return "{" + g.join(func() string { return g.key() + g.space() + ":" + g.space() + g.value(depth+1) }) + "}"
	}
}

func (g generator) join(item func() string) string {
	var items []string
	n := g.IntN(5)
	if g.IntN(40) == 0 {
		n = g.IntN(3 * manyKeys)
	}
	for range n {
		items = append(items, g.space()+item()+g.space())
	}
	return strings.Join(items, ",")
}

// key returns few different keys, so that some are repeated.
func (g generator) key() string {
	return g.pick(`"id"`, `"\u0069d"`, `"created"`, `"error"`, `"a"`, `"b"`, `""`, `"'"`, `"\""`, g.string())
}

func (g generator) float() string {
	switch g.IntN(4) {
	case 0:
		return strconv.FormatFloat(g.NormFloat64(), 'g', g.IntN(20), 64) + "e" + strconv.Itoa(g.IntN(40)-20)
	case 1:
		return fmt.Sprintf("%d.%0*d", g.IntN(1000), 1+g.IntN(20), g.IntN(1000))
	case 2:
		return g.pick("-", "") + g.pick("0.0", "0e5", "1e5", "1E+16", "1e16", "9999999999999998.0", "9999999999999999.0", "0.0001", "0.00009999999999999999", "1e-05",
			"1e22", "1e400", "1e-400", "5e-324", "2.2250738585072014e-308", "1.7976931348623157e308", "1.7976931348623159e308", "123456789012345678901234567890.5", "0.1", "100.0")
	default:
		return fmt.Sprintf("%de%d", g.IntN(100000), g.IntN(700)-350)
	}
}

func (g generator) string() string {
	var b strings.Builder
	b.WriteByte('"')
	for range g.IntN(8) {
		switch g.IntN(12) {
		case 0:
			b.WriteString(g.pick(`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, `\u0000`, `\u007f`, `\u0027`, `\u00AD`))
		case 1:
			b.WriteString(g.pick("'", "'", `\"`))
		case 2:
			b.WriteRune(rune(0x80 + g.IntN(0x800)))
		case 3: // also lone surrogates
			fmt.Fprintf(&b, `\u%04x`, g.IntN(0x10000))
		case 4:
			fmt.Fprintf(&b, `\ud%03X\ud%03x`, 0x800+g.IntN(0x400), 0xc00+g.IntN(0x400))
		case 5: // pairs that are none
			fmt.Fprintf(&b, `\ud%03x%s`, 0x800+g.IntN(0x800), g.pick(`\ud800`, `x`, `\n`, `\u0041`))
		case 6:
			if r := rune(g.IntN(0x110000)); r >= 0x20 && r != '"' && r != '\\' && (r < 0xd800 || r > 0xdfff) {
				b.WriteRune(r)
			}
		case 7: // a surrogate in bytes, as "surrogatepass" lets through
			b.WriteString("\xed" + string([]byte{byte(0xa0 + g.IntN(0x20)), byte(0x80 + g.IntN(0x40))}))
		default:
			b.WriteString(g.pick("a", "document", "2026-01-02 03:04:05", ", ", "{", "]", ":", "é", "\x7f"))
		}
	}
	b.WriteByte('"')
	return b.String()
}

// damaged changes a body so that it is JSON no more, or other JSON. It stays
// UTF-8 for Python's decoder.
func (g generator) damaged(body string) string {
	runes := []rune(strings.ToValidUTF8(body, ""))
	if len(runes) == 0 {
		return ""
	}
	i := g.IntN(len(runes))
	switch g.IntN(4) {
	case 0:
		return string(runes[:i])
	case 1:
		return string(runes[:i]) + string(runes[i+1:])
	case 2:
		return string(runes[:i]) + g.pick(",", ":", `"`, "\\", "{", "}", "[", "]", "0", "-", ".", "e", "\x00", "\n", "\v", "\u00a0", "//", "'", "\ufeff") + string(runes[i:])
	default:
		return string(runes) + g.pick("}", "x", ",", "{}", "\v")
	}
}

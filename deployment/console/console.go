// Package console prints what a developer or an operator reads: coloured and aligned
// on a terminal, plain elsewhere. Of what it prints only formats, names of fields and
// titles are the program's own. Values may be anybody's, so [Visible] shows them.
package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"
	"github.com/mattn/go-isatty"
	"github.com/muesli/termenv"
)

// A Console may be used by any number of goroutines; lines never mix.
type Console struct {
	mu  sync.Mutex
	out io.Writer

	good, bad, warn, dim, bold, plain lipgloss.Style
}

// New returns a console that writes to out, with colours or without.
func New(out io.Writer, colour bool) *Console {
	renderer := lipgloss.NewRenderer(out)
	renderer.SetColorProfile(termenv.Ascii)
	if colour {
		renderer.SetColorProfile(termenv.ANSI)
	}
	foreground := func(ansi string) lipgloss.Style { return renderer.NewStyle().Foreground(lipgloss.Color(ansi)) }
	return &Console{
		out:   out,
		good:  foreground("2"),
		bad:   foreground("1"),
		warn:  foreground("3"),
		dim:   foreground("8"),
		bold:  renderer.NewStyle().Bold(true),
		plain: renderer.NewStyle(),
	}
}

// On returns a console on out, with colours where that is a terminal that has them and
// the environment does not forbid them.
func On(out io.Writer, getenv func(string) string) *Console {
	return New(out, IsTerminal(out) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb")
}

// IsTerminal reports whether somebody reads, or types, on the other side.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// Step says what is done now.
func (c *Console) Step(format string, values ...any) {
	c.print(c.dim.Render("·") + " " + message(format, values))
}

// Good says what went well.
func (c *Console) Good(format string, values ...any) {
	c.print(c.good.Render("✓") + " " + message(format, values))
}

// Bad says what is wrong.
func (c *Console) Bad(format string, values ...any) {
	c.print(c.bad.Render("✗") + " " + message(format, values))
}

// Field prints a name and its value, aligned with other fields.
func (c *Console) Field(name, value string) {
	c.print("  " + c.dim.Render(fmt.Sprintf("%-14s", name)) + " " + Visible(value))
}

// Line says something without a mark.
func (c *Console) Line(format string, values ...any) { c.print(message(format, values)) }

// Prompt asks: what is typed stands on the same line.
func (c *Console) Prompt(format string, values ...any) { _ = c.write(message(format, values)) }

// JSON prints a value for machines, with what [Visible] writes out escaped; indented,
// or on one line.
func (c *Console) JSON(value any, indented bool) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if indented {
		encoder.SetIndent("", "  ")
	}
	if err := encoder.Encode(value); err != nil {
		return err
	}
	return c.write(string(visibleJSON(text.Bytes())))
}

// Table prints a blank line, a title, and rows in columns. A cell that is a word of a colour
// (processed, error, 200, …) has it.
func (c *Console) Table(title string, headers []string, rows [][]string) {
	shown := make([][]string, len(rows))
	for i, row := range rows {
		for _, cell := range row {
			shown[i] = append(shown[i], Visible(cell))
		}
	}
	text := table.New().
		Headers(headers...).
		Rows(shown...).
		Border(lipgloss.HiddenBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).BorderHeader(false).
		StyleFunc(func(row, column int) lipgloss.Style {
			if row == table.HeaderRow {
				return c.dim.PaddingRight(2)
			}
			return c.colour(shown[row][column]).PaddingRight(2)
		})
	var lines []string
	for line := range strings.Lines(text.String()) {
		lines = append(lines, "  "+strings.TrimRight(line, " \n"))
	}
	c.print("\n" + c.bold.Render(title) + "\n" + strings.Join(lines, "\n"))
}

// colour returns the style of a table's cell.
func (c *Console) colour(cell string) lipgloss.Style {
	word, _, _ := strings.Cut(cell, " ")
	switch word {
	case "processed", "200":
		return c.good
	case "error", "missing":
		return c.bad
	case "failed", "retrying", "unsupported", "401":
		return c.warn
	}
	return c.plain
}

func (c *Console) print(text string) { _ = c.write(text + "\n") }

func (c *Console) write(text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c.out, text)
	return err
}

package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// Log prints a line that a function wrote. A JSON object becomes time,
// function, level, message and the other members in their order, without those
// that are metrics only; another line is printed as it is, after the function's
// name.
func (c *Console) Log(function, line string) {
	name := fmt.Sprintf("%-17s", Visible(function))
	members, ok := members(line)
	if !ok {
		c.print(c.bold.Render(name) + " " + Visible(line))
		return
	}
	var clock, level, said, rest string
	metrics := metricsOf(members)
	for _, m := range members {
		if metrics[m.name] {
			continue
		}
		switch m.name {
		case "time", "timestamp":
			clock = m.value
			if t, err := time.Parse(time.RFC3339Nano, m.value); err == nil {
				clock = t.Format("15:04:05.000")
			}
		case "level":
			level = m.value
		case "msg", "message":
			said = m.value
		default:
			rest += " " + c.dim.Render(Visible(m.name)+"=") + Visible(m.value)
		}
	}
	c.print(c.dim.Render(Visible(clock)) + " " + c.bold.Render(name) + " " + c.level(level).Render(fmt.Sprintf("%-5s", Visible(level))) + " " + Visible(said) + rest)
}

// metricsOf returns the names of the members that make a line data points: those of
// CloudWatch's embedded metric format.
func metricsOf(members []member) map[string]bool {
	names := map[string]bool{}
	for _, m := range members {
		var head struct {
			CloudWatchMetrics []struct {
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		}
		if m.name != "_aws" || json.Unmarshal([]byte(m.value), &head) != nil {
			continue
		}
		names[m.name] = true
		for _, directive := range head.CloudWatchMetrics {
			for _, dimension := range slices.Concat(directive.Dimensions...) {
				names[dimension] = true
			}
			for _, metric := range directive.Metrics {
				names[metric.Name] = true
			}
		}
	}
	return names
}

func (c *Console) level(level string) lipgloss.Style {
	switch strings.ToUpper(level) {
	case "ERROR", "FATAL":
		return c.bad
	case "WARN":
		return c.warn
	case "INFO":
		return c.good
	}
	return c.dim
}

type member struct{ name, value string }

// members reads a line that is one JSON object. Strings lose their quotes
// unless they hold a space or nothing and are no message.
func members(line string) ([]member, bool) {
	decoder := json.NewDecoder(strings.NewReader(line))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, false
	}
	var members []member
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, false
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return nil, false
		}
		members = append(members, member{name, text(name, value)})
	}
	_, err := decoder.Token()
	return members, err == nil
}

func text(name string, value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) != nil {
		return string(bytes.TrimSpace(value))
	}
	if name != "msg" && name != "message" && (s == "" || strings.ContainsAny(s, " \"\n")) {
		return string(value)
	}
	return s
}

package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"veryfi-intake/shared/jsonscan"
)

// Log prints a line that a function wrote. A JSON object becomes time,
// function, level, message and the other members in their order, without those
// that are metrics only; another line is printed as it is, after the function's
// name.
func (c *Console) Log(function, line string) {
	name := c.bold.Render(fmt.Sprintf("%-17s", Visible(function)))
	var clock, level, said, rest string
	metrics := metricsOf(line)
	isObject := strings.HasPrefix(line, "{") && jsonscan.Each([]byte(line), func(name string, value []byte) {
		text := string(value)
		_ = json.Unmarshal(value, &text) // or it is no string
		switch name {
		case "time", "timestamp":
			clock = text
			if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
				clock = t.Format("15:04:05.000")
			}
		case "level":
			level = text
		case "msg", "message":
			said = text
		default:
			if text == "" || strings.ContainsAny(text, " \"\n") {
				text = string(value)
			}
			if !metrics[name] {
				rest += " " + c.dim.Render(Visible(name)+"=") + Visible(text)
			}
		}
	})
	if !isObject {
		c.print(name + " " + Visible(line))
		return
	}
	c.print(c.dim.Render(Visible(clock)) + " " + name + " " + c.level(level).Render(fmt.Sprintf("%-5s", Visible(level))) + " " + Visible(said) + rest)
}

// metricsOf returns the names of the members that make a line data points: those of
// CloudWatch's embedded metric format.
func metricsOf(line string) map[string]bool {
	var head struct {
		AWS *struct {
			CloudWatchMetrics []struct {
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
	}
	if json.Unmarshal([]byte(line), &head) != nil || head.AWS == nil {
		return nil
	}
	names := map[string]bool{"_aws": true}
	for _, directive := range head.AWS.CloudWatchMetrics {
		for _, dimension := range slices.Concat(directive.Dimensions...) {
			names[dimension] = true
		}
		for _, metric := range directive.Metrics {
			names[metric.Name] = true
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

package machine

import (
	"bytes"
	"slices"
	"sync"
)

// maxLine is the length in bytes beyond which a line is cut in pieces.
const maxLine = 256 << 10

// Lines is a writer that passes on what is written, line by line and without
// the line's end. It may be the stdout and the stderr of a child at once.
type Lines struct {
	mu      sync.Mutex
	to      func(line string)
	partial []byte
}

// NewLines returns a writer that calls to for each line, never twice at once.
func NewLines(to func(line string)) *Lines { return &Lines{to: to} }

// Write never fails.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		end := bytes.IndexByte(l.partial, '\n')
		next := end + 1
		if end < 0 {
			if len(l.partial) < maxLine {
				return len(p), nil
			}
			end, next = maxLine, maxLine
		}
		l.to(string(bytes.TrimSuffix(l.partial[:end], []byte{'\r'})))
		l.partial = slices.Delete(l.partial, 0, next)
	}
}

// Flush passes on a last line that has no end.
func (l *Lines) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.to(string(l.partial))
		l.partial = nil
	}
}

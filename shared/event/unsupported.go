package event

import (
	"fmt"
	"strings"
)

// takenUp begins the error of a row whose ids are in the queue.
const takenUp = "its ids are in the queue, and this row goes when each has a row of its own"

// Unsupported says why data is kept that came under these names, as the error of its row.
// Unless the text names these kinds, the data may be read again with them: see
// [Kinds.HasJudged].
func (k Kinds) Unsupported(names []string, data Text) string {
	for _, name := range names {
		if len(k.Reread(name, data).IDs) > 0 {
			return "an older version kept it; the reconciler takes it up"
		}
	}
	last := names[len(names)-1]
	if _, isKnown := k.Of(last); isKnown {
		return k.judged(fmt.Sprintf("the data of this %s has no usable ids", last))
	}
	return k.judged("this version does not know the event; its data is kept here")
}

// TakenUp is the error of a row whose ids are in the queue.
func (k Kinds) TakenUp() string { return k.judged(takenUp) }

func (k Kinds) judged(text string) string { return text + " (" + k.String() + ")" }

// HasJudged reports whether the error of an unsupported row comes from these kinds: to read
// the row's data again would change nothing.
func (k Kinds) HasJudged(text string) bool { return strings.HasSuffix(text, k.judged("")) }

// IsTakenUp reports whether the error of a row is one of [Kinds.TakenUp].
func IsTakenUp(text string) bool { return strings.HasPrefix(text, takenUp) }

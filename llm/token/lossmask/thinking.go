package lossmask

import (
	"strings"

	"github.com/tunebus/tunebus/llm/token"
)

// reasoning is the reasoning of a message that the template leaves out of its
// answer, or empty.
func (t *turns) reasoning(at int, tag token.ThinkTag) string {
	for _, name := range []string{"reasoning_content", "reasoning", "thinking"} {
		if s, ok := field(t.messages.Items[at], name); ok && s != "" {
			return strings.Trim(s, "\n")
		}
	}
	content, _ := field(t.messages.Items[at], "content")
	before, _, ok := strings.Cut(content, tag.Close)
	if !ok {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(before), tag.Open), "\n")
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// sharedEnd is where the longest end of a text begins that another text contains;
// ends that are longer than a marker are not needed.
func sharedEnd(text, other string) int {
	const longest, shortest = 64, 3
	for n := min(longest, len(text)); n >= shortest; n-- {
		if strings.Contains(other, text[len(text)-n:]) {
			return len(text) - n
		}
	}
	return len(text)
}

package lossmask

import "strings"

// thinkTag opens and closes a model's reasoning.
type thinkTag struct{ open, closing string }

// thinkTags are those of the families in use.
var thinkTags = []thinkTag{
	{"<think>", "</think>"},
	{"<thinking>", "</thinking>"},
	{"<reasoning>", "</reasoning>"},
	{"[THINK]", "[/THINK]"},
	{"<|START_THINKING|>", "<|END_THINKING|>"},
}

// openTag is the tag of the think block that a text ends in and leaves open.
func openTag(text string) (thinkTag, bool) {
	text = strings.TrimSpace(text)
	for _, tag := range thinkTags {
		if strings.HasSuffix(text, tag.open) {
			return tag, true
		}
	}
	return thinkTag{}, false
}

// reasoning is the reasoning of a message that the template leaves out of its
// answer, or empty.
func (t *turns) reasoning(at int, tag thinkTag) string {
	for _, name := range []string{"reasoning_content", "reasoning", "thinking"} {
		if s, ok := field(t.messages.Items[at], name); ok && s != "" {
			return strings.Trim(s, "\n")
		}
	}
	content, _ := field(t.messages.Items[at], "content")
	before, _, ok := strings.Cut(content, tag.closing)
	if !ok {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(before), tag.open), "\n")
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

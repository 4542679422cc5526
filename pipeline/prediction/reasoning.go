package prediction

import "strings"

// thinkTags are the marks around the reasoning of models, as their chat templates
// have them.
var thinkTags = []struct{ open, closing string }{
	{"<think>", "</think>"},           // Qwen3, DeepSeek R1 and most others
	{"<thinking>", "</thinking>"},     // Reflection
	{"<thought>", "</thought>"},       // Gemma
	{"<reasoning>", "</reasoning>"},   // EXAONE Deep's and GRPO recipes
	{"<seed:think>", "</seed:think>"}, // Seed-OSS
	{"[THINK]", "[/THINK]"},           // Magistral
	{"◁think▷", "◁/think▷"},           // Kimi
	// gpt-oss, whose channels end in marks of their own
	{"<|channel|>analysis<|message|>", "<|channel|>final<|message|>"},
}

// SplitReasoning divides what a model wrote into its reasoning and its answer. The
// reasoning is a think block at the start of the text. A template may end its
// prompt with the opening mark, so that a text that has only the closing one
// begins with reasoning as well. A block that is not closed was cut: then there
// is no answer. The answer starts behind the blanks that follow the block; a text
// without a block is returned unchanged.
func SplitReasoning(text string) (answer, reasoning string) {
	start := strings.TrimSpace(text)
	for _, tag := range thinkTags {
		inside, opened := strings.CutPrefix(start, tag.open)
		before, after, closed := cutBlock(inside, tag.open, tag.closing)
		switch {
		case closed && (opened || !strings.Contains(before, tag.open)):
			return strings.TrimLeft(after, " \t\r\n"), strings.TrimSpace(strings.TrimSuffix(before, "<|end|><|start|>assistant"))
		case opened:
			return "", strings.TrimSpace(inside)
		}
	}
	return text, ""
}

// cutBlock divides a text at the end of a block whose opening mark stands before it.
// The block may hold others; one of them that is not closed counts as text.
func cutBlock(inside, opening, closing string) (before, after string, closed bool) {
	for at := 0; ; {
		next := strings.Index(inside[at:], closing)
		if next < 0 {
			return strings.Cut(inside, closing)
		}
		at += next
		before, after = inside[:at], inside[at+len(closing):]
		if strings.Count(before, opening) <= strings.Count(before, closing) {
			return before, after, true
		}
		at += len(closing)
	}
}

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
		before, after, closed := strings.Cut(inside, tag.closing)
		switch {
		case closed && (opened || !strings.Contains(before, tag.open)):
			return strings.TrimLeft(after, " \t\r\n"), strings.TrimSpace(before)
		case opened:
			return "", strings.TrimSpace(inside)
		}
	}
	return text, ""
}

package token

import (
	"slices"
	"strings"
)

// ThinkTag opens and closes the reasoning of a model.
type ThinkTag struct{ Open, Close string }

// thinkTags are those of the families in use.
var thinkTags = []ThinkTag{
	{"<think>", "</think>"},           // Qwen3, DeepSeek R1 and most others
	{"<thinking>", "</thinking>"},     // Reflection
	{"<thought>", "</thought>"},       // Gemma
	{"<reasoning>", "</reasoning>"},   // EXAONE Deep's and GRPO recipes
	{"<seed:think>", "</seed:think>"}, // Seed-OSS
	{"[THINK]", "[/THINK]"},           // Magistral
	{"◁think▷", "◁/think▷"},           // Kimi
}

// OpenThinking is the tag of the think block that a text ends in and leaves open,
// as the prompts of some models do. It is zero if there is none.
func OpenThinking(text string) ThinkTag {
	text = strings.TrimSpace(text)
	for _, tag := range thinkTags {
		if strings.HasSuffix(text, tag.Open) {
			return tag
		}
	}
	return ThinkTag{}
}

// DecodeAnswer returns the text of ids without the special ones, but with those
// that open or close reasoning.
func (t *Tokenizer) DecodeAnswer(ids []int32) string {
	kept := make([]int32, 0, len(ids))
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.text) && (!t.special[id] || isThinkTag(t.text[id])) {
			kept = append(kept, id)
		}
	}
	return t.Decode(kept, false)
}

func isThinkTag(text string) bool {
	return slices.ContainsFunc(thinkTags, func(tag ThinkTag) bool { return text == tag.Open || text == tag.Close })
}

package token

import (
	"slices"
	"strings"
)

// endAsTaught adds the special token that the chat template writes behind an
// answer to those that end one: a model tuned on such rows says it, and some
// checkpoints name only the end of a document in their files.
func endAsTaught(t *Tokenizer) {
	if !t.chat.Any() {
		return
	}
	end, ok := behindAnswer(t)
	if !ok {
		return // the template serves conversations of its own kind; what the files name stands
	}
	ids := t.Encode(end)
	if len(ids) > 0 && t.special[ids[0]] && !slices.Contains(t.eos, ids[0]) {
		t.eos = append(t.eos, ids[0])
		slices.Sort(t.eos)
	}
}

// behindAnswer is what a chat template writes behind the last answer.
func behindAnswer(t *Tokenizer) (string, bool) {
	const question, answer = "tunebusprobeone", "tunebusprobetwo" // texts that no template contains
	text, err := t.Render([]Message{{"user", question}, {"assistant", answer}}, false)
	if err != nil {
		return "", false
	}
	_, end, ok := strings.Cut(text, answer)
	return end, ok
}

package checkpoint

import (
	"fmt"
	"regexp"

	"github.com/tunebus/tunebus/llm/token"
)

// marker is how special tokens are spelled in the families in use.
var marker = regexp.MustCompile(`<\|[A-Za-z0-9_]+\|>|<(?:start|end)_of_turn>|\[/?INST\]`)

// UnknownMarkers names the marks that the chat template writes and the
// tokenizer has no token for, as where a template was taken from another
// family: the model then has to learn them as plain text.
func UnknownMarkers(tok *token.Tokenizer) []string {
	text, err := tok.Render([]token.Message{{Role: "user", Content: "q"}, {Role: "assistant", Content: "a"}}, false)
	if err != nil {
		return nil // a template for conversations of its own kind, or none
	}
	var notes []string
	seen := map[string]bool{}
	for _, m := range marker.FindAllString(text, -1) {
		if n := len(tok.Encode(m)); n > 1 && !seen[m] {
			seen[m] = true
			notes = append(notes, fmt.Sprintf("the chat template writes %s, for which the tokenizer has no token: the model reads it as %d tokens", m, n))
		}
	}
	return notes
}

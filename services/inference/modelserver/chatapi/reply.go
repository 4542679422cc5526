package chatapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tunebus/tunebus/pipeline/modelapi"
)

// Reply is a response with success.
type Reply struct {
	Model   string          `json:"model"`
	Choices []choice        `json:"choices"`
	Usage   json.RawMessage `json:"usage"`
	Error   json.RawMessage `json:"error"`

	// mangled says that some of its characters are none.
	mangled bool
}

type choice struct {
	Index        int             `json:"index"`
	Message      *answerMessage  `json:"message"`
	FinishReason string          `json:"finish_reason"`
	Logprobs     json.RawMessage `json:"logprobs"`
}

type answerMessage struct {
	Content          *string         `json:"content"`
	ReasoningContent string          `json:"reasoning_content"`
	Reasoning        string          `json:"reasoning"`
	Refusal          string          `json:"refusal"`
	ToolCalls        json.RawMessage `json:"tool_calls"`
}

// check returns what is missing. The choice with the index 0 is the first one then.
func (r Reply) check() error {
	slices.SortStableFunc(r.Choices, func(a, b choice) int { return cmp.Compare(a.Index, b.Index) })
	switch {
	case len(r.Choices) == 0:
		return Garbage("it answers with JSON that has no choices")
	case r.Choices[0].Message == nil:
		return Garbage("it answers with a choice that has no message")
	}
	return nil
}

// whole returns why the answer is none: the server gave it up, does not say how it ended,
// or there is nothing that could be one.
func (r Reply) whole() error {
	c := r.Choices[0]
	answer, reasoning := r.Text()
	switch {
	case modelapi.GaveUp(c.FinishReason):
		return Failed(fmt.Sprintf("the server did not finish its answer: its finish_reason is %q", c.FinishReason))
	case c.FinishReason == "":
		return Failed("the server does not say that its answer is whole: it has no finish_reason")
	case c.Message.Content == nil && answer == "" && reasoning == "":
		return Failed(fmt.Sprintf("the answer has no content, and its finish_reason is %q", c.FinishReason))
	case r.mangled:
		return Failed("the answer is not valid UTF-8")
	}
	return nil
}

// hasHalfCharacter reports whether a JSON text has a half of a pair of \u escapes alone,
// which no UTF-8 can say.
func hasHalfCharacter(content []byte) bool {
	half := func(i int) (rune, bool) {
		if i+6 > len(content) || content[i] != '\\' || content[i+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(content[i+2:i+6]), 16, 16)
		return rune(n), err == nil && utf16.IsSurrogate(rune(n))
	}
	for i := 0; i < len(content); i++ {
		if content[i] != '\\' {
			continue
		}
		if first, ok := half(i); ok {
			second, ok := half(i + 6)
			if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
				return true
			}
			i += 10
		}
		i++ // what is escaped
	}
	return false
}

// Text returns the answer and the reasoning before it. Calls of tools are the answer
// where there is no text, as JSON.
func (r Reply) Text() (answer, reasoning string) {
	c := r.Choices[0]
	if reasoning = c.Message.ReasoningContent; reasoning == "" {
		reasoning = c.Message.Reasoning
	}
	switch {
	case c.Message.Content != nil && *c.Message.Content != "":
		answer = *c.Message.Content
	case len(c.Message.ToolCalls) > 2 && c.Message.ToolCalls[0] == '[':
		answer = string(c.Message.ToolCalls)
	default:
		answer = c.Message.Refusal
	}
	return answer, reasoning
}

// Tokens returns the tokens of the prompt and of the answer; 0 where the server does not
// say them, or says what is no count.
func (r Reply) Tokens() (prompt, answer int) {
	var usage struct {
		Prompt     json.RawMessage `json:"prompt_tokens"`
		Completion json.RawMessage `json:"completion_tokens"`
	}
	if json.Unmarshal(r.Usage, &usage) != nil {
		return 0, 0
	}
	count := func(field json.RawMessage) int {
		const most = 1 << 30 // no context is as long
		var n float64
		if json.Unmarshal(field, &n) != nil || n < 0 || n > most {
			return 0
		}
		return int(n)
	}
	return count(usage.Prompt), count(usage.Completion)
}

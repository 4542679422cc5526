package chatapi

import (
	"encoding/json"
	"testing"

	"github.com/tunebus/tunebus/pipeline/modelapi"
)

// TestText: where the answer is in a response.
func TestText(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][2]string{
		`{"content": "yes"}`:                                       {"yes", ""},
		`{"content": "yes", "reasoning_content": "why"}`:           {"yes", "why"},
		`{"content": null, "reasoning": "why"}`:                    {"", "why"},
		`{"content": null, "refusal": "no"}`:                       {"no", ""},
		`{"content": null, "tool_calls": [{"type": "function"}]}`:  {`[{"type": "function"}]`, ""},
		`{"content": "yes", "tool_calls": [{"type": "function"}]}`: {"yes", ""},
	} {
		var r Reply
		if err := json.Unmarshal([]byte(`{"choices": [{"message": `+body+`}]}`), &r); err != nil {
			t.Fatal(err)
		}
		if answer, reasoning := r.Text(); answer != want[0] || reasoning != want[1] {
			t.Errorf("%s: %q, %q", body, answer, reasoning)
		}
	}
}

// TestUnsupportedParameter: the parameter that a refusal is about, also where only its
// sentence names it.
func TestUnsupportedParameter(t *testing.T) {
	t.Parallel()
	number, tokens := 0.5, 8
	for message, want := range map[string]string{
		"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.": "max_tokens",
		"Unrecognized request argument supplied: min_p":                                                              "min_p",
		"Unsupported value: 'temperature' does not support 0 with this model.":                                       "temperature",
		"Unsupported parameter: 'service_tier'":                                                                      "",
		"Unknown field my_temperature":                                                                               "",
		"the prompt is too long":                                                                                     "",
	} {
		sent := Request{MaxTokens: &tokens, Temperature: &number, MinP: &number}
		if got := unsupportedParameter(sent, &modelapi.Error{Status: 400, Message: message}); got != want {
			t.Errorf("%s: %q, want %q", message, got, want)
		}
	}
}

// FuzzReply: whatever a server says is an answer or an error.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		`{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}`,
		`{"choices": [{"message": {"content": null, "tool_calls": []}, "logprobs": {"content": [{"token": "a", "logprob": -1}]}}]}`,
		`{"choices": [{"message": null}]}`, `{"choices": null}`, `{"choices": [null]}`, `null`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Reply
		if json.Unmarshal(body, &r) != nil || r.check() != nil {
			return
		}
		r.Text()
		if prompt, answer := r.Tokens(); prompt < 0 || answer < 0 {
			t.Errorf("%d and %d tokens", prompt, answer)
		}
	})
}

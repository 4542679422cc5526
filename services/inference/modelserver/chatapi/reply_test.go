package chatapi

import (
	"encoding/json"
	"fmt"
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

// TestChecks: which choice counts, what is no answer, and what of a reply may be odd.
func TestChecks(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"choices": [{"index": 1, "message": {"content": "second"}, "finish_reason": "error"}, {"index": 0, "message": {"content": "first"}, "finish_reason": "stop"}]}`: "first 0 0 <nil>",
		`{"choices": [{"message": {"content": "a"}, "finish_reason": "length"}], "usage": {"prompt_tokens": -5, "completion_tokens": 1e300, "total_tokens": "x"}}`:        "a 0 0 <nil>",
		`{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": "5", "completion_tokens": 3}}`:                                  "a 0 3 <nil>",
		`{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": "many"}`:                                                                          "a 0 0 <nil>",
		`{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}`:                                                                                            " 0 0 <nil>",
		`{"choices": [{"message": {"content": null, "reasoning": "why"}, "finish_reason": "length"}]}`:                                                                    " 0 0 <nil>",
		`{"choices": [{"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"}]}`:                                                                         "no 0 0 <nil>",
		`{"choices": [{"message": {"content": null, "tool_calls": []}, "finish_reason": "stop"}]}`:                                                                        ` 0 0 the answer has no content, and its finish_reason is "stop"`,
		`{"choices": [{"message": {"content": "a"}, "finish_reason": "Abort"}]}`:                                                                                          `a 0 0 the server did not finish its answer: its finish_reason is "Abort"`,
	} {
		var r Reply
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		if err := r.check(); err != nil {
			t.Fatal(err)
		}
		answer, _ := r.Text()
		prompt, tokens := r.Tokens()
		if got := fmt.Sprint(answer, " ", prompt, " ", tokens, " ", r.whole()); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestHalfCharacters: halves of pairs of escapes are found, and whole pairs are not.
func TestHalfCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`"a\ud800b"`: true, `"\udc00\ud800"`: true, `"\ud83d"`: true, `"\ud83d\ude00"`: false, `"\ud83d\ude00\ude00"`: true,
		`"\\ud800"`: false, `"\\\ud800"`: true, `"\u00e9\n"`: false, `"\`: false, `"\ud8`: false,
	} {
		if got := hasHalfCharacter([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
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
		_ = r.whole() // it says what it is, or nothing
		if prompt, answer := r.Tokens(); prompt < 0 || answer < 0 {
			t.Errorf("%d and %d tokens", prompt, answer)
		}
	})
}

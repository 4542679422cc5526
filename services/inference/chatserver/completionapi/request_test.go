package completionapi_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
)

const messages = `"messages": [{"role": "user", "content": "hi"}]`

// chat reads a chat with further parameters.
func chat(more string) (completionapi.Request, error) {
	return completionapi.ParseChat([]byte(`{"model": "m", ` + messages + more + `}`))
}

// TestFaults: each wrong parameter is named with what is wanted, all of them at once.
func TestFaults(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{
		`, "temperature": -1`:                           "temperature: want a number, 0 or more",
		`, "temperature": "warm"`:                       "temperature: want a number, 0 or more",
		`, "top_p": 0`:                                  "top_p: want a number, above 0, at most 1",
		`, "min_p": 2`:                                  "min_p: want a number, 0 to 1",
		`, "top_k": -2`:                                 "top_k: want a whole number, -1 to 2147483647",
		`, "repetition_penalty": 0`:                     "repetition_penalty: want a number, from 0.01 to 100; 1 changes nothing",
		`, "max_tokens": 0`:                             "max_tokens: want a whole number, 1 to 2147483647",
		`, "max_tokens": 1.5`:                           "max_tokens: want a whole number, 1 to 2147483647",
		`, "max_tokens": 3, "max_completion_tokens": 4`: "max_tokens: is 3 and max_completion_tokens is 4; give one of them",
		`, "seed": "x"`:                                 "seed: want a whole number",
		`, "stop": [""]`:                                "stop: want texts of 1 to 1024 bytes",
		`, "stop": {}`:                                  "stop: want a text, or a list of them",
		`, "stop": [` + strings.Repeat(`"a",`, 16) + `"a"]`: "stop: has 17 texts; at most 16 are taken",
		`, "stop_token_ids": ["a"]`:                         "stop_token_ids: want a list of token ids",
		`, "stream": 1`:                                     "stream: want true or false",
		`, "stream_options": {"include_usage": true}`:       "stream_options: is only for stream = true",
		`, "stream": true, "stream_options": {"every": 5}`:  "stream_options: every: is not supported",
		`, "logprobs": 5`:                                   "logprobs: want true or false",
		`, "top_logprobs": 2`:                               "top_logprobs: has no effect without logprobs = true",
		`, "logprobs": true, "top_logprobs": 21`:            "top_logprobs: want a whole number, 0 to 20",
		`, "n": 3`:                                          "n: is 3; this server gives 1 answer to a request",
		`, "tools": 5`:                                      "tools: want a list of objects",
		`, "tool_choice": "required"`:                       `tool_choice: want "auto" or "none"`,
		`, "tool_choice": {"type": "function"}`:             `tool_choice: want "auto" or "none"`,
		`, "chat_template_kwargs": []`:                      "chat_template_kwargs: want an object",
		`, "response_format": {"type": "json_object"}`:      `response_format: is not supported by the built-in engine; leave it out, or give {"type":"text"}, which changes nothing`,
		`, "reasoning_effort": "high"`:                      "reasoning_effort: is not supported by the built-in engine; leave it out",
		`, "frequency_penalty": 0.5`:                        "frequency_penalty: is not supported",
		`, "logit_bias": {"5": 1}`:                          "logit_bias: is not supported",
		`, "temperatur": 0`:                                 "Unrecognized request argument supplied: temperatur; did you mean temperature?",
		`, "` + strings.Repeat("x", 1000) + `": 0`:          "Unrecognized request argument supplied: " + strings.Repeat("x", 100) + "…",
		`, "n": 2, "temperature": -1`:                       "n: is 2; this server gives 1 answer to a request: make 2 requests, which are answered at the same time; temperature: want a number, 0 or more",
	} {
		_, err := chat(more)
		if e, ok := errors.AsType[*completionapi.Error](err); !ok || !strings.Contains(e.Message, want) || e.Status != 400 || e.Param == "" {
			t.Errorf("%.80s: %v, want %q", more, err, want)
		}
	}
	var many strings.Builder
	for i := range 1000 {
		many.WriteString(`, "x` + strings.Repeat("y", i) + `": 0`)
	}
	if _, err := chat(many.String()); err == nil || len(err.Error()) > 10_000 || !strings.Contains(err.Error(), "and 980 more") {
		t.Errorf("a thousand faults take %d bytes", len(err.Error()))
	}
}

// TestMessageFaults: what is wrong with a message, by its number.
func TestMessageFaults(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`5`:   "messages: want a list of messages",
		`[]`:  "messages: is empty",
		`[5]`: "messages: message 1: it is a number, and not an object",
		`[{"role": "user", "content": "a"}, {"content": "b"}]`: `messages: message 2: it has no role, such as "user"`,
		`[{"role": "user"}]`:                  "messages: message 1: it has no content",
		`[{"role": "user", "content": null}]`: "messages: message 1: it has no content",
		`[{"role": "user", "content": 5}]`:    "messages: message 1: content: it is a number; want a text, or a list of parts",
		`[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]`: "messages: message 1: content: it has an image, and the built-in engine reads text alone",
		`[{"role": "user", "content": [{"type": "input_audio"}]}]`:                          `messages: message 1: content: part 1: its type is "input_audio"`,
		`[5, 5, 5]`: "and 2 more messages have faults",
	} {
		_, err := completionapi.ParseChat([]byte(`{"model": "m", "messages": ` + body + `}`))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	for body, want := range map[string]string{
		``: "it ends in the middle", `{"model": "m"`: "it ends in the middle", `null`: "it is null", `"x"`: "it is of the type string",
		`{} {}`: "something stands behind the object", `{"a" 5}`: "invalid character '5'",
		"{\"prompt\": \"ä\xff\"}": "it is not encoded as UTF-8, at byte 15", "\xed\xa0\x80": "UTF-8, at byte 1", strings.Repeat("[", 100_000): "the body is no JSON object",
	} {
		if _, err := completionapi.ParseChat([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", body, err, want)
		}
	}
}

// TestHalfCharacters: a surrogate without its other half is named with its place, wherever
// it stands; whole characters and escaped backslashes are taken.
func TestHalfCharacters(t *testing.T) {
	t.Parallel()
	for body, at := range map[string]string{
		`{"model": "m", "messages": [{"role": "user", "content": "x\ud83d"}]}`:                                    `\ud83d in a text of the body is half of a character, at byte 59`,
		`{"model": "m\ud83d\ud83d\ude00", ` + messages + `}`:                                                      `\ud83d in a text of the body is half of a character, at byte 13`,
		`{"model": "m", ` + messages + `, "user": "\uDE00"}`:                                                      `\uDE00 in`,
		`{"model": "m", ` + messages + `, "stop": ["\ud83d\n"]}`:                                                  `\ud83d in`,
		`{"model": "m", ` + messages + `, "a\ud83d\\ude00": 1}`:                                                   `\ud83d in`,
		`{"model": "m", ` + messages + `, "tools": [{"type": "function", "function": {"name": "\ud83d\u0041"}}]}`: `\ud83d in`,
	} {
		for _, parse := range []func([]byte) (completionapi.Request, error){completionapi.ParseChat, completionapi.ParseText} {
			if _, err := parse([]byte(body)); err == nil || !strings.HasPrefix(err.Error(), at) || !strings.Contains(err.Error(), `such as \ud83d\ude00`) {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
	r, err := completionapi.ParseText([]byte(`{"model": "m", "prompt": "\ud83d\ude00 \\ud83d \u00e4\"\n"}`))
	if want := "😀 \\ud83d ä\"\n"; err != nil || r.Prompt != want {
		t.Errorf("%q, %v, want %q", r.Prompt, err, want)
	}
}

// TestTaken: values that change nothing, parameters that change no answer, and null are
// taken.
func TestTaken(t *testing.T) {
	t.Parallel()
	r, err := chat(`, "n": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0, "logit_bias": {}, "response_format": { "type": "text" }, "best_of": 1,
		"stop": null, "guided_json": null, "top_k": -1, "user": "me", "metadata": {"a": "b"}, "skip_special_tokens": true, "tool_choice": "auto",
		"stream": true, "stream_options": {"include_obfuscation": true, "continuous_usage_stats": false}, "max_completion_tokens": 7, "max_tokens": 7`)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.Ignored)
	if want := []string{"metadata", "stream_options.include_obfuscation", "user"}; !slices.Equal(r.Ignored, want) {
		t.Errorf("without effect: %q, want %q", r.Ignored, want)
	}
	if r.Sampling.MaxTokens != 7 || *r.Sampling.TopK != 0 || r.Sampling.Temperature != nil || r.Stop != nil {
		t.Errorf("%+v", r)
	}
}

// TestMessages: parts that are texts become one text, and the arguments of a call an
// object, as in training.
func TestMessages(t *testing.T) {
	t.Parallel()
	r, err := completionapi.ParseChat([]byte(`{"model": "m", "messages": [
		{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "n"},
		{"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
		{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "no object"}}]},
		{"role": "tool", "tool_call_id": "1", "content": "c"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(r.Messages, &got); err != nil {
		t.Fatal(err)
	}
	arguments := func(i int) any {
		return got[i]["tool_calls"].([]any)[0].(map[string]any)["function"].(map[string]any)["arguments"]
	}
	if got[0]["content"] != "ab" || got[0]["name"] != "n" || arguments(1).(map[string]any)["x"] != 1.0 || arguments(2) != "no object" || got[3]["tool_call_id"] != "1" {
		t.Errorf("%s", r.Messages)
	}
}

// TestErrorObject: an error is OpenAI's object.
func TestErrorObject(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(&completionapi.Error{Status: 429, Code: "queue_full", Message: "wait"})
	if want := `{"error":{"message":"wait","type":"rate_limit_error","param":null,"code":"queue_full"}}`; err != nil || string(body) != want {
		t.Errorf("%s, %v", body, err)
	}
}

// FuzzParse: whatever is sent is a request with a model, or an error that can be written.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"model": "m", ` + messages + `, "temperature": 0.5, "stop": ["a"], "stream": true, "stream_options": {"include_usage": true}}`,
		`{"model": "m", "prompt": [[1, 2]], "logprobs": 3}`, `{"model": "m", "prompt": [], "max_tokens": 1e9}`, `{"messages": [{"role": 1}]}`,
		`{"model": "m", "messages": [{"role": "a", "tool_calls": [{"function": {"arguments": "{}"}}]}], "tools": [{}]}`, `{"prompt": ["a", 5]}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte) (completionapi.Request, error){completionapi.ParseChat, completionapi.ParseText} {
			r, err := parse(body)
			if err == nil && (r.Model == "" || r.Messages == nil && r.Prompt == "" && len(r.IDs) == 0) {
				t.Errorf("%q is taken: %+v", body, r)
			}
			if err == nil {
				continue
			}
			e, ok := errors.AsType[*completionapi.Error](err)
			if _, bad := json.Marshal(e); !ok || bad != nil || e.Status != 400 || e.Message == "" {
				t.Errorf("%q: %#v, %v", body, err, bad)
			}
		}
	})
}

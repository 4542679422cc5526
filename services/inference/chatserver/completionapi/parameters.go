package completionapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/sampling"
)

// chatParameters are those of a chat completion.
func chatParameters() map[string]parameter {
	out := shared()
	out["messages"] = readMessages
	out["tools"] = func(r *Request, value json.RawMessage) error { return list(value, &r.Tools) }
	out["documents"] = func(r *Request, value json.RawMessage) error { return list(value, &r.Documents) }
	out["tool_choice"] = readToolChoice
	out["chat_template_kwargs"] = readTemplateVariables
	out["add_generation_prompt"] = func(r *Request, value json.RawMessage) error {
		write := true
		err := boolean(value, &write)
		r.NoGenerationPrompt = !write
		return err
	}
	out["logprobs"] = func(r *Request, value json.RawMessage) error { return boolean(value, &r.Logprobs) }
	out["top_logprobs"] = func(r *Request, value json.RawMessage) error {
		return within(value, 0, mostTopLogprobs, &r.TopLogprobs)
	}
	out["max_completion_tokens"] = func(r *Request, value json.RawMessage) error {
		r.maxCompletion = new(int)
		return within(value, 1, math.MaxInt32, r.maxCompletion)
	}
	for name, neutral := range map[string][]string{
		"response_format":        {`{"type":"text"}`},
		"modalities":             {`["text"]`},
		"functions":              {`[]`},
		"function_call":          {`"none"`, `"auto"`},
		"continue_final_message": {`false`},
		"add_special_tokens":     {`false`},
		"audio":                  {},
		"prediction":             {},
		"web_search_options":     {},
		"reasoning_effort":       {},
		"verbosity":              {},
		"chat_template":          {},
	} {
		out[name] = refused(neutral...)
	}
	return out
}

// textParameters are those of a text completion.
func textParameters() map[string]parameter {
	out := shared()
	out["prompt"] = readPrompt
	out["logprobs"] = func(r *Request, value json.RawMessage) error {
		r.Logprobs = true
		return within(value, 0, mostTopLogprobs, &r.TopLogprobs)
	}
	for name, neutral := range map[string][]string{
		"echo":               {`false`},
		"suffix":             {`""`},
		"response_format":    {`{"type":"text"}`},
		"add_special_tokens": {`true`},
	} {
		out[name] = refused(neutral...)
	}
	return out
}

// shared are the parameters of both.
func shared() map[string]parameter {
	out := map[string]parameter{
		"model": func(r *Request, value json.RawMessage) error { return text(value, &r.Model) },
		"max_tokens": func(r *Request, value json.RawMessage) error {
			return within(value, 1, math.MaxInt32, &r.Sampling.MaxTokens)
		},
		"temperature": number(func(s *Sampling) **float64 { return &s.Temperature }, "0 or more", func(v float64) bool { return v >= 0 }),
		"top_p":       number(func(s *Sampling) **float64 { return &s.TopP }, "above 0, at most 1", func(v float64) bool { return v > 0 && v <= 1 }),
		"min_p":       number(func(s *Sampling) **float64 { return &s.MinP }, "0 to 1", func(v float64) bool { return v >= 0 && v <= 1 }),
		"repetition_penalty": number(func(s *Sampling) **float64 { return &s.RepetitionPenalty }, fmt.Sprintf("from %v to %v; 1 changes nothing", sampling.LeastPenalty, sampling.MostPenalty),
			func(v float64) bool { return v >= sampling.LeastPenalty && v <= sampling.MostPenalty }),
		"top_k": func(r *Request, value json.RawMessage) error {
			k := 0
			err := within(value, -1, math.MaxInt32, &k)
			k = max(k, 0) // vLLM takes -1 for all, too
			r.Sampling.TopK = &k
			return err
		},
		"seed": func(r *Request, value json.RawMessage) error {
			r.Sampling.Seed = new(int64)
			if json.Unmarshal(value, r.Sampling.Seed) != nil {
				return errors.New("want a whole number of 64 bits")
			}
			return nil
		},
		"stop":           readStop,
		"stop_token_ids": func(r *Request, value json.RawMessage) error { return ids(value, &r.Sampling.StopIDs) },
		"ignore_eos":     func(r *Request, value json.RawMessage) error { return boolean(value, &r.Sampling.IgnoreEOS) },
		"stream":         func(r *Request, value json.RawMessage) error { return boolean(value, &r.Stream) },
		"stream_options": readStreamOptions,
		"n":              one,
		"best_of":        one,
	}
	for name, neutral := range map[string][]string{
		"frequency_penalty":             {`0`, `0.0`},
		"presence_penalty":              {`0`, `0.0`},
		"logit_bias":                    {`{}`},
		"min_tokens":                    {`0`},
		"use_beam_search":               {`false`},
		"length_penalty":                {`1`, `1.0`},
		"skip_special_tokens":           {`true`},
		"spaces_between_special_tokens": {`true`},
		"include_stop_str_in_output":    {`false`},
		"prompt_logprobs":               {},
		"truncate_prompt_tokens":        {`-1`},
		"allowed_token_ids":             {`[]`},
		"bad_words":                     {`[]`},
		"logits_processors":             {`[]`},
		"guided_json":                   {},
		"guided_regex":                  {},
		"guided_choice":                 {},
		"guided_grammar":                {},
		"structured_outputs":            {},
		"return_token_ids":              {`false`},
		"return_tokens_as_token_ids":    {`false`},
		"lora":                          {`[]`},
		"lora_path":                     {},
	} {
		out[name] = refused(neutral...)
	}
	return out
}

// harmless are parameters that change no answer: who asks, what somebody keeps of it, and
// how soon it comes.
func harmless() []string {
	return []string{
		"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "priority",
		"request_id", "cache_salt", "parallel_tool_calls", "include_reasoning",
	}
}

// mostTopLogprobs is OpenAI's limit, and vLLM's.
const mostTopLogprobs = 20

// refused reads a parameter that would change the answer in a way that the engine does
// not have, unless the value changes nothing.
func refused(neutral ...string) parameter {
	return func(_ *Request, value json.RawMessage) error {
		var plain bytes.Buffer
		if json.Compact(&plain, value) == nil && slices.Contains(neutral, plain.String()) {
			return nil
		}
		if len(neutral) == 0 {
			return errors.New("is not supported by the built-in engine; leave it out")
		}
		return fmt.Errorf("is not supported by the built-in engine; leave it out, or give %s, which changes nothing", strings.Join(neutral[:1], ""))
	}
}

// one reads how many answers are wanted.
func one(_ *Request, value json.RawMessage) error {
	n := 0
	if err := within(value, 1, math.MaxInt32, &n); err != nil {
		return err
	}
	if n > 1 {
		return fmt.Errorf("is %d; this server gives 1 answer to a request: make %d requests, which are answered at the same time", n, n)
	}
	return nil
}

func text(value json.RawMessage, to *string) error {
	if json.Unmarshal(value, to) != nil {
		return errors.New("want a text")
	}
	return nil
}

func boolean(value json.RawMessage, to *bool) error {
	if json.Unmarshal(value, to) != nil {
		return errors.New("want true or false")
	}
	return nil
}

// within reads a whole number, which clients in languages with one type of numbers may
// write as 1.0.
func within(value json.RawMessage, least, most int, to *int) error {
	v := 0.0
	if json.Unmarshal(value, &v) != nil || v != math.Trunc(v) || v < float64(least) || v > float64(most) {
		return fmt.Errorf("want a whole number, %d to %d", least, most)
	}
	*to = int(v)
	return nil
}

// number reads a number of the sampling.
func number(field func(*Sampling) **float64, want string, ok func(float64) bool) parameter {
	return func(r *Request, value json.RawMessage) error {
		v := 0.0
		if json.Unmarshal(value, &v) != nil || !ok(v) {
			return fmt.Errorf("want a number, %s", want)
		}
		*field(&r.Sampling) = &v
		return nil
	}
}

func list(value json.RawMessage, to *json.RawMessage) error {
	var items []struct{}
	if json.Unmarshal(value, &items) != nil {
		return errors.New("want a list of objects")
	}
	if len(items) > 0 {
		*to = value
	}
	return nil
}

func ids(value json.RawMessage, to *[]int32) error {
	if json.Unmarshal(value, to) != nil {
		return errors.New("want a list of token ids")
	}
	return nil
}

// The most stop texts of a request, and the most bytes of one.
const (
	mostStops = 16
	longStop  = 1 << 10
)

// readStop reads a text or a list of them.
func readStop(r *Request, value json.RawMessage) error {
	var single string
	if json.Unmarshal(value, &single) == nil {
		r.Stop = []string{single}
	} else if json.Unmarshal(value, &r.Stop) != nil {
		return errors.New("want a text, or a list of them")
	}
	for _, s := range r.Stop {
		if s == "" || len(s) > longStop {
			return fmt.Errorf("want texts of 1 to %d bytes", longStop)
		}
	}
	if len(r.Stop) > mostStops {
		return fmt.Errorf("has %d texts; at most %d are taken", len(r.Stop), mostStops)
	}
	return nil
}

func readStreamOptions(r *Request, value json.RawMessage) error {
	var o map[string]json.RawMessage
	if json.Unmarshal(value, &o) != nil {
		return errors.New("want an object")
	}
	for name, value := range o {
		switch name {
		case "include_usage":
			if err := boolean(value, &r.IncludeUsage); err != nil {
				return fmt.Errorf("include_usage: %w", err)
			}
		case "include_obfuscation": // it would only make the pieces longer
			r.Ignored = append(r.Ignored, "stream_options.include_obfuscation")
		default:
			if err := refused(`false`, `null`)(r, value); err != nil {
				return fmt.Errorf("%.100s: %w", name, err)
			}
		}
	}
	return nil
}

func readTemplateVariables(r *Request, value json.RawMessage) error {
	var variables map[string]json.RawMessage
	if json.Unmarshal(value, &variables) != nil {
		return errors.New("want an object, whose entries are variables of the chat template")
	}
	r.TemplateVariables = make(map[string]any, len(variables))
	for name, value := range variables {
		r.TemplateVariables[name] = value
	}
	return nil
}

// readToolChoice takes what leaves the choice to the model, and "none".
func readToolChoice(r *Request, value json.RawMessage) error {
	var choice string
	_ = json.Unmarshal(value, &choice) // another type is none of the texts
	switch choice {
	case "auto":
		return nil
	case "none":
		r.withoutTools = true
		return nil
	}
	return errors.New(`want "auto" or "none": the built-in engine cannot make a model call a tool`)
}

// readPrompt reads what a text completion goes on with: one text or one list of ids,
// also as the only entry of a list.
func readPrompt(r *Request, value json.RawMessage) error {
	var several []json.RawMessage
	wanted := errors.New("want a text, or a list of token ids")
	switch {
	case json.Unmarshal(value, &r.Prompt) == nil, json.Unmarshal(value, &r.IDs) == nil && len(r.IDs) > 0:
		return nil
	case json.Unmarshal(value, &several) != nil || len(several) == 0:
		return wanted
	case len(several) > 1 && (several[0][0] == '"' || several[0][0] == '['):
		return fmt.Errorf("has %d prompts; make a request for each: they are answered at the same time", len(several))
	case len(several) > 1:
		return wanted
	}
	r.Prompt, r.IDs = "", nil
	if json.Unmarshal(several[0], &r.Prompt) == nil || json.Unmarshal(several[0], &r.IDs) == nil && len(r.IDs) > 0 {
		return nil
	}
	r.IDs = nil
	return wanted
}

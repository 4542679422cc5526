package chatapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/modelapi"
)

// Request is the body of a call. A parameter that is nil is not sent.
type Request struct {
	Model    string          `json:"model"`
	Messages json.RawMessage `json:"messages,omitempty"`
	Tools    json.RawMessage `json:"tools,omitempty"`

	MaxTokens           *int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens *int            `json:"max_completion_tokens,omitempty"`
	Temperature         *float64        `json:"temperature,omitempty"`
	TopP                *float64        `json:"top_p,omitempty"`
	TopK                *int            `json:"top_k,omitempty"`
	MinP                *float64        `json:"min_p,omitempty"`
	RepetitionPenalty   *float64        `json:"repetition_penalty,omitempty"` // vLLM, SGLang
	RepeatPenalty       *float64        `json:"repeat_penalty,omitempty"`     // llama.cpp's name for it
	Seed                *int64          `json:"seed,omitempty"`
	Stop                []string        `json:"stop,omitempty"`
	ChatTemplateKwargs  json.RawMessage `json:"chat_template_kwargs,omitempty"`
	Logprobs            *bool           `json:"logprobs,omitempty"`
	LoRA                *[]LlamaAdapter `json:"lora,omitempty"`      // llama.cpp
	LoRAPath            string          `json:"lora_path,omitempty"` // SGLang: the name of an adapter
}

// LlamaAdapter is an adapter that llama.cpp has loaded at its start.
type LlamaAdapter struct {
	ID    int     `json:"id"`
	Scale float64 `json:"scale"`
}

// tokens is how many tokens an answer may have.
func (r Request) tokens() int {
	switch {
	case r.MaxTokens != nil:
		return *r.MaxTokens
	case r.MaxCompletionTokens != nil:
		return *r.MaxCompletionTokens
	}
	return 0
}

// NewRequest asks the question of a row as the specification says. index is the place
// of the row: each has a seed of its own, so that equal questions get different draws.
// The error is that of its images; it is a [TooLargeError] if they are too large.
func NewRequest(s events.Inferencer, r row.Row, index int64) (q Request, err error) {
	q = Request{MaxTokens: &s.MaxNewTokens, Temperature: &s.Temperature, Stop: s.Stop}
	if q.Messages, err = conversation(r); err != nil {
		return q, err
	}
	if !r.Tools.IsMissing() {
		q.Tools = r.Tools.AppendJSON(nil)
	}
	if len(s.ChatTemplateKwargs) > 0 {
		q.ChatTemplateKwargs = json.RawMessage(s.ChatTemplateKwargs)
	}
	if Penalises(s) { // also where nothing is drawn
		q.RepetitionPenalty = &s.RepetitionPenalty
	}
	if s.Temperature > 0 {
		seed := int64(s.Seed) + index
		q.Seed = &seed
		if s.TopP < 1 {
			q.TopP = &s.TopP
		}
		if s.TopK > 0 {
			q.TopK = &s.TopK
		}
		if s.MinP > 0 {
			q.MinP = &s.MinP
		}
	}
	return q, nil
}

// Penalises reports whether a specification makes tokens less likely that were there.
func Penalises(s events.Inferencer) bool { return s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1 }

// ForLlama names the parameters as llama.cpp does where that has names of its own: it
// leaves those that it does not know alone, without a word.
func (r *Request) ForLlama() {
	r.RepeatPenalty, r.RepetitionPenalty = r.RepetitionPenalty, nil
}

// parameters are those that a server may not know, with what takes them out of a
// request.
func (r *Request) parameters() map[string]func() bool {
	return map[string]func() bool{
		"max_tokens":            func() bool { return drop(&r.MaxTokens) },
		"max_completion_tokens": func() bool { return drop(&r.MaxCompletionTokens) },
		"temperature":           func() bool { return drop(&r.Temperature) },
		"top_p":                 func() bool { return drop(&r.TopP) },
		"top_k":                 func() bool { return drop(&r.TopK) },
		"min_p":                 func() bool { return drop(&r.MinP) },
		"repetition_penalty":    func() bool { return drop(&r.RepetitionPenalty) },
		"repeat_penalty":        func() bool { return drop(&r.RepeatPenalty) },
		"seed":                  func() bool { return drop(&r.Seed) },
		"lora":                  func() bool { return drop(&r.LoRA) },
		"chat_template_kwargs": func() bool {
			sent := r.ChatTemplateKwargs != nil
			r.ChatTemplateKwargs = nil
			return sent
		},
		"logprobs": func() bool { return drop(&r.Logprobs) },
	}
}

// drop takes a parameter out. It is false if it was not sent.
func drop[T any](p **T) bool {
	sent := *p != nil
	*p = nil
	return sent
}

// Dialect is what was learned of the parameters of a server. It is safe for concurrent
// use.
type Dialect struct {
	mu      sync.Mutex
	dropped []string
	// completion says that max_completion_tokens takes the place of max_tokens.
	completion bool
	notes      []string
}

// Speak returns a request without what the server does not know.
func (d *Dialect) Speak(r Request) Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.completion {
		r.MaxCompletionTokens, r.MaxTokens = r.MaxTokens, nil
	}
	parameters := r.parameters()
	for _, name := range d.dropped {
		parameters[name]()
	}
	return r
}

// Learn learns from the refusal of a request which parameter the server does not know.
// It is false if the refusal says nothing new.
func (d *Dialect) Learn(sent Request, e *modelapi.Error) bool {
	name := unsupportedParameter(sent, e)
	if name == "" {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case name == "max_tokens" && !d.completion:
		d.completion = true
		d.notes = append(d.notes, "the server takes max_completion_tokens instead of max_tokens, so that inferencer.max_new_tokens counts the tokens of the reasoning too")
	case name == "max_completion_tokens": // it would answer without a limit
		return false
	case name == "max_tokens" || slices.Contains(d.dropped, name): // another call has learned it meanwhile
	default:
		d.dropped = append(d.dropped, name)
		d.notes = append(d.notes, fmt.Sprintf("the server does not take the parameter %s, so that it has no effect: %s", name, e.Message))
	}
	return true
}

// Told returns the notes.
func (d *Dialect) Told() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.notes)
}

// unsupportedParameter is the parameter of a request that its refusal names; empty if it
// names none. Servers that name none in a field of its own name it in their sentence,
// often together with the one to send instead: the first one counts.
func unsupportedParameter(sent Request, e *modelapi.Error) string {
	if !e.IsUnsupported() {
		return ""
	}
	parameters := sent.parameters()
	if takeOut, ok := parameters[e.Param]; ok && takeOut() {
		return e.Param
	}
	first, at := "", len(e.Message)
	for name, takeOut := range parameters {
		i := indexWord(e.Message, name)
		if i >= 0 && i < at && takeOut() {
			first, at = name, i
		}
	}
	return first
}

// indexWord is where a word begins in a text; -1 if it is not there as a whole.
func indexWord(text, word string) int {
	isPart := func(b byte) bool {
		return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
	}
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return -1
		}
		i += from
		end := i + len(word)
		if (i == 0 || !isPart(text[i-1])) && (end == len(text) || !isPart(text[end])) {
			return i
		}
		from = end
	}
}

package completionapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Request is what a body asks for.
type Request struct {
	Model string

	// Messages are a list of objects, Tools one or nil, and Documents too. They are what
	// a chat template gets, with TemplateVariables. Only a chat has them.
	Messages, Tools, Documents json.RawMessage
	TemplateVariables          map[string]any
	// NoGenerationPrompt leaves out what a template writes before an answer.
	NoGenerationPrompt bool

	// Prompt is what a text completion goes on with: a text, or ids where IDs is not
	// nil.
	Prompt string
	IDs    []int32

	Sampling Sampling
	// Stop are texts that end an answer and are no part of it.
	Stop []string

	// Stream asks for pieces, and IncludeUsage for a last one that counts tokens.
	Stream, IncludeUsage bool
	// Logprobs asks for the log probability of each token, and TopLogprobs for those of so
	// many of the likeliest ones beside it.
	Logprobs    bool
	TopLogprobs int

	// Ignored are the parameters that are taken and have no effect.
	Ignored []string

	maxCompletion *int
	withoutTools  bool
}

// Sampling says how the tokens of an answer are chosen. What is nil has the model's
// default.
type Sampling struct {
	// MaxTokens is the most tokens of an answer; 0: as many as fit.
	MaxTokens         int
	Temperature       *float64 // 0: always the likeliest token
	TopP              *float64
	TopK              *int // 0: all
	MinP              *float64
	RepetitionPenalty *float64
	Seed              *int64 // nil: another answer each time
	// StopIDs are tokens that end an answer beside the model's own, and are no part of
	// it.
	StopIDs []int32
	// IgnoreEOS has an answer go on behind the model's own end.
	IgnoreEOS bool
}

// Said is what a model's default sampling has, for people; empty: nothing.
func (s Sampling) Said() string {
	var said []string
	add := func(name string, value float64) { said = append(said, fmt.Sprintf("%s %v", name, value)) }
	if t := s.Temperature; t != nil && *t == 0 {
		said = append(said, "temperature 0 (always the likeliest token)")
	} else if t != nil {
		add("temperature", *t)
	}
	if s.TopK != nil {
		add("top_k", float64(*s.TopK))
	}
	for _, p := range []struct {
		name  string
		value *float64
	}{{"top_p", s.TopP}, {"min_p", s.MinP}, {"repetition_penalty", s.RepetitionPenalty}} {
		if p.value != nil {
			add(p.name, *p.value)
		}
	}
	return strings.Join(said, ", ")
}

// parameter reads a parameter of a request. The error says what is wanted.
type parameter func(r *Request, value json.RawMessage) error

// ParseChat reads the body of a chat completion. The error is an [*Error] with all
// faults.
func ParseChat(body []byte) (Request, error) {
	r, faults := parse(body, chatParameters())
	if r.Messages == nil && !faults.about("messages") {
		faults.add("messages", "is missing; want a list of messages, each with a role and a content")
	}
	if r.withoutTools {
		r.Tools = nil
	}
	if r.TopLogprobs > 0 && !r.Logprobs {
		faults.add("top_logprobs", "has no effect without logprobs = true")
	}
	return r, faults.err()
}

// ParseText reads the body of a text completion. The error is an [*Error] with all
// faults.
func ParseText(body []byte) (Request, error) {
	r, faults := parse(body, textParameters())
	if r.Prompt == "" && r.IDs == nil && !faults.about("prompt") {
		faults.add("prompt", "is missing or empty; want a text, or a list of token ids")
	}
	return r, faults.err()
}

// parse reads a body by a table of parameters.
func parse(body []byte, known map[string]parameter) (Request, *faults) {
	var r Request
	out := &faults{}
	given, err := object(body)
	if err != nil {
		out.body = err
		return r, out
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		if bytes.Equal(value, []byte("null")) { // as if it were not there
			continue
		}
		read, ok := known[name]
		switch {
		case ok:
			if err := read(&r, value); err != nil {
				out.add(name, err.Error())
			}
		case slices.Contains(harmless(), name):
			r.Ignored = append(r.Ignored, name)
		default:
			out.unknown(name, structconf.Nearest(name, slices.Sorted(maps.Keys(known))))
		}
	}
	if most := r.maxCompletion; most != nil {
		if n := r.Sampling.MaxTokens; n != 0 && n != *most {
			out.add("max_tokens", fmt.Sprintf("is %d and max_completion_tokens is %d; give one of them", n, *most))
		}
		r.Sampling.MaxTokens = *most
	}
	if r.Model == "" && !out.about("model") {
		out.add("model", "is missing; GET /v1/models lists the names")
	}
	if r.IncludeUsage && !r.Stream {
		out.add("stream_options", "is only for stream = true")
	}
	return r, out
}

// faults are what is wrong with a request.
type faults struct {
	body    error // it cannot be read at all
	names   []string
	texts   []string
	strange bool // the first one is a name that nobody knows
}

func (f *faults) about(name string) bool { return f.body != nil || slices.Contains(f.names, name) }

func (f *faults) add(name, text string) {
	f.names, f.texts = append(f.names, name), append(f.texts, name+": "+text)
}

// unknown adds a parameter that is in no list. The sentence is that of OpenAI, by which
// clients know what to leave out.
func (f *faults) unknown(name, nearest string) {
	if len(name) > 100 {
		name = strings.ToValidUTF8(name[:100], "") + "…"
	}
	text := "Unrecognized request argument supplied: " + name
	if nearest != "" {
		text += "; did you mean " + nearest + "?"
	}
	f.strange = f.strange || len(f.names) == 0
	f.names, f.texts = append(f.names, name), append(f.texts, text)
}

// mostFaults bounds what one answer says of a request that anybody may have written.
const mostFaults = 20

func (f *faults) err() error {
	switch {
	case f.body != nil:
		return &Error{Status: http.StatusBadRequest, Message: f.body.Error()}
	case len(f.names) == 0:
		return nil
	}
	texts := f.texts
	if more := len(texts) - mostFaults; more > 0 {
		texts = append(texts[:mostFaults:mostFaults], fmt.Sprintf("and %d more", more))
	}
	e := &Error{Status: http.StatusBadRequest, Param: f.names[0], Message: strings.Join(texts, "; ")}
	if f.strange {
		e.Code = "unknown_parameter"
	}
	return e
}

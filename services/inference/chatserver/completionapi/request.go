package completionapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

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

// object reads a JSON object, and nothing behind it.
func object(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) { // the decoder would put U+FFFD there, and the model would read that
		return nil, fmt.Errorf("it is not encoded as UTF-8, at byte %d", firstInvalid(body)+1)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	var out map[string]json.RawMessage
	err := dec.Decode(&out)
	if err == nil && out == nil {
		err = errors.New("it is null")
	}
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = fmt.Errorf("something stands behind the object, at byte %d", dec.InputOffset())
		}
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		err = fmt.Errorf("%w, at byte %d", syntax, syntax.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("it is of the type %s", wrong.Value)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle")
	}
	return out, err
}

// firstInvalid is the index of the first byte that is no part of UTF-8.
func firstInvalid(body []byte) int {
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// faults are what is wrong with a request.
type faults struct {
	body    error // it is no object at all
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
		return &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf("the body is no JSON object: %v", f.body)}
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

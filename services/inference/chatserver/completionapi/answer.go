package completionapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The reasons for which an answer ends.
const (
	FinishStop   = "stop"   // the model ended it, or a stop text did
	FinishLength = "length" // it has as many tokens as it may have
)

// Usage counts the tokens of a request.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
	Details          struct {
		// Cached is how many tokens of the prompt were not computed, since another prompt
		// began with them.
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// Logprob is a token with its log probability.
type Logprob struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	// Bytes are those of the token, which may be a part of a character.
	Bytes Bytes `json:"bytes"`
}

// Bytes are written as numbers.
type Bytes []byte

// MarshalJSON writes a list of numbers.
func (b Bytes) MarshalJSON() ([]byte, error) {
	numbers := make([]int, len(b))
	for i, v := range b {
		numbers[i] = int(v)
	}
	return json.Marshal(numbers)
}

// TokenLogprob is a token of an answer, with the likeliest ones in its place.
type TokenLogprob struct {
	Logprob

	Top []Logprob `json:"top_logprobs"`

	// Offset is where its text begins in the answer, in characters.
	Offset int `json:"-"`
}

// Header is what all pieces of an answer have.
type Header struct {
	ID      string
	Created int64 // seconds since 1970
	Model   string
}

// response is a whole answer, or a piece of one.
type response struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *Usage   `json:"usage,omitempty"`
}

type choice struct {
	Index int `json:"index"`
	// One of them: of a chat, of a piece of a chat, of a text.
	Message *spoken `json:"message,omitempty"`
	Delta   *delta  `json:"delta,omitempty"`
	Text    *string `json:"text,omitempty"`

	Logprobs     any     `json:"logprobs"`
	FinishReason *string `json:"finish_reason"`
}

type spoken struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	// Refusal is null always; clients expect it to be there.
	Refusal *string `json:"refusal"`
}

type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

// chatLogprobs are those of a chat.
type chatLogprobs struct {
	Content []TokenLogprob `json:"content"`
}

// textLogprobs are those of a text completion.
type textLogprobs struct {
	Tokens        []string             `json:"tokens"`
	TokenLogprobs []float64            `json:"token_logprobs"`
	TopLogprobs   []map[string]float64 `json:"top_logprobs"`
	TextOffset    []int                `json:"text_offset"`
}

// Piece is a part of an answer, or all of it.
type Piece struct {
	Text string
	// Logprobs are nil where they were not asked for.
	Logprobs []TokenLogprob
	// Finish is why the answer ends here; empty if it goes on.
	Finish string
}

// Form is the form of an endpoint's answers.
type Form interface {
	// Prefix begins the ids of answers.
	Prefix() string
	// Whole writes an answer.
	Whole(h Header, p Piece, u Usage) any
	// Begin writes the piece that begins a stream; nil for none.
	Begin(h Header) any
	// Next writes a piece.
	Next(h Header, p Piece) any
	// Last writes the piece with the usage.
	Last(h Header, u Usage) any
}

// Chat is the form of /v1/chat/completions.
type Chat struct{}

const chunk = "chat.completion.chunk"

// Prefix implements [Form].
func (Chat) Prefix() string { return "chatcmpl-" }

// Whole implements [Form].
func (Chat) Whole(h Header, p Piece, u Usage) any {
	c := choice{Message: &spoken{Role: "assistant", Content: p.Text}, FinishReason: &p.Finish, Logprobs: chatProbs(p.Logprobs)}
	return response{h.ID, "chat.completion", h.Created, h.Model, []choice{c}, &u}
}

// Begin implements [Form].
func (Chat) Begin(h Header) any {
	empty := ""
	return response{h.ID, chunk, h.Created, h.Model, []choice{{Delta: &delta{Role: "assistant", Content: &empty}}}, nil}
}

// Next implements [Form].
func (Chat) Next(h Header, p Piece) any {
	c := choice{Delta: &delta{}, FinishReason: reason(p.Finish), Logprobs: chatProbs(p.Logprobs)}
	if p.Text != "" {
		c.Delta.Content = &p.Text
	}
	return response{h.ID, chunk, h.Created, h.Model, []choice{c}, nil}
}

// Last implements [Form].
func (Chat) Last(h Header, u Usage) any {
	return response{h.ID, chunk, h.Created, h.Model, []choice{}, &u}
}

func chatProbs(all []TokenLogprob) any {
	if all == nil {
		return nil
	}
	return chatLogprobs{all}
}

func reason(finish string) *string {
	if finish == "" {
		return nil
	}
	return &finish
}

// Text is the form of /v1/completions.
type Text struct{}

const textObject = "text_completion"

// Prefix implements [Form].
func (Text) Prefix() string { return "cmpl-" }

// Whole implements [Form].
func (t Text) Whole(h Header, p Piece, u Usage) any {
	return response{h.ID, textObject, h.Created, h.Model, []choice{t.choice(p)}, &u}
}

// Begin implements [Form].
func (Text) Begin(Header) any { return nil }

// Next implements [Form].
func (t Text) Next(h Header, p Piece) any {
	return response{h.ID, textObject, h.Created, h.Model, []choice{t.choice(p)}, nil}
}

// Last implements [Form].
func (Text) Last(h Header, u Usage) any {
	return response{h.ID, textObject, h.Created, h.Model, []choice{}, &u}
}

func (Text) choice(p Piece) choice {
	c := choice{Text: &p.Text, FinishReason: reason(p.Finish)}
	if p.Logprobs == nil {
		return c
	}
	var out textLogprobs
	for _, l := range p.Logprobs {
		out.Tokens = append(out.Tokens, l.Token)
		out.TokenLogprobs = append(out.TokenLogprobs, l.Logprob.Logprob)
		out.TopLogprobs = append(out.TopLogprobs, likeliest(l))
		out.TextOffset = append(out.TextOffset, l.Offset)
	}
	c.Logprobs = out
	return c
}

// likeliest are the likeliest tokens by their texts. Several may have one text, such as
// U+FFFD for parts of characters: it then stands for the chosen one, or else for the
// likeliest, and the others are called by their bytes, as OpenAI's API does it.
func likeliest(of TokenLogprob) map[string]float64 {
	out := map[string]float64{}
	chosen := slices.IndexFunc(of.Top, func(t Logprob) bool {
		return t.Token == of.Token && t.Logprob == of.Logprob.Logprob && bytes.Equal(t.Bytes, of.Bytes)
	})
	if chosen >= 0 {
		out[of.Token] = of.Logprob.Logprob
	}
	for i, t := range of.Top {
		name := t.Token
		if _, taken := out[name]; taken {
			name = byBytes(t.Bytes)
		}
		if _, taken := out[name]; !taken && i != chosen {
			out[name] = t.Logprob
		}
	}
	return out
}

// byBytes is a name such as "bytes:\xe2\x80".
func byBytes(b []byte) string {
	var out strings.Builder
	out.WriteString("bytes:")
	for _, v := range b {
		fmt.Fprintf(&out, `\x%02x`, v)
	}
	return out.String()
}

// Models is the response of /v1/models.
type Models struct {
	Object string  `json:"object"`
	Data   []Model `json:"data"`
}

// Model is a model that a server has.
type Model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	// Root is where it comes from, and Parent the base model of an adapter, as vLLM says
	// them.
	Root   string  `json:"root"`
	Parent *string `json:"parent"`
	// MaxModelLen is the most tokens of a prompt and its answer together.
	MaxModelLen int `json:"max_model_len"`
}

package chatserver

import (
	"context"

	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
)

// Model is a model that answers. It is safe for concurrent use.
type Model interface {
	// Names are those by which clients ask for it.
	Names() []string
	// Describe says what it is in the list of models, under one of its names.
	Describe(name string) completionapi.Model
	// MaxLength is the most tokens of a prompt and its answer together.
	MaxLength() int
	// Prompt are the tokens that a request asks the model to go on with. The error is a
	// [*completionapi.Error] if the request is wrong.
	Prompt(r completionapi.Request) ([]int32, error)
	// Generate calls on for each token of an answer as soon as it is chosen, on any
	// goroutine, one after the other, and returns when the answer ends. MaxTokens of the
	// sampling is never 0. top is how many of the likeliest tokens each one has; below 0:
	// log probabilities are not asked for.
	Generate(ctx context.Context, prompt []int32, s completionapi.Sampling, top int, on func(Token)) error
	// Decode is the text of tokens of an answer.
	Decode(ids []int32) string
	// Bytes are those of one token, as it is written in a log probability.
	Bytes(id int32) []byte
}

// Token is a token of an answer.
type Token struct {
	Choice

	Top []Choice // the likeliest ones in its place, if they were asked for
}

// Choice is a token that was or could have been chosen.
type Choice struct {
	ID      int32
	Logprob float64
}

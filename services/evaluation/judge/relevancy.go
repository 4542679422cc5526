package judge

import (
	"context"
	"errors"

	"github.com/openai/openai-go/v3"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// relevancy has the judge guess the question from the answer alone, several
// times, and compares the guesses with the question. An answer that is
// noncommittal in all guesses gets 0.
type relevancy struct {
	client     *Client
	strictness int
}

func (relevancy) Name() string { return "answer_relevancy" }

func (relevancy) usesTruth() bool { return false }

func (r relevancy) Score(ctx context.Context, row metric.Row) (Result, error) {
	var result Result
	messages := []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt(questionTask, questionShape, struct {
		Text string `json:"text"`
	}{row.Answer}))}
	answers, err := retry(ctx, r.client, &r.client.llm, func(ctx context.Context) ([]completion, error) {
		return r.client.complete(ctx, chatRequest{
			messages:    messages,
			temperature: temperatureMany,
			answers:     int64(r.strictness),
			maxTokens:   r.client.cfg.MaxTokens,
		})
	})
	if err != nil {
		return Result{}, err
	}
	if len(answers) < r.strictness {
		result.note("the judge wrote %d of %d questions", len(answers), r.strictness)
	}
	texts := []string{row.Question}
	noncommittal, empty := true, true
	for _, answer := range answers {
		guess, err := decode[questionReply](ctx, r.client, messages, &answer)
		if err != nil {
			return Result{}, err
		}
		texts = append(texts, *guess.Question)
		empty = empty && *guess.Question == ""
		noncommittal = noncommittal && bool(*guess.Noncommittal)
	}
	if empty {
		return Result{}, errors.New("the judge wrote no question for this answer")
	}
	vectors, err := r.client.embed(ctx, texts...)
	if err != nil {
		return Result{}, err
	}
	sum := 0.0
	for _, guess := range vectors[1:] {
		c, err := cosine(vectors[0], guess)
		if err != nil {
			return Result{}, err
		}
		sum += c
	}
	score := sum / float64(len(answers))
	if noncommittal {
		score = 0
		result.Reasons = append(result.Reasons, "the answer commits itself to nothing")
	}
	for _, guess := range texts[1:] {
		result.Reasons = append(result.Reasons, "it would answer: "+guess)
	}
	result.Scores = map[string]float64{"answer_relevancy": score}
	return result, nil
}

type questionReply struct {
	Question     *string `json:"question"`
	Noncommittal *flag   `json:"noncommittal"`
}

func (r *questionReply) check() error {
	if r.Question == nil || r.Noncommittal == nil {
		return errors.New("question or noncommittal is missing")
	}
	return nil
}

package judge

import (
	"context"
	"errors"

	"github.com/openai/openai-go/v3"

	"github.com/tunebus/tunebus/services/evaluation/judge/reply"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

const ratingTemperature = 0.1

// errNoRating means that none of the judge's answers was a rating from 0 to 4.
const errNoRating = badAnswer("the judge gave no rating from 0 to 4")

// accuracy is the mean of two ratings of the answer against the truth. The second
// prompt uses other words and exchanges the two. RAGAS has no score without the
// first rating, even if there is a second; answer_accuracy_available is the mean
// of the ratings that exist.
type accuracy struct{ client *Client }

func (accuracy) Name() string { return "answer_accuracy" }

func (accuracy) usesTruth() bool { return true }

func (a accuracy) Score(ctx context.Context, row metric.Row) (Result, error) {
	first, firstErr := a.rate(ctx, rateTask, row.Question, row.Answer, row.GroundTruth)
	if firstErr != nil && !errors.Is(firstErr, errNoRating) {
		return Result{}, firstErr
	}
	second, secondErr := a.rate(ctx, rateAgainTask, row.Question, row.GroundTruth, row.Answer)
	if secondErr != nil && !errors.Is(secondErr, errNoRating) {
		return Result{}, secondErr
	}
	var result Result
	switch {
	case firstErr != nil && secondErr != nil:
		return Result{}, firstErr
	case firstErr != nil:
		result.note("the judge gave the second rating alone, which is no answer_accuracy")
		result.Scores = map[string]float64{"answer_accuracy_available": second}
		return result, nil
	case secondErr != nil:
		result.note("the judge gave the first rating alone")
		second = first
	}
	mean := (first + second) / 2
	result.Scores = map[string]float64{"answer_accuracy": mean, "answer_accuracy_available": mean}
	return result, nil
}

// rate asks for a rating, several times if an answer has none.
func (a accuracy) rate(ctx context.Context, task, question, answer, truth string) (float64, error) {
	text := task + material + encode(struct {
		Question string `json:"question"`
		Answer   string `json:"answer"`
		Truth    string `json:"truth"`
	}{question, answer, truth})
	return retry(ctx, a.client, &a.client.llm, func(ctx context.Context) (float64, error) {
		answers, err := a.client.complete(ctx, chatRequest{
			messages:    []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
			temperature: ratingTemperature,
			answers:     1,
			maxTokens:   a.client.cfg.MaxTokens,
		})
		if err != nil {
			return 0, err
		}
		rating, ok := reply.Rating(answers[0].text)
		if !ok || answers[0].truncated {
			return 0, errNoRating
		}
		return float64(rating) / 4, nil
	})
}

package judge

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// correctness is the weighted mean of factuality, an F-score of statements, and
// similarity.
type correctness struct {
	client  *Client
	weights [2]float64
	beta    float64
}

func newCorrectness(client *Client, opts Options) (correctness, error) {
	w := opts.Weights
	if w == [2]float64{} {
		w = [2]float64{0.75, 0.25}
	}
	if !(w[0] >= 0 && w[1] >= 0) || math.IsInf(w[0]+w[1], 0) {
		return correctness{}, &metric.OptionError{
			Metric:  "answer_correctness",
			Option:  "weights",
			Value:   fmt.Sprint(w),
			Allowed: []string{"two numbers, not below 0"},
		}
	}
	return correctness{client, w, opts.Beta}, nil
}

func (correctness) Name() string { return "answer_correctness" }

func (correctness) usesTruth() bool { return true }

func (c correctness) Score(ctx context.Context, row metric.Row) (Result, error) {
	var result Result
	var factuality, similar float64
	var err error
	if c.weights[0] > 0 {
		if factuality, err = c.factuality(ctx, row, &result); err != nil {
			return Result{}, err
		}
	}
	if c.weights[1] > 0 {
		if similar, err = embeddingCosine(ctx, c.client, row); err != nil {
			return Result{}, err
		}
	}
	score := (c.weights[0]*factuality + c.weights[1]*similar) / (c.weights[0] + c.weights[1])
	result.Scores = map[string]float64{"answer_correctness": score}
	return result, nil
}

func (c correctness) factuality(ctx context.Context, row metric.Row, result *Result) (float64, error) {
	answer, err := c.statements(ctx, row.Question, row.Answer)
	if err != nil {
		return 0, err
	}
	truth, err := c.statements(ctx, row.Question, row.GroundTruth)
	if err != nil {
		return 0, err
	}
	if len(answer) == 0 && len(truth) == 0 {
		result.note("neither answer nor truth states anything, which counts as agreement")
		return 1, nil
	}
	sorted, err := ask[sortReply](ctx, c.client, prompt(sortTask, sortShape, struct {
		Question string   `json:"question"`
		Answer   []string `json:"answer"`
		Truth    []string `json:"truth"`
	}{row.Question, answer, truth}))
	if err != nil {
		return 0, err
	}
	for _, s := range sorted.FP {
		result.Reasons = append(result.Reasons, "not supported: "+s.Statement+": "+s.Reason)
	}
	for _, s := range sorted.FN {
		result.Reasons = append(result.Reasons, "missing: "+s.Statement+": "+s.Reason)
	}
	if n := len(sorted.TP) + len(sorted.FP); n != len(answer) {
		result.note("the judge sorted %d statements of the answer, which has %d", n, len(answer))
	}
	return fBeta(len(sorted.TP), len(sorted.FP), len(sorted.FN), c.beta), nil
}

func (c correctness) statements(ctx context.Context, question, answer string) ([]string, error) {
	reply, err := ask[statementsReply](ctx, c.client, prompt(statementsTask, statementsShape, struct {
		Question string `json:"question"`
		Answer   string `json:"answer"`
	}{question, answer}))
	return reply.Statements, err
}

type statementsReply struct {
	Statements []string `json:"statements"`
}

func (r *statementsReply) check() error {
	if r.Statements == nil {
		return errors.New("the list statements is missing")
	}
	return nil
}

type sortReply struct{ TP, FP, FN []sortedStatement }

type sortedStatement struct{ Statement, Reason string }

func (r *sortReply) check() error {
	if r.TP == nil || r.FP == nil || r.FN == nil {
		return errors.New("one of the lists TP, FP, FN is missing")
	}
	return nil
}

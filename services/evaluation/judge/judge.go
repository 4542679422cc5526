package judge

import (
	"context"
	"fmt"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// Result is a judged metric's scores for one row.
type Result struct {
	metric.Sample
	// Reasons are the judge's reasons against the answer.
	Reasons []string `json:"reasons,omitempty"`
	// Notes name irregularities of the judging itself.
	Notes []string `json:"notes,omitempty"`
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Metric judges rows one by one. It is safe for concurrent use.
type Metric interface {
	// Name is the metric's name for [New], and the key of its score.
	Name() string
	// Score judges a row against its one truth. With an error there is no score.
	// The error is [ErrRefused] where the next row would fail too, and
	// [ErrUnavailable] where it may.
	Score(ctx context.Context, row metric.Row) (Result, error)
	// usesTruth reports whether the metric compares the answer with a truth.
	usesTruth() bool
}

// Options are the parameters of the metrics. The zero value is RAGAS's default.
type Options struct {
	// Mode of factual_correctness: "f1" (default), "precision", "recall".
	Mode string
	// Beta weighs recall against precision in F-scores; default 1.
	Beta float64
	// Weights of answer_correctness: factuality and similarity, by their sum;
	// default 0.75 and 0.25.
	Weights [2]float64
	// Threshold turns semantic_similarity into 1 or 0. Default 0: the score is
	// the cosine.
	Threshold float64
	// Strictness is the number of questions of answer_relevancy; default 3.
	Strictness int
}

// Names are the names that [New] knows.
func Names() []string {
	return []string{"factual_correctness", "answer_correctness", "answer_relevancy", "answer_accuracy", "semantic_similarity"}
}

// New returns the metric called name. The error is a
// [*metric.UnknownMetricError] or a [*metric.OptionError].
func New(name string, client *Client, opts Options) (Metric, error) {
	if opts.Beta == 0 {
		opts.Beta = 1
	}
	if opts.Beta < 0 {
		return nil, &metric.OptionError{
			Metric:  name,
			Option:  "beta",
			Value:   fmt.Sprint(opts.Beta),
			Allowed: []string{"numbers above 0"},
		}
	}
	switch name {
	case "factual_correctness":
		return newFactual(client, opts)
	case "answer_correctness":
		return newCorrectness(client, opts)
	case "answer_relevancy":
		if opts.Strictness <= 0 {
			opts.Strictness = 3
		}
		return relevancy{client, opts.Strictness}, nil
	case "answer_accuracy":
		return accuracy{client}, nil
	case "semantic_similarity":
		return similarity{client, opts.Threshold}, nil
	}
	return nil, &metric.UnknownMetricError{Name: name, Known: Names()}
}

// fBeta is the F-score of counts; 0 without true positives.
func fBeta(tp, fp, fn int, beta float64) float64 {
	if tp == 0 {
		return 0
	}
	precision := float64(tp) / float64(tp+fp)
	recall := float64(tp) / float64(tp+fn)
	square := beta * beta
	return (1 + square) * precision * recall / (square*precision + recall)
}

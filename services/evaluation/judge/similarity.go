package judge

import (
	"context"
	"math"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// errNoDirection means that a vector is all zeros, or holds values that are no
// numbers.
const errNoDirection = badAnswer("an embedding has no direction, so there is no cosine")

// hasDirection reports whether a vector has a cosine with others.
func hasDirection(v []float64) bool {
	_, err := cosine(v, v)
	return err == nil
}

// similarity is the cosine of the embeddings of answer and truth, between -1 and
// 1.
type similarity struct {
	client    *Client
	threshold float64
}

func (similarity) Name() string { return "semantic_similarity" }

func (similarity) usesTruth() bool { return true }

func (s similarity) Score(ctx context.Context, row metric.Row) (Result, error) {
	score, err := embeddingCosine(ctx, s.client, row)
	if err != nil {
		return Result{}, err
	}
	if s.threshold != 0 {
		passed := score >= s.threshold
		score = 0
		if passed {
			score = 1
		}
	}
	return Result{Sample: metric.Sample{Scores: map[string]float64{"semantic_similarity": score}}}, nil
}

// embeddingCosine is the cosine of the embeddings of answer and truth.
func embeddingCosine(ctx context.Context, client *Client, row metric.Row) (float64, error) {
	vectors, err := client.embed(ctx, row.GroundTruth, row.Answer)
	if err != nil {
		return 0, err
	}
	return cosine(vectors[0], vectors[1])
}

func cosine(a, b []float64) (float64, error) {
	var dot, aa, bb float64
	for i := range a {
		dot += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	c := dot / (math.Sqrt(aa) * math.Sqrt(bb))
	if math.IsNaN(c) || math.IsInf(c, 0) {
		return 0, errNoDirection
	}
	return min(max(c, -1), 1), nil // rounding may lead beyond
}

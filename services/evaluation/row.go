package evaluation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// scoredRow is a row with the base model's answer to the same question, if there
// is one, and the scores of both.
type scoredRow struct {
	tuned    prediction.Prediction
	baseline *prediction.Prediction
	position int64 // among the rows of the window
	stripped bool  // the tuned answer lost a think block here
	// strippedTruth means that a ground truth lost one: answers are compared with what
	// is to be said.
	strippedTruth bool

	judgement                     judgement
	row                           Row
	tunedSamples, baselineSamples []metric.Sample
	err                           error
}

// separate takes the think blocks off the answers and the ground truths, or puts back
// those that inference took off.
func (r *scoredRow) separate(reasoning bool) {
	change := join
	if reasoning {
		change = strip
	}
	r.stripped = change(&r.tuned)
	r.strippedTruth = reasoning && stripTruths(&r.tuned)
	if r.baseline != nil {
		change(r.baseline)
		if reasoning {
			stripTruths(r.baseline)
		}
	}
}

func join(p *prediction.Prediction) (stripped bool) {
	if p.Reasoning != "" && !p.NoAnswer {
		p.Answer, p.Reasoning = "<think>\n"+p.Reasoning+"\n</think>\n\n"+p.Answer, ""
	}
	return false
}

func strip(p *prediction.Prediction) (stripped bool) {
	answer, reasoning := prediction.SplitReasoning(p.Answer)
	if answer == p.Answer {
		return false
	}
	p.Answer = answer
	if p.Reasoning == "" {
		p.Reasoning = reasoning
	}
	return true
}

// stripTruths takes the think blocks off the ground truths of a row. A truth that is
// nothing else stays as it is.
func stripTruths(p *prediction.Prediction) (stripped bool) {
	p.References = slices.Clone(p.References)
	truths := []*string{&p.GroundTruth}
	for i := range p.References {
		truths = append(truths, &p.References[i])
	}
	for _, truth := range truths {
		if said, _ := prediction.SplitReasoning(*truth); said != "" && said != *truth {
			*truth, stripped = said, true
		}
	}
	return stripped
}

// size is about how many bytes the row takes in memory.
func (r *scoredRow) size() int64 {
	n := 0
	for _, p := range []*prediction.Prediction{&r.tuned, r.baseline} {
		if p == nil {
			continue
		}
		n += len(p.System) + len(p.Question) + len(p.GroundTruth) + len(p.Answer) + len(p.Reasoning) + len(p.KeyFact)
		for _, reference := range p.References {
			n += len(reference)
		}
	}
	return int64(n)
}

// digest tells the row from others at its position: a judgement of an earlier
// attempt counts only for the same texts.
func (r *scoredRow) digest() string {
	text, err := json.Marshal([]*prediction.Prediction{&r.tuned, r.baseline})
	if err != nil {
		return "" // texts cannot fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// metricRow is a prediction as metrics read it.
func metricRow(p prediction.Prediction) metric.Row {
	row := metric.Row{
		Question:      p.Question,
		Answer:        p.Answer,
		GroundTruth:   p.GroundTruth,
		References:    p.References,
		KeyFact:       p.KeyFact,
		NoGroundTruth: p.NoGroundTruth,
	}
	if p.NoAnswer {
		row.NoAnswer = "the row has no answer"
		if p.Error != "" {
			row.NoAnswer += ": " + p.Error
		}
	}
	return row
}

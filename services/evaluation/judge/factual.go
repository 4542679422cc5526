package judge

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// factual compares the claims of answer and truth. Its score is rounded to two
// decimals, as in RAGAS; factual_correctness_exact is not rounded. In recall mode
// RAGAS divides claims of the answer by claims of the truth; the exact key is
// then the share of the truth's claims that the answer supports.
type factual struct {
	client *Client
	mode   string
	beta   float64
}

func newFactual(client *Client, opts Options) (factual, error) {
	modes := []string{"f1", "precision", "recall"}
	if opts.Mode == "" {
		opts.Mode = modes[0]
	}
	if !slices.Contains(modes, opts.Mode) {
		return factual{}, &metric.OptionError{Metric: "factual_correctness", Option: "mode", Value: opts.Mode, Allowed: modes}
	}
	return factual{client, opts.Mode, opts.Beta}, nil
}

func (factual) Name() string { return "factual_correctness" }

func (factual) usesTruth() bool { return true }

func (f factual) Score(ctx context.Context, row metric.Row) (Result, error) {
	var answer, truth checkedClaims
	var answerErr, truthErr error
	var both sync.WaitGroup
	both.Go(func() { answer, answerErr = f.checkClaims(ctx, row.Answer, row.GroundTruth) })
	if f.mode != "precision" {
		both.Go(func() { truth, truthErr = f.checkClaims(ctx, row.GroundTruth, row.Answer) })
	}
	both.Wait()
	if err := cmp.Or(answerErr, truthErr); err != nil { // usually both have the same reason
		return Result{}, err
	}

	const tiny = 1e-8 // RAGAS's guard against dividing by 0, which shows in ties
	tp, fp, fn := answer.supported, answer.rejected, truth.rejected
	var score, exact float64
	switch f.mode {
	case "precision":
		score = float64(tp) / (float64(tp+fp) + tiny)
		exact = share(tp, tp+fp)
	case "recall":
		score = float64(tp) / (float64(tp+fn) + tiny)
		exact = share(truth.supported, truth.supported+truth.rejected)
	default:
		score = fBeta(tp, fp, fn, f.beta)
		exact = score
	}
	result := Result{Sample: metric.Sample{Scores: map[string]float64{
		"factual_correctness":       math.RoundToEven(score*100) / 100,
		"factual_correctness_exact": exact,
	}}}
	for _, s := range []struct {
		of string
		checkedClaims
	}{{"answer", answer}, {"truth", truth}} {
		result.Reasons = append(result.Reasons, s.reasons...)
		if verdicts := s.supported + s.rejected; verdicts != s.claims {
			result.note("the judge gave %d verdicts on %d claims of the %s", verdicts, s.claims, s.of)
		}
	}
	return result, nil
}

func share(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }

// checkedClaims counts the claims of one text that the other text supports.
type checkedClaims struct {
	claims, supported, rejected int
	reasons                     []string
}

// checkClaims breaks a text down and checks its claims against the other text.
func (f factual) checkClaims(ctx context.Context, text, against string) (checkedClaims, error) {
	claims, err := ask[claimsReply](ctx, f.client, prompt(claimsTask, claimsShape, struct {
		Text string `json:"text"`
	}{text}))
	if err != nil {
		return checkedClaims{}, err
	}
	s := checkedClaims{claims: len(claims.Claims)}
	if s.claims == 0 {
		return s, nil
	}
	verdicts, err := ask[verdictsReply](ctx, f.client, prompt(verifyTask, verifyShape, struct {
		Context string   `json:"context"`
		Claims  []string `json:"claims"`
	}{against, claims.Claims}))
	if err != nil {
		return checkedClaims{}, err
	}
	for _, v := range verdicts.Statements {
		if *v.Verdict {
			s.supported++
			continue
		}
		s.rejected++
		s.reasons = append(s.reasons, v.Statement+": "+v.Reason)
	}
	return s, nil
}

type claimsReply struct {
	Claims []string `json:"claims"`
}

func (r *claimsReply) check() error {
	if r.Claims == nil {
		return errors.New("the list claims is missing")
	}
	return nil
}

type verdictsReply struct {
	Statements []struct {
		Statement string `json:"statement"`
		Reason    string `json:"reason"`
		Verdict   *flag  `json:"verdict"`
	} `json:"statements"`
}

func (r *verdictsReply) check() error {
	if r.Statements == nil {
		return errors.New("the list statements is missing")
	}
	for _, s := range r.Statements {
		if s.Verdict == nil {
			return errors.New("a statement has no verdict")
		}
	}
	return nil
}

package evaluation

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"sync"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// scoring scores the rows of a job and sums them up.
type scoring struct {
	job     *engine.Job
	suite   metric.Suite
	judging *judging
	records *records // nil without a judge
	own     *metric.Aggregate
	base    *metric.Aggregate // nil without the base model's answers
}

// pair is a row with the base model's answer to the same question, if there
// is one, and what came of both.
type pair struct {
	own  prediction.Prediction
	base *prediction.Prediction

	judgement             judgement
	row                   Row
	ownScores, baseScores []metric.Sample
	err                   error
}

// run scores every row and writes the scores to path. It holds as many rows as
// are judged at the same time.
func (s *scoring) run(ctx context.Context, in inputs, path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	done := int64(0)
	var waiting []*pair
	flush := func() error {
		s.score(ctx, waiting)
		for _, p := range waiting {
			if p.err != nil {
				return p.err
			}
			s.add(p)
			if err := enc.Encode(p.row); err != nil {
				return fmt.Errorf("scores of row %d: %w", p.own.Index, err)
			}
			done++
			if err := s.job.Progress(ctx, done, in.rows); err != nil {
				return err
			}
			if err := s.records.add(ctx, p.judgement, done); err != nil {
				return err
			}
		}
		waiting = waiting[:0]
		return nil
	}
	for p, err := range in.own {
		if err != nil {
			return engine.Permanent("bad_predictions", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		both := &pair{own: p}
		if in.base != nil {
			b, err, ok := in.base()
			if err != nil || !ok || b.Index != p.Index || b.Question != p.Question {
				return engine.Permanent("bad_predictions", errors.Join(err, fmt.Errorf("the base model's predictions do not belong to the same rows, from row %d on", p.Index)))
			}
			both.base = &b
		}
		if waiting = append(waiting, both); len(waiting) >= s.judging.rows() {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return w.Flush()
}

// score scores rows at the same time.
func (s *scoring) score(ctx context.Context, pairs []*pair) {
	var all sync.WaitGroup
	for _, p := range pairs {
		all.Go(func() { p.err = s.scoreOne(ctx, p) })
	}
	all.Wait()
}

// scoreOne scores a row. It runs on a goroutine of its own, so nobody else
// could turn a panic into an error.
func (s *scoring) scoreOne(ctx context.Context, p *pair) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("scores of row %d: a metric panicked: %v", p.own.Index, cause)
		}
	}()
	if p.judgement, err = s.judgement(ctx, p); err != nil {
		return err
	}
	own := p.judgement.Own
	p.ownScores = append(s.suite.Score(row(p.own)), own.Samples...)
	p.row = Row{
		Index: p.own.Index, Question: p.own.Question, GroundTruth: p.own.GroundTruth, Answer: p.own.Answer,
		KeyFact: p.own.KeyFact, Error: p.own.Error, Scores: finite(p.ownScores), Reasons: own.Reasons,
	}
	if p.base == nil {
		return nil
	}
	p.baseScores = append(s.suite.Score(row(*p.base)), p.judgement.Base.Samples...)
	p.row.BaselineAnswer, p.row.BaselineScores = p.base.Answer, finite(p.baseScores)
	return nil
}

// judgement is what the judges say about a row, or said at an earlier attempt.
func (s *scoring) judgement(ctx context.Context, p *pair) (judgement, error) {
	if had, ok := s.records.of(p.own.Index); ok {
		return had, nil
	}
	j := judgement{Index: p.own.Index}
	var err error
	if j.Own, err = s.judging.judge(ctx, p.own); err != nil {
		return j, err
	}
	j.whole = j.Own.whole
	if p.base != nil {
		if j.Base, err = s.judging.judge(ctx, *p.base); err != nil {
			return j, err
		}
		j.whole = j.whole && j.Base.whole
	}
	return j, nil
}

func (s *scoring) add(p *pair) {
	s.own.Add(p.ownScores)
	if s.base != nil {
		s.base.Add(p.baseScores)
	}
}

// row is what metrics see of a prediction.
func row(p prediction.Prediction) metric.Row {
	return metric.Row{Question: p.Question, Answer: p.Answer, GroundTruth: p.GroundTruth, KeyFact: p.KeyFact}
}

// finite are the scores of a row that JSON can hold.
func finite(samples []metric.Sample) map[string]float64 {
	scores := metric.Merge(samples)
	maps.DeleteFunc(scores, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return scores
}

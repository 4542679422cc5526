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

// scoring scores the rows of a job and aggregates the scores.
type scoring struct {
	job        *engine.Job
	suite      metric.Suite
	judging    *judging
	judgements *judgements // nil without a judge
	tuned      *metric.Aggregate
	baseline   *metric.Aggregate // nil without a baseline
}

// scoredRow is a row with the base model's answer to the same question, if there
// is one, and the scores of both.
type scoredRow struct {
	tuned    prediction.Prediction
	baseline *prediction.Prediction

	judgement                     judgement
	row                           Row
	tunedSamples, baselineSamples []metric.Sample
	err                           error
}

// run scores every row and writes the scores to path. It holds as many rows in
// memory as are judged at the same time.
func (s *scoring) run(ctx context.Context, in *inputs, path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	done := int64(0)
	var batch []*scoredRow
	flush := func() error {
		s.scoreAll(ctx, batch)
		for _, r := range batch {
			if r.err != nil {
				return r.err
			}
			s.aggregate(r)
			if err := enc.Encode(r.row); err != nil {
				return fmt.Errorf("scores of row %d: %w", r.tuned.Index, err)
			}
			done++
			if err := s.job.Progress(ctx, done, in.rows); err != nil {
				return err
			}
			if err := s.judgements.add(ctx, r.judgement, done); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	for p, err := range in.answers {
		if err != nil {
			return engine.Permanent("bad_predictions", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r, err := withBaseline(p, in.baseline)
		if err != nil {
			return err
		}
		if batch = append(batch, r); len(batch) >= s.judging.rows() {
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

// withBaseline pairs an answer with the base model's answer to the same row, if
// there is a baseline.
func withBaseline(p prediction.Prediction, next func() (prediction.Prediction, error, bool)) (*scoredRow, error) {
	r := &scoredRow{tuned: p}
	if next == nil {
		return r, nil
	}
	b, err, ok := next()
	if err != nil || !ok || b.Index != p.Index || b.Question != p.Question {
		mismatch := fmt.Errorf("the base model's predictions do not belong to the same rows, from row %d on", p.Index)
		return nil, engine.Permanent("bad_predictions", errors.Join(err, mismatch))
	}
	r.baseline = &b
	return r, nil
}

// scoreAll scores rows concurrently.
func (s *scoring) scoreAll(ctx context.Context, rows []*scoredRow) {
	var all sync.WaitGroup
	for _, r := range rows {
		all.Go(func() { r.err = s.score(ctx, r) })
	}
	all.Wait()
}

// score scores a row. It runs on a goroutine of its own, where a panic would end
// the process, so it turns a panic into an error.
func (s *scoring) score(ctx context.Context, r *scoredRow) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("scores of row %d: a metric panicked: %v", r.tuned.Index, cause)
		}
	}()
	if r.judgement, err = s.judge(ctx, r); err != nil {
		return err
	}
	judged := r.judgement.Tuned
	r.tunedSamples = append(s.suite.Score(metricRow(r.tuned)), judged.Samples...)
	r.row = Row{
		Index:       r.tuned.Index,
		Question:    r.tuned.Question,
		GroundTruth: r.tuned.GroundTruth,
		Answer:      r.tuned.Answer,
		KeyFact:     r.tuned.KeyFact,
		Error:       r.tuned.Error,
		Scores:      finiteScores(r.tunedSamples),
		Reasons:     judged.Reasons,
	}
	if r.baseline == nil {
		return nil
	}
	r.baselineSamples = append(s.suite.Score(metricRow(*r.baseline)), r.judgement.Baseline.Samples...)
	r.row.BaselineAnswer, r.row.BaselineScores = r.baseline.Answer, finiteScores(r.baselineSamples)
	return nil
}

// judge returns the judgement of a row: that of an earlier attempt, or a new
// one.
func (s *scoring) judge(ctx context.Context, r *scoredRow) (judgement, error) {
	if j, ok := s.judgements.earlier(r.tuned.Index); ok {
		return j, nil
	}
	j := judgement{Index: r.tuned.Index}
	var err error
	if j.Tuned, err = s.judging.judge(ctx, r.tuned); err != nil {
		return j, err
	}
	j.complete = j.Tuned.complete
	if r.baseline != nil {
		if j.Baseline, err = s.judging.judge(ctx, *r.baseline); err != nil {
			return j, err
		}
		j.complete = j.complete && j.Baseline.complete
	}
	return j, nil
}

func (s *scoring) aggregate(r *scoredRow) {
	s.tuned.Add(r.tunedSamples)
	if s.baseline != nil {
		s.baseline.Add(r.baselineSamples)
	}
}

// metricRow is a prediction as metrics read it.
func metricRow(p prediction.Prediction) metric.Row {
	return metric.Row{Question: p.Question, Answer: p.Answer, GroundTruth: p.GroundTruth, KeyFact: p.KeyFact}
}

// finiteScores are the scores of a row without those that JSON cannot hold.
func finiteScores(samples []metric.Sample) map[string]float64 {
	scores := metric.Merge(samples)
	maps.DeleteFunc(scores, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return scores
}

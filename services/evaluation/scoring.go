package evaluation

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// scoring scores the rows of a job and aggregates the scores.
type scoring struct {
	job        *engine.Job
	suite      metric.Suite
	judging    *judging    // nil if the specification names no judged metric
	judgements *judgements // nil without a judge
	mains      []string    // the keys of the main scores, by sample
	tuned      *metric.Aggregate
	baseline   *metric.Aggregate // nil without a baseline
	// stripped counts the answers that lost a think block, unclosed those of them
	// that were nothing else.
	stripped, unclosed int64
	strippedTruths     int64
	lacking            struct{ truth, answer int64 }
	// blank are the empty answers, and those of the base model.
	blank, blankBaseline blanks
}

func newScoring(job *engine.Job, suite metric.Suite, judging *judging, js *judgements, in *inputs) *scoring {
	judged := judging.mains()
	s := &scoring{job: job, suite: suite, judging: judging, judgements: js, mains: append(suite.Headlines(), judged...)}
	s.tuned = metric.NewAggregate(suite, judged...)
	if in.baseline != nil {
		s.baseline = metric.NewAggregate(suite, judged...)
	}
	return s
}

// run scores every row and writes the scores to path, in the order of the rows.
func (s *scoring) run(ctx context.Context, in *inputs, path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	scored := int64(0)
	flow := window{
		workers: s.judging.rows(),
		work:    s.score,
		finished: func(r *scoredRow) error {
			scored++
			if err := s.job.Progress(ctx, scored, in.tuned.Len()); err != nil {
				return err
			}
			return s.judgements.add(ctx, r.judgement, scored)
		},
		inOrder: func(r *scoredRow) error {
			s.aggregate(r)
			if err := enc.Encode(r.row); err != nil {
				return fmt.Errorf("scores of row %d: %w", r.tuned.Index, err)
			}
			return nil
		},
	}
	if err := flow.run(ctx, in.rows(ctx)); err != nil {
		return err
	}
	return w.Flush()
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
		References:  r.tuned.References,
		Answer:      r.tuned.Answer,
		Reasoning:   r.tuned.Reasoning,
		KeyFact:     r.tuned.KeyFact,
		Error:       r.tuned.Error,
		Scores:      metric.Merge(r.tunedSamples),
		Unscored:    s.unscored(r.tunedSamples),
		Reasons:     judged.Reasons,
	}
	if r.baseline == nil {
		return nil
	}
	r.baselineSamples = append(s.suite.Score(metricRow(*r.baseline)), r.judgement.Baseline.Samples...)
	r.row.BaselineAnswer, r.row.BaselineScores = r.baseline.Answer, metric.Merge(r.baselineSamples)
	r.row.BaselineUnscored = s.unscored(r.baselineSamples)
	return nil
}

// unscored are the reasons why a row has no main score, by its key.
func (s *scoring) unscored(samples []metric.Sample) map[string]string {
	var out map[string]string
	for i, sample := range samples {
		if sample.Missing == "" {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[s.mains[i]] = sample.Missing
	}
	return out
}

// judge returns the judgement of a row: that of an earlier attempt, or a new
// one.
func (s *scoring) judge(ctx context.Context, r *scoredRow) (judgement, error) {
	j := judgement{Position: r.tuned.Index}
	if s.judging == nil {
		return j, nil
	}
	j.Digest = r.digest()
	if earlier, ok := s.judgements.earlier(j); ok {
		return earlier, nil
	}
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
	s.blank.add(r.tuned, r.stripped || s.answersHere())
	if s.baseline != nil {
		s.baseline.Add(r.baselineSamples)
		s.blankBaseline.add(*r.baseline, s.answersHere())
	}
	if r.stripped {
		s.stripped++
		if r.tuned.Answer == "" {
			s.unclosed++
		}
	}
	if r.strippedTruth {
		s.strippedTruths++
	}
	if r.tuned.NoGroundTruth {
		s.lacking.truth++
	}
	if r.tuned.NoAnswer {
		s.lacking.answer++
	}
}

// answersHere reports whether the run made the answers itself. Inference tells of those that
// end in their reasoning.
func (s *scoring) answersHere() bool {
	return s.job.Request.Specification.Pipeline.EnableInference
}

// emptyNotes say how many answers are empty, of the model and of the base model.
func (s *scoring) emptyNotes() (notes []string) {
	help := emptyOfFile
	if s.answersHere() {
		help = emptyOfModel
	}
	if note := s.blank.note(help); note != "" {
		notes = append(notes, note)
	}
	if note := s.blankBaseline.note(help); note != "" {
		notes = append(notes, "base model: "+note)
	}
	return notes
}

// result sums the rows up.
func (s *scoring) result(res *engine.Result) {
	res.Scores, res.Coverage = s.tuned.Result(), coverage(s.tuned)
	res.Statistics = statistics(res.Scores, s.tuned.Rows())
	for name, n := range map[string]int64{"eval_rows_without_ground_truth": s.lacking.truth, "eval_rows_without_answer": s.lacking.answer} {
		if n > 0 {
			res.Statistics[name] = float64(n)
		}
	}
	if s.stripped > 0 {
		note := fmt.Sprintf("evaluator.strip_reasoning: %d of %d answers were scored without their think block", s.stripped, s.tuned.Rows())
		if s.unclosed > 0 {
			note += fmt.Sprintf("; %d of them have no text behind it, so that their answer is empty", s.unclosed)
		}
		res.Notes = append(res.Notes, note)
	}
	if s.strippedTruths > 0 {
		res.Notes = append(res.Notes, fmt.Sprintf("evaluator.strip_reasoning: %d of %d ground truths were compared without their think block",
			s.strippedTruths, s.tuned.Rows()))
	}
	res.Notes = append(res.Notes, s.emptyNotes()...)
	res.Notes = append(res.Notes, s.tuned.Notes()...)
	if s.baseline == nil {
		return
	}
	res.BaselineScores, res.BaselineCoverage = s.baseline.Result(), coverage(s.baseline)
	for _, note := range s.baseline.Notes() {
		res.Notes = append(res.Notes, "base model: "+note)
	}
}

// coverage says for how many rows each score stands.
func coverage(a *metric.Aggregate) map[string]events.Coverage {
	out := map[string]events.Coverage{}
	for key, scored := range a.Scored() {
		out[key] = events.Coverage{Scored: int64(scored), Rows: int64(a.Rows())}
	}
	return out
}

// statistics are the scores under the names that MLflow shows.
func statistics(scores map[string]float64, rows int) map[string]float64 {
	out := map[string]float64{"eval_rows": float64(rows)}
	for k, v := range scores {
		out["eval_"+k] = v
	}
	return out
}

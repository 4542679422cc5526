package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// inputs are the answers to score.
type inputs struct {
	tuned    *prediction.Answers
	baseline *prediction.Answers // nil where the run has no baseline
	strip    bool                // see [prediction.SplitReasoning]
}

// openInputs fetches the predictions of a job and reads them once, so that their
// faults are known before a judge is paid.
func openInputs(ctx context.Context, job *engine.Job) (*inputs, error) {
	req := job.Request
	if req.Inputs.Predictions == nil {
		return nil, engine.Permanent("missing_input", errors.New("evaluation: the run has no predictions"))
	}
	in := &inputs{strip: req.Specification.Evaluator.StripReasoning}
	var err error
	if in.tuned, err = openAnswers(ctx, job, *req.Inputs.Predictions, "predictions"); err != nil {
		return nil, fmt.Errorf("predictions: %w", err)
	}
	if ref := req.Inputs.BaselinePredictions; ref != nil {
		if in.baseline, err = openAnswers(ctx, job, *ref, "baseline-predictions"); err != nil {
			return nil, fmt.Errorf("predictions of the base model: %w", err)
		}
		if a, b := in.tuned.Len(), in.baseline.Len(); a != b {
			return nil, engine.Permanent("bad_predictions", fmt.Errorf(
				"the base model's predictions do not belong to the same rows: there are %d, and %d predictions", b, a))
		}
	}
	return in, in.check(req.Specification.Evaluator.Metrics)
}

func openAnswers(ctx context.Context, job *engine.Job, ref events.Reference, name string) (*prediction.Answers, error) {
	file, err := job.Fetch(ctx, ref, name+extension(ref))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	a, err := prediction.Open(ctx, AnswersSource(job.Request.Specification, file, cmp.Or(ref.Name, path.Base(ref.Key))))
	if err != nil && ctx.Err() == nil {
		return nil, engine.Permanent("bad_predictions", err)
	}
	return a, err
}

// AnswersSource is a file of answers as a specification has it read. name is what
// the person calls the file.
func AnswersSource(s events.Specification, file, name string) prediction.Source {
	named := func(column, otherwise string) string {
		if column == otherwise {
			return ""
		}
		return column
	}
	return prediction.Source{
		Path:      file,
		Name:      name,
		Encoding:  s.Inferencer.DataEncoding,
		Delimiter: s.Inferencer.DataDelimiter,
		Columns: prediction.Columns{
			Answer:      s.Evaluator.AnswerColumn,
			Question:    named(s.Inferencer.QuestionColumn, "question"),
			GroundTruth: named(s.Inferencer.GroundTruthColumn, "answer"),
		},
		NeedsGroundTruth: spec.NeedsGroundTruth(s.Evaluator.Metrics),
	}
}

// extension is that of the file's name where a person uploaded it from, or else of
// the store's key, since it says the format; JSON lines without one. Nothing else of
// a name that an event holds becomes a path.
func extension(ref events.Reference) string {
	for _, name := range []string{ref.Name, ref.Key} {
		if _, ok := reader.FormatOf(name); !ok {
			continue
		}
		name = strings.ToLower(name)
		extension := path.Ext(name)
		if extension == ".gz" || extension == ".zst" {
			extension = path.Ext(strings.TrimSuffix(name, extension)) + extension
		}
		return extension
	}
	return ".jsonl"
}

// check refuses answers of which no row could be scored.
func (in *inputs) check(metrics []string) error {
	if code, err := Unusable(in.tuned.Counts(), metrics); err != nil {
		return engine.Permanent(code, fmt.Errorf("predictions: %w", err))
	}
	return nil
}

// Unusable returns the error of answers of which these metrics could score no row, and
// its code.
func Unusable(n prediction.Counts, metrics []string) (code string, err error) {
	needTruth := len(metrics) > 0
	for _, m := range metrics {
		needTruth = needTruth && spec.NeedsGroundTruth([]string{m})
	}
	switch {
	case n.NoAnswer == n.Rows:
		why := "their column is empty; evaluator.answer_column names another one"
		if n.FirstError != "" {
			why = n.FirstError
		}
		return "no_answers", fmt.Errorf("none of %d rows has an answer: %s", n.Rows, why)
	case needTruth && n.NoGroundTruth == n.Rows:
		return "no_ground_truths", fmt.Errorf("none of %d rows has a ground truth, which every metric "+
			"of evaluator.metrics needs; inferencer.ground_truth_column names the column", n.Rows)
	}
	return "", nil
}

// notes say under which names the files are read, and how many rows lack what.
func (in *inputs) notes() []string {
	var notes []string
	for _, a := range []*prediction.Answers{in.tuned, in.baseline} {
		if a != nil {
			notes = append(notes, a.Notes()...)
		}
	}
	n := in.tuned.Counts()
	if n.NoGroundTruth+n.NoAnswer > 0 {
		notes = append(notes, fmt.Sprintf("predictions: of %d rows %d have no ground truth and %d have no answer; they are not scored "+
			"by the metrics that need it, and a mean is over the scored rows", n.Rows, n.NoGroundTruth, n.NoAnswer))
	}
	return notes
}

// rows pairs the answers with those of the base model to the same rows.
func (in *inputs) rows(ctx context.Context) iter.Seq2[*scoredRow, error] {
	return func(yield func(*scoredRow, error) bool) {
		var next func() (prediction.Prediction, error, bool)
		if in.baseline != nil {
			pull, stop := iter.Pull2(in.baseline.Rows(ctx))
			defer stop()
			next = pull
		}
		for p, err := range in.tuned.Rows(ctx) {
			if err != nil {
				yield(nil, engine.Permanent("bad_predictions", err))
				return
			}
			r, err := withBaseline(p, next)
			if err == nil {
				r.separate(in.strip)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// withBaseline pairs an answer with the base model's answer to the same row, if
// there is a baseline.
func withBaseline(p prediction.Prediction, next func() (prediction.Prediction, error, bool)) (*scoredRow, error) {
	r := &scoredRow{tuned: p}
	if next == nil {
		return r, nil
	}
	b, err, ok := next()
	if err != nil || !ok || b.Question != p.Question {
		mismatch := fmt.Errorf("the base model's predictions do not belong to the same rows, from row %d on", p.Index)
		return nil, engine.Permanent("bad_predictions", errors.Join(err, mismatch))
	}
	r.baseline = &b
	return r, nil
}

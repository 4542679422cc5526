package evaluation

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/phase"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// ArtifactScores is the scores artifact: one [Row] as JSON a line.
const ArtifactScores = "scores"

// Row is one line of the scores artifact.
type Row struct {
	Index          int64              `json:"index"`
	Question       string             `json:"question"`
	GroundTruth    string             `json:"ground_truth"`
	Answer         string             `json:"answer"`
	BaselineAnswer string             `json:"baseline_answer,omitempty"`
	KeyFact        string             `json:"key_fact,omitempty"`
	Scores         map[string]float64 `json:"scores,omitempty"`
	BaselineScores map[string]float64 `json:"baseline_scores,omitempty"`
	Error          string             `json:"error,omitempty"`
}

// Engine computes the reference metrics.
type Engine struct{}

// Run implements [phase.Engine].
func (Engine) Run(ctx context.Context, job *phase.Job) (phase.Result, error) {
	var res phase.Result
	suite, notes := suiteOf(job.Request.Specification.Evaluator)
	res.Notes = notes
	predictions, closeAll, err := open(ctx, job)
	if err != nil {
		return res, err
	}
	defer closeAll()
	path := filepath.Join(job.Scratch, "scores.jsonl")
	own, base, err := score(ctx, job, suite, predictions, path)
	if err != nil {
		return res, err
	}
	res.Scores = own.Result()
	if base != nil {
		res.BaselineScores = base.Result()
	}
	res.Statistics = statistics(res.Scores, own.Rows())
	var more []string
	res.Gates, more = gates(job.Request.Specification.Evaluator.Gates, res.Scores)
	res.Notes = append(res.Notes, more...)
	a, err := job.PutFile(ctx, ArtifactScores, prediction.MediaType, path)
	if err != nil {
		return res, err
	}
	res.Artifacts = []events.Artifact{a}
	return res, nil
}

// inputs are the rows to score, and the base model's answers to the same
// rows or nil.
type inputs struct {
	own  iter.Seq2[prediction.Prediction, error]
	base func() (prediction.Prediction, error, bool)
	rows int64
}

func open(ctx context.Context, job *phase.Job) (inputs, func(), error) {
	var in inputs
	if job.Request.Inputs.Predictions == nil {
		return in, nil, phase.Permanent("missing_input", errors.New("evaluation: the run has no predictions"))
	}
	var closers []io.Closer
	closeAll := func() {
		for _, c := range closers {
			_ = c.Close() // read only
		}
	}
	path, err := job.Fetch(ctx, *job.Request.Inputs.Predictions, prediction.FileName)
	if err != nil {
		return in, nil, fmt.Errorf("fetch predictions: %w", err)
	}
	if in.rows, err = count(path); err != nil {
		return in, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return in, nil, err
	}
	closers = append(closers, f)
	in.own = prediction.Read(f)
	if ref := job.Request.Inputs.BaselinePredictions; ref != nil {
		path, err := job.Fetch(ctx, *ref, prediction.BaselineFileName)
		if err != nil {
			closeAll()
			return in, nil, fmt.Errorf("fetch the base model's predictions: %w", err)
		}
		b, err := os.Open(path)
		if err != nil {
			closeAll()
			return in, nil, err
		}
		next, stop := iter.Pull2(prediction.Read(b))
		closers = append(closers, b, stopper(stop))
		in.base = next
	}
	return in, closeAll, nil
}

type stopper func()

// Close stops the iteration.
func (s stopper) Close() error {
	s()
	return nil
}

// score scores every row, writes the scores, and sums them up.
func score(ctx context.Context, job *phase.Job, suite metric.Suite, in inputs, path string) (own, base *metric.Aggregate, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	own = metric.NewAggregate(suite)
	if in.base != nil {
		base = metric.NewAggregate(suite)
	}
	done := int64(0)
	for p, err := range in.own {
		if err != nil {
			return nil, nil, phase.Permanent("bad_predictions", err)
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		row := Row{Index: p.Index, Question: p.Question, GroundTruth: p.GroundTruth, Answer: p.Answer, KeyFact: p.KeyFact, Error: p.Error}
		row.Scores = add(own, suite, p)
		if in.base != nil {
			b, err, ok := in.base()
			if err != nil || !ok || b.Index != p.Index || b.Question != p.Question {
				return nil, nil, phase.Permanent("bad_predictions", errors.Join(err, fmt.Errorf("the base model's predictions do not belong to the same rows, from row %d on", p.Index)))
			}
			row.BaselineAnswer = b.Answer
			row.BaselineScores = add(base, suite, b)
		}
		if err := enc.Encode(row); err != nil {
			return nil, nil, fmt.Errorf("scores of row %d: %w", p.Index, err)
		}
		done++
		if err := job.Progress(ctx, done, in.rows); err != nil {
			return nil, nil, err
		}
	}
	return own, base, w.Flush()
}

func add(a *metric.Aggregate, suite metric.Suite, p prediction.Prediction) map[string]float64 {
	samples := suite.Score(metric.Row{Question: p.Question, Answer: p.Answer, GroundTruth: p.GroundTruth, KeyFact: p.KeyFact})
	a.Add(samples)
	scores := metric.Merge(samples)
	for k, v := range scores {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			delete(scores, k)
		}
	}
	return scores
}

// count counts the lines that are not empty, for the progress.
func count(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := int64(0)
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 1 {
			n++
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, fmt.Errorf("count predictions: %w", err)
		}
	}
}

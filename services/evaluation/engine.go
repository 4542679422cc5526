package evaluation

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// Row is one line of the artifact [events.ArtifactScores].
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
	// Reasons are the judge's about Answer, by metric.
	Reasons map[string][]string `json:"reasons,omitempty"`
}

// Engine computes the reference metrics, and asks Judge for the judged ones.
type Engine struct {
	Judge Judge
	// SaveEvery is how often what the judges said is saved, so that a later
	// attempt need not ask them again. Default 30 s.
	SaveEvery time.Duration
}

// Run implements [engine.Engine].
func (e Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	var res engine.Result
	asked := job.Request.Specification.Evaluator
	suite, notes := suiteOf(asked)
	judging, more := e.Judge.open(asked)
	res.Notes = slices.Concat(Notes(asked), notes, more)
	predictions, closeAll, err := open(ctx, job)
	if err != nil {
		return res, err
	}
	defer closeAll()
	path, err := job.Scratch("scores.jsonl")
	if err != nil {
		return res, err
	}
	s := &scoring{job: job, suite: suite, judging: judging, own: metric.NewAggregate(suite)}
	if predictions.base != nil {
		s.base = metric.NewAggregate(suite)
	}
	if s.records, err = openRecords(job, judging, e.SaveEvery); err != nil {
		return res, err
	}
	defer s.records.close()
	if err = s.run(ctx, predictions, path); err != nil {
		return res, s.records.last(ctx, err)
	}
	res.Scores = s.own.Result()
	if s.base != nil {
		res.BaselineScores = s.base.Result()
	}
	res.Statistics = statistics(res.Scores, s.own.Rows())
	res.TokensIn, res.TokensOut, more = judging.finish(asked, res.Statistics)
	res.Notes = append(res.Notes, more...)
	res.Gates, more = gates(asked.Gates, res.Scores)
	res.Notes = append(res.Notes, more...)
	a, err := job.PutFile(ctx, events.ArtifactScores, prediction.MediaType, path)
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

func open(ctx context.Context, job *engine.Job) (inputs, func(), error) {
	var in inputs
	if job.Request.Inputs.Predictions == nil {
		return in, nil, engine.Permanent("missing_input", errors.New("evaluation: the run has no predictions"))
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

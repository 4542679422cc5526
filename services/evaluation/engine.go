package evaluation

import (
	"context"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
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
	// Reasons are the judge's reasons for the scores of Answer, by metric.
	Reasons map[string][]string `json:"reasons,omitempty"`
}

// Engine computes the reference metrics, and has Judge compute the judged ones.
type Engine struct {
	Judge Judge
	// SaveEvery is how often the judgements are saved, so that a later attempt
	// need not ask the judge again. Default 30 s.
	SaveEvery time.Duration
}

// Run implements [engine.Engine].
func (e Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	var res engine.Result
	s := job.Request.Specification.Evaluator
	suite, suiteNotes := newSuite(s)
	judging, judgeNotes := e.Judge.open(s)
	res.Notes = slices.Concat(
		spec.EngineNotes(job.Request.Specification, events.Evaluation, spec.Builtin).Lines(),
		suiteNotes, judgeNotes,
	)
	in, err := openInputs(ctx, job)
	defer in.close()
	if err != nil {
		return res, err
	}
	path, err := job.Scratch("scores.jsonl")
	if err != nil {
		return res, err
	}
	judgements, err := openJudgements(job, judging, e.SaveEvery)
	if err != nil {
		return res, err
	}
	defer judgements.close()
	sc := &scoring{job: job, suite: suite, judging: judging, judgements: judgements, tuned: metric.NewAggregate(suite)}
	if in.baseline != nil {
		sc.baseline = metric.NewAggregate(suite)
	}
	job.Stage(engine.StageScore)
	if err = sc.run(ctx, in, path); err != nil {
		return res, judgements.saveLast(ctx, err)
	}
	res.Scores = sc.tuned.Result()
	if sc.baseline != nil {
		res.BaselineScores = sc.baseline.Result()
	}
	res.Statistics = statistics(res.Scores, sc.tuned.Rows())
	var notes []string
	res.TokensIn, res.TokensOut, notes = judging.finish(s, res.Statistics)
	res.Notes = append(res.Notes, notes...)
	res.Gates, notes = gates(s.Gates, res.Scores)
	res.Notes = append(res.Notes, notes...)
	a, err := job.PutFile(ctx, events.ArtifactScores, prediction.MediaType, path)
	if err != nil {
		return res, err
	}
	res.Artifacts = []events.Artifact{a}
	return res, nil
}

package evaluation

import (
	"context"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Row is one line of the artifact [events.ArtifactScores].
type Row struct {
	// Index is the row's position in the file of answers, from 0.
	Index       int64  `json:"index"`
	Question    string `json:"question"`
	GroundTruth string `json:"ground_truth"`
	// References are all right answers where there are several.
	References []string `json:"references,omitempty"`
	// Answer is what was scored, Reasoning the think block before it.
	Answer         string             `json:"answer"`
	Reasoning      string             `json:"reasoning,omitempty"`
	BaselineAnswer string             `json:"baseline_answer,omitempty"`
	KeyFact        string             `json:"key_fact,omitempty"`
	Scores         map[string]float64 `json:"scores,omitempty"`
	BaselineScores map[string]float64 `json:"baseline_scores,omitempty"`
	// Unscored has the reason for each metric, by its main score, that Scores lacks.
	Unscored         map[string]string `json:"unscored,omitempty"`
	BaselineUnscored map[string]string `json:"baseline_unscored,omitempty"`
	Error            string            `json:"error,omitempty"`
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
	judging := e.Judge.open(s)
	res.Notes = slices.Concat(spec.EngineNotes(job.Request.Specification, events.Evaluation, spec.Builtin).Lines(), suiteNotes)
	in, err := openInputs(ctx, job)
	if in != nil {
		res.Notes = append(res.Notes, in.notes()...)
	}
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
	sc := newScoring(job, suite, judging, judgements, in)
	job.Stage(engine.StageScore)
	if err = sc.run(ctx, in, path); err != nil {
		return res, judgements.saveLast(ctx, err)
	}
	sc.result(&res)
	res.TokensIn, res.TokensOut = judging.finish(s, res.Statistics)
	var notes []string
	res.Gates, notes = gates(s, res.Scores, res.Coverage)
	res.Notes = append(res.Notes, notes...)
	a, err := job.PutFile(ctx, events.ArtifactScores, prediction.MediaType, path)
	if err != nil {
		return res, err
	}
	res.Artifacts = []events.Artifact{a}
	return res, nil
}

package evaluation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/evaluation/judge"
	"github.com/tunebus/tunebus/services/evaluation/metric"
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

// newSuite returns the reference metrics that the specification names, and a
// note for each unknown metric. [Judge] makes the judged metrics.
func newSuite(s events.Evaluator) (metric.Suite, []string) {
	var suite metric.Suite
	var notes []string
	for _, name := range s.Metrics {
		m, err := metric.New(name, metric.Options{})
		if err == nil {
			suite = append(suite, m)
			continue
		}
		if slices.Contains(judge.Names(), name) {
			continue
		}
		if unknown, ok := errors.AsType[*metric.UnknownMetricError](err); ok {
			known := strings.Join(append(unknown.Known, judge.Names()...), ", ")
			notes = append(notes, fmt.Sprintf("metric %s has no score: known are %s", name, known))
			continue
		}
		notes = append(notes, fmt.Sprintf("metric %s has no score: %v", name, err))
	}
	return suite, notes
}

// The share of the rows that need a score for a gate to be met, unless the
// specification says it.
const (
	referenceCoverage = 1.0
	judgedCoverage    = 0.95 // a judge may refuse a few texts whatever one does
)

// gates compares scores with the thresholds of the specification. A gate on a score
// that no row has, or too few rows, is missed, with the reason in a note.
func gates(s events.Evaluator, scores map[string]float64, coverage map[string]events.Coverage) ([]events.Gate, []string) {
	var out []events.Gate
	var notes []string
	for _, name := range slices.Sorted(maps.Keys(s.Gates)) {
		v, ok := scores[name]
		g := events.Gate{Metric: name, AtLeast: s.Gates[name], Score: v, Met: ok && v >= s.Gates[name]}
		c, need := coverage[name], gateCoverage(s, name)
		// Shares such as 0.95 have no exact form in binary.
		const rounding = 1e-9
		switch {
		case !ok:
			g.Reason = "no row has this score"
			notes = append(notes, fmt.Sprintf("gate %s is missed: %s (evaluator.gate_coverage)", name, g.Reason))
		case float64(c.Scored) < need*float64(c.Rows)-rounding:
			low := ""
			if !g.Met { // who sees to the rows alone would miss the gate again
				low = fmt.Sprintf("; and the score is below %v", g.AtLeast)
			}
			g.Met = false
			g.Reason = fmt.Sprintf("%d of %d rows have the score, %.4g %% are needed", c.Scored, c.Rows, 100*need)
			notes = append(notes, fmt.Sprintf("gate %s is missed: %s (evaluator.gate_coverage)%s", name, g.Reason, low))
			g.Reason += low
		}
		out = append(out, g)
	}
	return out, notes
}

// gateCoverage is the share of the rows that need a score.
func gateCoverage(s events.Evaluator, score string) float64 {
	if s.GateCoverage > 0 {
		return s.GateCoverage
	}
	for _, name := range judge.Names() {
		if slices.Contains(spec.Scores(name), score) {
			return judgedCoverage
		}
	}
	return referenceCoverage
}

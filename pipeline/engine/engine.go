package engine

import (
	"context"

	"github.com/tunebus/tunebus/events"
)

// Engine does the work of a phase.
type Engine interface {
	// Run works on a job. It has to return soon after ctx ends: within half a
	// second if it can, or after it has saved a last checkpoint where
	// [Job.Saving] allows one. A result that comes after the end of ctx counts
	// only if the error is nil. Errors are retried unless they are [Permanent].
	Run(ctx context.Context, job *Job) (Result, error)
}

// Func is a function that is an [Engine].
type Func func(ctx context.Context, job *Job) (Result, error)

// Run calls f.
func (f Func) Run(ctx context.Context, job *Job) (Result, error) { return f(ctx, job) }

// Result is what a phase made. It travels in the phase's completed event.
type Result struct {
	// Artifacts are stored below the attempt's own prefix, see [Job.Key].
	Artifacts []events.Artifact
	// Datasets are the data sets of the specification that the engine read.
	Datasets []events.Dataset
	// Statistics are shown in MLflow under the same names.
	Statistics map[string]float64
	// Scores are those of the tuned model, BaselineScores those of the base
	// model.
	Scores, BaselineScores map[string]float64
	// Coverage and BaselineCoverage say for how many rows each score stands.
	Coverage, BaselineCoverage map[string]events.Coverage
	Gates                      []events.Gate
	TokensIn, TokensOut        int64
	// Logs are artifacts that are kept also if the engine returns an error. Their names
	// differ from attempt to attempt.
	Logs []events.Artifact
	// Used are values that were used in place of those of the specification, by key.
	Used map[string]string
	// Notes name the options that were asked for and not honoured.
	Notes []string
}

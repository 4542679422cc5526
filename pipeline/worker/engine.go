package worker

import (
	"context"
	"errors"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// Engine does the work of a phase.
type Engine interface {
	// Run works on a job. It has to return soon after ctx ends, within half a
	// second if it can, or after it has saved a last checkpoint where
	// [Job.Saving] allows one. Whatever it returns then is ignored unless it
	// succeeded. Errors are tried again unless they are [Permanent].
	Run(ctx context.Context, job *Job) (Result, error)
}

// EngineFunc is a function that is an [Engine].
type EngineFunc func(ctx context.Context, job *Job) (Result, error)

// Run calls f.
func (f EngineFunc) Run(ctx context.Context, job *Job) (Result, error) { return f(ctx, job) }

// Result is what a phase made.
type Result struct {
	// Artifacts are stored below the attempt's own prefix, see [Job.Key].
	Artifacts []events.Artifact
	// Datasets are those of the specification that were read.
	Datasets               []events.Dataset
	Statistics             map[string]float64
	Scores, BaselineScores map[string]float64
	Gates                  []events.Gate
	TokensIn, TokensOut    int64
	// Notes name what was asked for and could not be honoured.
	Notes []string
}

// Fault is an error with a code for programs. A permanent one is not tried
// again.
type Fault struct {
	Code      string
	Permanent bool
	Err       error
}

func (e *Fault) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Fault) Unwrap() error { return e.Err }

// Permanent marks an error that would come again however often the job was
// tried, such as a missing column. code is a stable, lower-case word.
func Permanent(code string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err // whoever stops the work says nothing about it
	}
	return &Fault{Code: code, Permanent: true, Err: err}
}

// problem is err as it travels.
func problem(err error) *events.Problem {
	p := &events.Problem{Code: "error", Message: err.Error()}
	var f *Fault
	if errors.As(err, &f) && f.Code != "" {
		p.Code = f.Code
	}
	const most = 4096 // an event stays far under 64 KiB
	if len(p.Message) > most {
		p.Message = strings.ToValidUTF8(p.Message[:most], "") + " …"
	}
	return p
}

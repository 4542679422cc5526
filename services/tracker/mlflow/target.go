package mlflow

import (
	"context"
	"time"
)

// Target is an MLflow store. Several goroutines may use it.
type Target interface {
	Runs
	Values
	Artifacts
	Models
}

// Runs creates experiments and runs, and ends runs.
type Runs interface {
	// EnsureExperiment returns the id of the experiment with this name. It
	// creates the experiment if there is none and restores a deleted one.
	EnsureExperiment(ctx context.Context, name string) (string, error)
	// EnsureRun returns the id of the run with this key. It creates the run as
	// r describes it if there is none; an existing run stays as it is. If
	// several runs have the key, the oldest one stays and the others are
	// deleted. Of those that started at the same time, one that has ended
	// stays, or else the first by id. One writer at a time should work on a
	// key: if two meet, one of them may find its run deleted and has to start
	// again.
	EnsureRun(ctx context.Context, experimentID string, key RunKey, r Run) (string, error)
	// FindRuns finds the runs with these keys, which are of one pipeline run, in the
	// experiment with this name. It creates and restores nothing: without the
	// experiment there are none.
	FindRuns(ctx context.Context, experiment string, keys []RunKey) ([]FoundRun, error)
	// EndRun sets the end time of a run and its status, which is not Running.
	EndRun(ctx context.Context, runID string, status Status, end time.Time) error
	// RunURL is the address at which people find the run.
	RunURL(experimentID, runID string) string
}

// Values adds values to runs, which may have ended.
type Values interface {
	// LogParams adds parameters. MLflow never changes a parameter: one that
	// exists with another value keeps it, and a [*ParamConflictError] names it
	// after all others were written.
	LogParams(ctx context.Context, runID string, params []Param) error
	// LogMetrics adds metric points; a point that exists is not added again.
	LogMetrics(ctx context.Context, runID string, points []Metric) error
	// SetTags sets tags; the newest value stays.
	SetTags(ctx context.Context, runID string, tags []Tag) error
	// LogInputs adds data sets as inputs. A run holds a data set (name and
	// digest) once: the first context stays.
	LogInputs(ctx context.Context, runID string, datasets []Dataset) error
}

// Artifacts stores the files of runs.
type Artifacts interface {
	// PutArtifact stores a file and replaces one with the same path.
	PutArtifact(ctx context.Context, runID string, a Artifact) error
	// ListArtifacts lists one level of the artifacts of a run, sorted by path.
	// An empty dir is the top level; a dir that does not exist is empty.
	ListArtifacts(ctx context.Context, runID, dir string) ([]ArtifactInfo, error)
}

package mlflow

import (
	"context"
	"fmt"
	"io"
	"time"
)

// The tags that both targets set or read.
const (
	TagRunID  = "tunebus.run_id"
	TagPhase  = "tunebus.phase"
	TagParent = "mlflow.parentRunId"
	TagName   = "mlflow.runName"
	TagUser   = "mlflow.user"
)

// RunKey identifies an MLflow run by the tags [TagRunID] and [TagPhase].
type RunKey struct {
	RunID string // id of the pipeline run
	Phase string // name of the phase; "pipeline" or any other fixed word for the parent
}

// FoundRun is an MLflow run that exists.
type FoundRun struct {
	ID, ExperimentID string
	Key              RunKey
}

// Run describes a new MLflow run.
type Run struct {
	Name      string
	StartTime time.Time
	Tags      []Tag
	ParentID  string // id of the MLflow parent run; empty for a parent
}

// Param is a parameter of a run, written once.
type Param struct{ Key, Value string }

// Tag is a tag of a run.
type Tag struct{ Key, Value string }

// Metric is one point of the history of a metric.
type Metric struct {
	Key       string
	Value     float64 // may be NaN or infinite
	Timestamp time.Time
	Step      int64
}

// Dataset is an input of a run.
type Dataset struct {
	Name       string
	Digest     string // cut at 36 characters
	SourceType string // MLflow's name of it: "hf", "local", "http", ...
	Source     string // JSON, such as {"uri":"file:///data/train.jsonl"}
	Schema     string // JSON, may be empty
	Profile    string // JSON, may be empty
	Context    string // "training", "validation", "testing", ...
}

// Artifact is a file to store with a run.
type Artifact struct {
	Path string // relative, with forward slashes
	Size int64  // bytes; -1 if unknown
	// Open returns the content from its beginning. Every try calls it once: a
	// broken upload leaves nothing and is repeated as a whole.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Local is where the content lies on this machine, in a file that nobody
	// changes; empty if there is none. A target on the same file system gives
	// that file a second name instead of copying it.
	Local string
}

// ArtifactInfo is one entry of a list of artifacts.
type ArtifactInfo struct {
	Path string // from the top of the run's artifacts
	Size int64  // bytes; 0 for a folder
	Dir  bool
}

// Status is the status of a run, spelled as MLflow spells it.
type Status string

// The statuses of a run.
const (
	Running  Status = "RUNNING"
	Finished Status = "FINISHED"
	Failed   Status = "FAILED"
	Killed   Status = "KILLED"
)

// CheckEnd returns an error unless a run can end with this status. MLflow
// itself ignores a status that it does not know, without an error.
func (s Status) CheckEnd() error {
	switch s {
	case Finished, Failed, Killed:
		return nil
	default:
		return fmt.Errorf("status %q: use %s, %s or %s", string(s), Finished, Failed, Killed)
	}
}

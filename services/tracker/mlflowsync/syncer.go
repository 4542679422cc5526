package mlflowsync

import (
	"context"
	"io"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// Config says which MLflow a run is written to.
type Config struct {
	// TrackingURI is the address for runs whose specification names none.
	TrackingURI string
	// Home, if set, is the address instead of TrackingURI for a run.
	Home func(run events.Run) string
	// Allowed are the origins, scheme://host:port, of further servers that a
	// specification may name.
	Allowed []string
	// FileRoot is the folder that contains the file: addresses that a
	// specification may name. Default: it may name none.
	FileRoot string
	// AnyFolder allows every existing folder for marking deleted runs.
	AnyFolder bool
	// To, if set, is the address for every run.
	To string
	// Credentials returns the options for an address.
	Credentials func(uri string) restapi.Options
	// Open opens a target. Default: [Open].
	Open func(uri string, opt restapi.Options) (mlflow.Target, error)
	// Version is the version of this program.
	Version string
}

// ArtifactStore is the store of the artifacts that phases made.
type ArtifactStore interface {
	ID() string
	Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error)
}

// PublishedMetrics calls each for the metric events of a phase that the stream
// holds, in the order of the stream.
type PublishedMetrics func(ctx context.Context, run string, p events.Phase, each func(events.Event)) error

// Syncer writes pipeline runs to MLflow.
type Syncer struct {
	addresses addressPolicy
	targets   targetCache
	store     ArtifactStore
	metrics   PublishedMetrics
	version   string
}

// New returns a syncer that copies artifacts from store.
func New(cfg Config, store ArtifactStore, metrics PublishedMetrics) *Syncer {
	if cfg.Credentials == nil {
		cfg.Credentials = func(string) restapi.Options { return restapi.Options{} }
	}
	if cfg.Open == nil {
		cfg.Open = Open
	}
	return &Syncer{
		addresses: addressPolicy{home: cfg.TrackingURI, homes: cfg.Home, allowed: cfg.Allowed, fileRoot: cfg.FileRoot, anyFolder: cfg.AnyFolder, override: cfg.To},
		targets:   targetCache{open: func(uri string) (mlflow.Target, error) { return cfg.Open(uri, cfg.Credentials(uri)) }},
		store:     store,
		metrics:   metrics,
		version:   cfg.Version,
	}
}

// Result is what a sync wrote.
type Result struct {
	// Links are the addresses of the MLflow runs, by "mlflow_<phase>".
	Links map[string]string
	// Gaps describe what MLflow will never take.
	Gaps []string
	// Notes say what was gone before a deleted run was to be marked.
	Notes []string
	// Running are the MLflow runs of the phases that have not completed.
	Running []RunningPhase
}

// RunningPhase is the MLflow run of a phase that has not completed.
type RunningPhase struct {
	Phase  events.Phase
	Target mlflow.Target
	ID     string // of the MLflow run
}

// Sync writes a run and its report files. After an error the result holds what
// was written before.
func (s *Syncer) Sync(ctx context.Context, snapshot projection.Snapshot, files []report.File) (Result, error) {
	target, err := s.target(snapshot.Run)
	if err != nil {
		// The specification does not change, so a retry would not help.
		return Result{Links: map[string]string{}, Gaps: []string{err.Error()}}, nil
	}
	experiment, err := target.EnsureExperiment(ctx, snapshot.Run.Accepted.Specification.MLflow.ExperimentName)
	if err != nil {
		return Result{}, err
	}
	w := &mlflowWriter{
		target:     target,
		experiment: experiment,
		store:      s.store,
		metrics:    s.metrics,
		result:     Result{Links: map[string]string{}},
	}
	parent := snapshot.Parent(s.version)
	other, err := isNamesake(ctx, target, snapshot, parent)
	if err != nil {
		return w.result, err
	}
	if other { // a retry would not help
		w.result.Gaps = append(w.result.Gaps, namesakeGap(snapshot.Run.ID))
		return w.result, nil
	}
	err = w.writeAll(ctx, snapshot, parent, files)
	return w.result, err
}

// IsHome reports whether a run is written to the address that it belongs to,
// and not copied to another one.
func (s *Syncer) IsHome(run events.Run) bool {
	if s.addresses.override == "" {
		return true
	}
	home, err := s.addresses.homeOf(run)
	return err == nil && home == s.addresses.override
}

// target returns the target of the run.
func (s *Syncer) target(run events.Run) (mlflow.Target, error) {
	uri, err := s.addresses.addressOf(run)
	if err != nil {
		return nil, err
	}
	return s.targets.get(uri)
}

package tracker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/reportfolder"
	"github.com/tunebus/tunebus/services/tracker/livemetrics"
	"github.com/tunebus/tunebus/services/tracker/mlflowsync"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// written is the result of writing a run.
type written struct {
	// links lead to the MLflow runs and the report files.
	links map[string]string
	// gaps describe what MLflow will never take, and facts that cannot be
	// read; of a deleted run what could not be removed or marked.
	gaps []string
	// notes are about a deleted run.
	notes []string
}

// runWriter writes everything that follows from a run: its reports, its entry
// in the list of runs, and MLflow. An error is a [*pendingError]: where the reports cannot
// be written, MLflow shows the run all the same, without their files.
type runWriter struct {
	reports *reportWriter
	mlflow  *mlflowsync.Syncer
	live    *livemetrics.Forwarder
}

func (w *runWriter) writeAll(ctx context.Context, snapshot projection.Snapshot) (written, error) {
	files, reports := w.reports.write(ctx, snapshot)
	if reports != nil && ctx.Err() != nil {
		return written{}, &pendingError{reports: reports}
	}
	// A completed phase sends its metric history from here on.
	for p, state := range snapshot.Run.Phases {
		if state.Completed != nil {
			w.live.Detach(snapshot.Run.ID, p)
		}
	}
	result, err := w.mlflow.Sync(ctx, snapshot, files)
	for _, r := range result.Running {
		w.live.Attach(snapshot.Run.ID, r.Phase, r.Target, r.ID)
	}
	if reports != nil || err != nil {
		return written{}, &pendingError{reports: reports, mlflow: err}
	}
	for _, f := range files {
		result.Links[f.Name] = f.Path
	}
	return written{links: result.Links, gaps: append(result.Gaps, snapshot.Unreadable...)}, nil
}

func (w *runWriter) tidy(run events.Run) error { return w.reports.tidy(run) }

// pendingError says which parts of a run could not be written. One that fails keeps the
// other from nothing.
type pendingError struct {
	reports, mlflow error // nil: the part is written
}

func (e *pendingError) Error() string {
	var parts []string
	if e.reports != nil {
		parts = append(parts, fmt.Sprintf("reports: %v", e.reports))
	}
	if e.mlflow != nil {
		parts = append(parts, fmt.Sprintf("MLflow: %v", e.mlflow))
	}
	return strings.Join(parts, "; ")
}

func (e *pendingError) Unwrap() []error {
	return slices.DeleteFunc([]error{e.reports, e.mlflow}, func(err error) bool { return err == nil })
}

// reportWriter writes the report files of a run and its entry in the list.
type reportWriter struct {
	dir       string // empty: no reports
	homeOf    func(events.Run) Home
	earlier   []string // further folders with reports
	roots     []string // data roots of the services
	on        []string // flags of commands on a run
	list      *runlist.Buffer
	writeFile func(ctx context.Context, dir string, r report.Report) ([]report.File, error)
	store     mlflowsync.ArtifactStore
	// anyFolder is set if the reports of a deleted run are removed wherever they are.
	anyFolder bool
}

// write writes the entry, and the files of a run that has ended.
func (w *reportWriter) write(ctx context.Context, snapshot projection.Snapshot) ([]report.File, error) {
	if w.dir == "" {
		return nil, nil
	}
	entry := runlist.EntryOf(snapshot.Run)
	entry.Sequence = snapshot.NewestSequence
	home := w.homeOf(snapshot.Run)
	add := w.list.Add
	if home.Reports != w.dir {
		add = func(ctx context.Context, e runlist.Entry) error { return runlist.New(home.Reports).Update(ctx, e) }
	}
	if err := add(ctx, entry); err != nil {
		return nil, err
	}
	if snapshot.Run.Completed == nil {
		return nil, nil
	}
	dir, err := reportfolder.OfRun(home.Reports, snapshot.Run)
	if err != nil {
		return nil, err
	}
	return w.writeFile(ctx, dir, report.Report{
		Run:         snapshot.Run,
		Scores:      w.open(snapshot.Run, events.Evaluation, events.ArtifactScores),
		Losses:      w.open(snapshot.Run, events.Finetune, events.ArtifactMetrics),
		Size:        w.size,
		TrackingURI: home.TrackingURI,
		Roots:       w.roots,
		On:          w.on,
	})
}

// size is how many bytes an artifact has; of a folder all its files together. It is 0
// where that cannot be read here.
func (w *reportWriter) size(ctx context.Context, ref events.Reference) int64 {
	if !manifest.Is(ref) {
		return ref.Size
	}
	if ref.Store != w.store.ID() {
		return 0
	}
	r, err := w.store.Get(ctx, ref)
	if err != nil {
		return 0
	}
	m, err := manifest.Read(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return 0
	}
	return m.Bytes()
}

// tidy removes the temporary files that a killed process left in the report
// folder of a run. The caller holds the lease of the run.
func (w *reportWriter) tidy(run events.Run) error { return report.Tidy(w.homeOf(run).Reports, run) }

// open opens an artifact of a phase. It is nil if there is none in this store.
func (w *reportWriter) open(run events.Run, phase events.Phase, name string) func(context.Context) (io.ReadCloser, error) {
	p := run.Phases[phase]
	if p == nil || p.Completed == nil {
		return nil
	}
	ref, ok := p.Completed.Artifact(name)
	if !ok || ref.Store != w.store.ID() {
		return nil
	}
	return func(ctx context.Context) (io.ReadCloser, error) { return w.store.Get(ctx, ref) }
}

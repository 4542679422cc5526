package tracker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/services/tracker/livemetrics"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/mlflowsync"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// noArtifacts is an artifact store of which nothing is read.
type noArtifacts struct{}

func (noArtifacts) ID() string { return "here" }

func (noArtifacts) Get(context.Context, events.Reference) (io.ReadCloser, error) {
	return nil, errors.New("nothing is stored")
}

// awayTarget is an MLflow that answers nothing.
type awayTarget struct {
	mlflow.Target
	err error
}

func (a awayTarget) EnsureExperiment(context.Context, string) (string, error) { return "", a.err }

// newRunWriter returns a writer of reports in a folder and of MLflow's files in another one; away,
// if set, is the error of MLflow.
func newRunWriter(reports, tracking string, away error) *runWriter {
	cfg := Config{Reports: reports, TrackingURI: "file:" + tracking, Open: func(uri string, opt restapi.Options) (mlflow.Target, error) {
		if away != nil {
			return awayTarget{err: away}, nil
		}
		return mlflowsync.Open(uri, opt)
	}}
	return &runWriter{
		reports: &reportWriter{dir: reports, homeOf: cfg.homeOf, list: runlist.NewBuffer(reports), writeFile: report.Write, store: noArtifacts{}},
		mlflow:  mlflowsync.New(cfg.forSync(), noArtifacts{}, nil),
		live:    livemetrics.New(nil, nil, slog.New(slog.DiscardHandler)),
	}
}

// endedFacts are those of a run that has ended.
func endedFacts() storedFacts {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	asked := events.PipelineAccepted{RunID: "r", RunName: "nightly", RequestedAt: began}
	asked.Specification.MLflow.ExperimentName = "e"
	return stored(asked, events.PipelineCompleted{RunID: "r", Conclusion: events.Success, StartedAt: began, EndedAt: began.Add(time.Minute)})
}

// filesNamed are the files below a folder that have a name.
func filesNamed(t *testing.T, root, name string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if filepath.Base(path) == name {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

// TestReportsAndMLflowAreIndependent: where one of both cannot be written, the other one is, the
// log says which one is missing, and the run becomes tracked once both are there.
func TestReportsAndMLflowAreIndependent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	reports, tracking := filepath.Join(file, "reports"), filepath.Join(dir, "mlruns") // no folder can be below a file
	var log bytes.Buffer
	try := func(w *runWriter) (*fixture, error) {
		log.Reset()
		f := newFixture(endedFacts(), w)
		f.log = slog.New(slog.NewTextHandler(&log, nil))
		return f, f.reconcile(t.Context(), "r", 0)
	}
	f, err := try(newRunWriter(reports, tracking, nil))
	later, ok := errors.AsType[*delivery.RetryAfter](err)
	if !ok || later.Delay != f.retry || len(f.completions) != 0 {
		t.Errorf("without reports: %v, %d completions", err, len(f.completions))
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="reports not written"`) || !strings.Contains(got, "not a directory") || strings.Contains(got, ".tmp-") {
		t.Errorf("without reports: log\n%s", got)
	}
	tags := filesNamed(t, tracking, "tunebus.run_id")
	if len(tags) != 1 {
		t.Fatalf("without reports: MLflow has %v", tags)
	}
	if meta, err := os.ReadFile(filepath.Join(filepath.Dir(tags[0]), "..", "meta.yaml")); err != nil || !strings.Contains(string(meta), "end_time: 1767323105000") {
		t.Errorf("without reports: MLflow does not show the end: %v\n%s", err, meta)
	}

	reports, away := filepath.Join(dir, "reports"), errors.New("away")
	f, err = try(newRunWriter(reports, tracking, away))
	if !errors.Is(err, away) || len(f.completions) != 0 || len(filesNamed(t, reports, report.PipelineSummaryName)) != 1 {
		t.Errorf("without MLflow: %v, %d completions", err, len(f.completions))
	}

	f, err = try(newRunWriter(reports, tracking, nil))
	if err != nil || len(f.completions) != 1 || f.completions[0].written.links[report.PipelineSummaryName] == "" || log.Len() != 0 {
		t.Errorf("with both: %v, %d completions\n%s", err, len(f.completions), &log)
	}
	if files := filesNamed(t, tracking, report.PipelineSummaryName); len(files) != 1 {
		t.Errorf("with both: MLflow has %v", files)
	}
}

// TestRemovalOfReportsAndMLflowAreIndependent: reports that cannot be removed do not keep MLflow
// from the mark that the run is deleted.
func TestRemovalOfReportsAndMLflowAreIndependent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reports, tracking := filepath.Join(dir, "reports"), filepath.Join(dir, "mlruns")
	w := newRunWriter(reports, tracking, nil)
	if _, err := w.writeAll(t.Context(), projection.FromFacts(endedFacts())); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(reports), os.WriteFile(reports, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	deleted := events.PipelineDeleted{RunID: "r", ExperimentName: "e", RequestedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	_, err := w.remove(t.Context(), projection.FromFacts(stored(deleted)))
	pending, ok := errors.AsType[*pendingError](err)
	if !ok || pending.reports == nil || pending.mlflow != nil {
		t.Errorf("error %v", err)
	}
	if marks := filesNamed(t, tracking, "tunebus.deleted"); len(marks) != 1 {
		t.Errorf("MLflow has the marks %v", marks)
	}
}

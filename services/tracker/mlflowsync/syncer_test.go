package mlflowsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// store is an artifact store in memory.
type store map[string]string

func (s store) ID() string { return "here" }

func (s store) Get(_ context.Context, ref events.Reference) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(s[ref.Key])), nil
}

// put stores an artifact and returns its reference.
func (s store) put(name, key, content string) events.Artifact {
	s[key] = content
	return events.Artifact{Name: name, Reference: events.Reference{Store: "here", Key: key, Size: int64(len(content))}}
}

func noMetrics(context.Context, string, events.Phase, func(events.Event)) error { return nil }

// snapshotOf is a run with fine-tuning and evaluation, of which some phases
// are completed.
func snapshotOf(completed ...events.PhaseCompleted) projection.Snapshot {
	plan := []events.Step{{Phase: events.Finetune}, {Phase: events.Evaluation}}
	accepted := events.PipelineAccepted{RunID: "r", RunName: "nightly", RequestedAt: began, Plan: plan}
	accepted.Specification.MLflow.ExperimentName = "e"
	facts := []events.Fact{accepted}
	for _, step := range plan {
		facts = append(facts,
			events.PhaseRequested{RunID: "r", Phase: step.Phase, Queue: "builtin"},
			events.PhaseStarted{RunID: "r", Phase: step.Phase, Attempt: 1, StartedAt: began})
	}
	var stored []codec.Message
	for _, f := range facts {
		stored = append(stored, codec.Message{Event: f, Subject: f.Subject(), Sequence: uint64(len(stored) + 1)})
	}
	for _, c := range completed {
		c.RunID, c.Attempt, c.Conclusion, c.StartedAt, c.EndedAt = "r", 1, events.Success, began, began.Add(time.Minute)
		stored = append(stored, codec.Message{Event: c, Subject: c.Subject(), Sequence: uint64(len(stored) + 1)})
	}
	return projection.FromFacts(stored)
}

// read returns a file of the only run below root that has it, or "".
func read(t *testing.T, root string, name ...string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(append([]string{root, "*", "*"}, name...)...))
	if err != nil || len(files) == 0 {
		return ""
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSyncNamesake: a run of another data folder with the same id is not mixed with the one that is
// in MLflow, and its deletion does not mark that one.
func TestSyncNamesake(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	s := New(Config{TrackingURI: "file:" + root, Version: "1"}, store{}, noMetrics)
	mine, other := snapshotOf(), snapshotOf()
	later := *other.Run.Accepted
	later.RequestedAt, later.RunName, later.Labels = began.Add(time.Millisecond), "other", map[string]string{"of": "another"}
	other.Run.Accepted = &later
	sync := func(snapshot projection.Snapshot) Result {
		t.Helper()
		result, err := s.Sync(t.Context(), snapshot, nil)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	if got := sync(mine); len(got.Gaps) != 0 || len(got.Links) != 3 {
		t.Fatalf("%+v", got)
	}
	if got := sync(other); len(got.Gaps) != 1 || !strings.Contains(got.Gaps[0], "another data folder") || len(got.Links) != 0 || len(got.Running) != 0 {
		t.Errorf("the namesake: %+v", got)
	}
	if read(t, root, "tags", "label.of") != "" || read(t, root, "tags", "mlflow.runName") == "other" {
		t.Error("both are mixed")
	}
	if got := sync(mine); len(got.Gaps) != 0 || len(got.Links) != 3 {
		t.Errorf("again: %+v", got)
	}
	deleted := events.PipelineDeleted{RunID: "r", ExperimentName: "e", DeletedAt: began, Links: map[string]string{"config.toml": "/x"}}
	if got, err := s.MarkDeleted(t.Context(), deleted); err != nil || len(got.Links)+len(got.Gaps) != 0 || read(t, root, "tags", TagDeleted) != "" {
		t.Errorf("the deletion of the namesake: %+v, %v", got, err)
	}
	deleted.Links, deleted.RequestedAt = nil, later.RequestedAt // it was not tracked to its end
	if got, err := s.MarkDeleted(t.Context(), deleted); err != nil || len(got.Links)+len(got.Gaps) != 0 || read(t, root, "tags", TagDeleted) != "" {
		t.Errorf("the deletion of the untracked namesake: %+v, %v", got, err)
	}
	deleted.RequestedAt = mine.Run.Accepted.RequestedAt
	if got, err := s.MarkDeleted(t.Context(), deleted); err != nil || len(got.Links) != 3 || read(t, root, "tags", TagDeleted) == "" {
		t.Errorf("the deletion of the run itself: %+v, %v", got, err)
	}
}

// TestSync: a sync writes parent, children, histories, artifacts and reports,
// and can be repeated.
func TestSync(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	artifacts := store{}
	var history strings.Builder
	for step := range 1001 { // more than one batch
		fmt.Fprintf(&history, `{"key":"loss","value":0.5,"step":%d,"time":"2026-01-02T03:04:05Z"}`+"\n", step)
	}
	elsewhere := events.Artifact{Name: "log", Reference: events.Reference{Store: "there", Key: "runs/r/log"}}
	snapshot := snapshotOf(events.PhaseCompleted{Phase: events.Finetune, Artifacts: []events.Artifact{
		artifacts.put(events.ArtifactModel, "runs/r/model.bin", "weights"),
		artifacts.put(events.ArtifactMetrics, "runs/r/metrics.jsonl", history.String()),
		elsewhere,
	}})
	file := filepath.Join(t.TempDir(), report.PipelineSummaryName)
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Config{TrackingURI: "file:" + root, Version: "1"}, artifacts, noMetrics)
	for range 2 {
		result, err := s.Sync(t.Context(), snapshot, []report.File{{Name: report.PipelineSummaryName, Path: file, Size: 2}})
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Links) != 3 || !slices.Equal(result.Gaps, []string{"artifact runs/r/log lies in another store"}) {
			t.Errorf("links %v, gaps %q", result.Links, result.Gaps)
		}
		if len(result.Running) != 1 || result.Running[0].Phase != events.Evaluation || result.Running[0].ID == "" || result.Running[0].Target == nil {
			t.Errorf("running phases %+v", result.Running)
		}
		if got := strings.Count(read(t, root, "metrics", "loss"), "\n"); got != 1001 {
			t.Errorf("%d points", got)
		}
		if got := read(t, root, "artifacts", "model.bin"); got != "weights" {
			t.Errorf("model %q", got)
		}
		if read(t, root, "artifacts", "metrics.jsonl") != "" || read(t, root, "artifacts", report.PipelineSummaryName) != "{}" {
			t.Error("the history is an artifact, or the summary is none")
		}
	}
}

// TestSyncByAnotherVersion: a run that an upgraded tracker writes again keeps
// the version that wrote it first, without a gap. Another parameter that cannot
// be changed is a gap.
func TestSyncByAnotherVersion(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	sync := func(version string) Result {
		t.Helper()
		s := New(Config{TrackingURI: "file:" + root, Version: version}, store{}, noMetrics)
		result, err := s.Sync(t.Context(), snapshotOf(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	for _, version := range []string{"1", "2"} {
		if gaps := sync(version).Gaps; len(gaps) > 0 {
			t.Errorf("version %s: gaps %v", version, gaps)
		}
	}
	if got := read(t, root, "params", projection.ParamVersion); got != "1" {
		t.Errorf("the version is %q, want that of the first writer", got)
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "*", "params", "mlflow_experiment_name"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("never"), 0o600); err != nil {
		t.Fatal(err)
	}
	gaps := sync("3").Gaps
	if len(gaps) != 1 || !strings.Contains(gaps[0], ": mlflow_experiment_name: ") {
		t.Errorf("gaps %v, want one about mlflow_experiment_name alone", gaps)
	}
}

// TestSyncWithoutHistory: the points that the attempts published take the place
// of a history. Of several points of a step the first one counts, and of samples of the
// machine those of an attempt that lost its job do not.
func TestSyncWithoutHistory(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	published := func(_ context.Context, run string, p events.Phase, each func(events.Event)) error {
		for i, value := range []float64{1, 2, 3} {
			point := events.Point{Key: "loss", Value: value, Step: int64(i / 2), Time: began}
			each(events.Progress{RunID: run, Phase: p, Points: []events.Point{point}})
		}
		for i, attempt := range []int{1, 2, 1, 2} {
			each(events.Telemetry{RunID: run, Phase: p, Attempt: attempt, Points: []events.Point{{Key: "cpu", Value: float64(attempt), Step: int64((i + 1) / 2), Time: began}}})
		}
		return nil
	}
	s := New(Config{TrackingURI: "file:" + root}, store{}, published)
	if _, err := s.Sync(t.Context(), snapshotOf(events.PhaseCompleted{Phase: events.Finetune}), nil); err != nil {
		t.Fatal(err)
	}
	ms := began.UnixMilli()
	for metric, want := range map[string]string{"loss": fmt.Sprintf("%d 1 0\n%d 3 1\n", ms, ms), "system/cpu": fmt.Sprintf("%d 1 0\n%d 2 1\n%d 2 2\n", ms, ms, ms)} {
		if got := read(t, root, "metrics", metric); got != want {
			t.Errorf("%s: points %q, want %q", metric, got, want)
		}
	}
}

// TestSyncOfABrokenHistory: the points before the broken line are written, and
// the rest is a gap.
func TestSyncOfABrokenHistory(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	artifacts := store{}
	broken := artifacts.put(events.ArtifactMetrics, "runs/r/metrics.jsonl", `{"key":"loss","value":1,"step":1}`+"\n{\n")
	s := New(Config{TrackingURI: "file:" + root}, artifacts, noMetrics)
	result, err := s.Sync(t.Context(), snapshotOf(events.PhaseCompleted{Phase: events.Finetune, Artifacts: []events.Artifact{broken}}), nil)
	if err != nil || len(result.Gaps) != 1 || !strings.HasPrefix(result.Gaps[0], "metric history runs/r/metrics.jsonl: ") {
		t.Errorf("gaps %q, %v", result.Gaps, err)
	}
	if got := read(t, root, "metrics", "loss"); got != "0 1 1\n" {
		t.Errorf("points %q", got)
	}
}

// TestSyncToAForbiddenAddress: it is a gap and no error, because a retry would
// not help.
func TestSyncToAForbiddenAddress(t *testing.T) {
	t.Parallel()
	snapshot := snapshotOf()
	snapshot.Run.Accepted.Specification.MLflow.TrackingURI = "http://forbidden.example"
	result, err := New(Config{TrackingURI: "file:" + t.TempDir()}, store{}, noMetrics).Sync(t.Context(), snapshot, nil)
	if err != nil || len(result.Gaps) != 1 || result.Links == nil || len(result.Links) != 0 {
		t.Errorf("result %+v, %v", result, err)
	}
}

// failing is a target that cannot be reached any more from the second run on.
type failing struct {
	mlflow.Target
	runs int
}

func (f *failing) EnsureRun(ctx context.Context, experiment string, key mlflow.RunKey, r mlflow.Run) (string, error) {
	if f.runs++; f.runs > 2 {
		return "", mlflow.ErrUnavailable
	}
	return f.Target.EnsureRun(ctx, experiment, key, r)
}

// TestSyncThatFails: the result holds what was written before the error.
func TestSyncThatFails(t *testing.T) {
	t.Parallel()
	open := func(uri string, opt restapi.Options) (mlflow.Target, error) {
		target, err := Open(uri, opt)
		return &failing{Target: target}, err
	}
	s := New(Config{TrackingURI: "file:" + filepath.Join(t.TempDir(), "mlruns"), Open: open}, store{}, noMetrics)
	result, err := s.Sync(t.Context(), snapshotOf(), nil)
	if !errors.Is(err, mlflow.ErrUnavailable) || len(result.Running) != 1 || result.Running[0].Phase != events.Finetune {
		t.Errorf("result %+v, %v", result, err)
	}
}

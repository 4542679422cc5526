// Package mlflowtest is the conformance suite for implementations of
// mlflow.Target: [TestTarget] holds a target to all promises of the interface.
//
//	func TestConformance(t *testing.T) {
//		mlflowtest.TestTarget(t, mlflowtest.Store{Target: target, Reader: reader})
//	}
package mlflowtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// Store is a target with a way to read what it stores.
type Store struct {
	mlflow.Target
	Reader
}

// TestTarget runs the suite as subtests.
func TestTarget(t *testing.T, s Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"experiment":  testExperiment,
		"run":         testRun,
		"params":      testParams,
		"metrics":     testMetrics,
		"tags":        testTags,
		"inputs":      testInputs,
		"artifacts":   testArtifacts,
		"models":      testModels,
		"end":         testEnd,
		"unknown run": testUnknownRun,
		"cancelled":   testCancelled,
		"find runs":   testFindRuns,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// Start and End are the times of the runs of the suite.
var (
	Start = time.UnixMilli(1_700_000_000_123)
	End   = Start.Add(90 * time.Second)
)

// NewRun creates an experiment and a run in it, both named after the test.
func NewRun(t *testing.T, target mlflow.Runs) (experimentID, runID string) {
	t.Helper()
	experimentID, err := target.EnsureExperiment(t.Context(), t.Name())
	if err != nil {
		t.Fatal(err)
	}
	key := mlflow.RunKey{RunID: "01RUN", Phase: "pipeline"}
	runID, err = target.EnsureRun(t.Context(), experimentID, key, mlflow.Run{Name: "nightly", StartTime: Start})
	if err != nil {
		t.Fatal(err)
	}
	return experimentID, runID
}

// testFindRuns: runs are found by their keys, and looking for them creates nothing.
func testFindRuns(t *testing.T, s Store) {
	experiment, run := NewRun(t, s)
	keys := []mlflow.RunKey{{RunID: "01RUN", Phase: "pipeline"}, {RunID: "01RUN", Phase: "finetune"}}
	found, err := s.FindRuns(t.Context(), t.Name(), keys)
	if want := (mlflow.FoundRun{ID: run, ExperimentID: experiment, Key: keys[0]}); err != nil || len(found) != 1 || found[0] != want {
		t.Errorf("found %+v, %v, want %+v", found, err, want)
	}
	for range 2 { // not even by the first call
		if found, err := s.FindRuns(t.Context(), t.Name()+" that is not there", keys); err != nil || len(found) != 0 {
			t.Errorf("without the experiment: %+v, %v", found, err)
		}
	}
}

func testExperiment(t *testing.T, s Store) {
	ctx := t.Context()
	for _, name := range []string{t.Name(), t.Name() + ` ünd "more": #1`, strings.Repeat("x", 400) + t.Name()} {
		first, err := s.EnsureExperiment(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.EnsureExperiment(ctx, name)
		if err != nil || first == "" || again != first {
			t.Errorf("experiment %q: %q, again %q, %v", name, first, again, err)
		}
	}
	if id, err := s.EnsureExperiment(ctx, " "); err == nil {
		t.Errorf("an experiment without a name: %q", id)
	}
	id, err := s.EnsureRun(ctx, "987654321", mlflow.RunKey{RunID: "r", Phase: "p"}, mlflow.Run{Name: "x"})
	if err == nil || errors.Is(err, mlflow.ErrNoRun) {
		t.Errorf("a run in no experiment: %q, %v", id, err)
	}
}

func testRun(t *testing.T, s Store) {
	ctx := t.Context()
	exp, parent := NewRun(t, s)
	child := mlflow.Run{
		Name:      "nightly_finetuning",
		StartTime: Start.Add(time.Second),
		ParentID:  parent,
		Tags:      Tags("mlflow.user", "ada", "team=a", "1"),
	}
	key := mlflow.RunKey{RunID: "01RUN", Phase: "it's"}
	id, err := s.EnsureRun(ctx, exp, key, child)
	if err != nil {
		t.Fatal(err)
	}
	changed := child
	changed.Name, changed.StartTime = "other", End
	if again, err := s.EnsureRun(ctx, exp, key, changed); err != nil || again != id || id == parent {
		t.Errorf("run %q, again %q, %v; parent %q", id, again, err, parent)
	}
	want := Stored{
		Name: child.Name, Status: "RUNNING", Start: child.StartTime.UnixMilli(),
		Params: map[string]string{}, Metrics: map[string][]string{},
		Tags: map[string]string{
			"mlflow.parentRunId": parent, "mlflow.runName": child.Name, "mlflow.user": "ada",
			"team:a": "1", "tunebus.run_id": "01RUN", "tunebus.phase": "it's",
		},
	}
	Expect(t, s.Read(t, exp, id), want)
	if url := s.RunURL(exp, id); !strings.Contains(url, exp) || !strings.Contains(url, id) {
		t.Errorf("address of run: %s", url)
	}
}

func testParams(t *testing.T, s Store) {
	ctx := t.Context()
	exp, id := NewRun(t, s)
	want := map[string]string{"a": "old", "a/b": "nested", "lines": "1\n2\n", "empty": "", "ein_": "ü"}
	params := Params("a", "old", "/lines/", "1\r\n2\r\n", "empty", "", "einä", "ü", "long", strings.Repeat("é", normalize.MaxParam+7))
	want["long"] = strings.Repeat("é", normalize.MaxParam)
	for i := range 250 { // more than a request may hold
		key := fmt.Sprintf("many.%03d", i)
		params = append(params, mlflow.Param{Key: key, Value: "v"})
		want[key] = "v"
	}
	for range 2 {
		if err := s.LogParams(ctx, id, params); err != nil {
			t.Fatal(err)
		}
	}
	var conflict *mlflow.ParamConflictError
	err := s.LogParams(ctx, id, Params("empty", "changed", "new", "1", "a", "changed", "new", "2"))
	if !errors.As(err, &conflict) || !slices.Equal(conflict.Keys, []string{"a", "empty", "new"}) {
		t.Errorf("changed parameters: %v", err)
	}
	want["new"] = "1"
	delete(want, "a/b")
	got := s.Read(t, exp, id).Params
	if !maps.Equal(got, want) {
		t.Errorf("%d parameters, want %d: %v", len(got), len(want), slices.Sorted(maps.Keys(got)))
	}
}

func testMetrics(t *testing.T, s Store) {
	ctx := t.Context()
	exp, id := NewRun(t, s)
	at := func(n int) time.Time { return Start.Add(time.Duration(n) * time.Second) }
	var points []mlflow.Metric
	want := map[string][]string{}
	for i := range 2500 { // more than a request may hold
		points = append(points, Point("loss", 1/float64(i+1), at(i), int64(i)))
		want["loss"] = append(want["loss"], PointLine(at(i).UnixMilli(), fmt.Sprint(1/float64(i+1)), int64(i)))
	}
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 1e300, 5e-324} {
		points = append(points, Point("odd/ones=%", v, at(i), -1))
		want["odd/ones:_"] = append(want["odd/ones:_"], PointLine(at(i).UnixMilli(), fmt.Sprint(v), -1))
	}
	for _, key := range slices.Collect(maps.Keys(want)) {
		slices.Sort(want[key])
	}
	for range 2 { // the second time changes nothing
		if err := s.LogMetrics(ctx, id, points); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.LogMetrics(ctx, id, []mlflow.Metric{points[7], points[7], points[2501], points[2501]}); err != nil {
		t.Fatal(err)
	}
	Expect(t, s.Read(t, exp, id).Metrics, want)
}

func testTags(t *testing.T, s Store) {
	ctx := t.Context()
	exp, id := NewRun(t, s)
	want := s.Read(t, exp, id).Tags
	var tags []mlflow.Tag
	for i := range 230 {
		key := fmt.Sprintf("tag.%03d", i)
		tags = append(tags, Tags(key, "old", key, "new")...)
		want[key] = "new"
	}
	tags = append(tags, Tags("note?", "first", "long", strings.Repeat("x", normalize.MaxTag+1))...)
	want["note_"], want["long"] = "second", strings.Repeat("x", normalize.MaxTag)
	if err := errors.Join(s.SetTags(ctx, id, tags), s.SetTags(ctx, id, Tags("note?", "second"))); err != nil {
		t.Fatal(err)
	}
	Expect(t, s.Read(t, exp, id).Tags, want)
}

func testInputs(t *testing.T, s Store) {
	ctx := t.Context()
	exp, id := NewRun(t, s)
	train := mlflow.Dataset{
		Name: "org/données", Digest: strings.Repeat("d", 64), SourceType: "hf", Source: `{"path":"org/name"}`, Context: "training",
		Schema: `{"mlflow_colspec":[{"type":"string","name":"question","required":true}]}`, Profile: `{"num_rows":2,"num_elements":6}`,
	}
	again := train
	again.Context = "testing"
	test := mlflow.Dataset{
		Name: "test", Digest: "1a2b", SourceType: "local", Source: `{"uri":"file:///data/\"test\".jsonl"}`, Context: "testing",
	}
	for range 2 {
		if err := s.LogInputs(ctx, id, []mlflow.Dataset{train, test}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.LogInputs(ctx, id, []mlflow.Dataset{again}), s.LogInputs(ctx, id, nil)); err != nil {
		t.Fatal(err)
	}
	want := []string{"org/données " + strings.Repeat("d", 36) + " training", "test 1a2b testing"}
	Expect(t, s.Read(t, exp, id).Inputs, want)
}

func testArtifacts(t *testing.T, s Store) {
	ctx := t.Context()
	exp, id := NewRun(t, s)
	put := func(a mlflow.Artifact) error { return s.PutArtifact(ctx, id, a) }
	unsized := Content("/model//unsized", "unsized")
	unsized.Size = -1
	big := string(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	err := errors.Join(
		put(Content("config.toml", "old, and longer")), put(Content("config.toml", "new")),
		put(Content("model/../größe 100%: #1%23.bin", big)), put(Content("model/empty", "")), put(unsized))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"config.toml": "new", "model/größe 100%: _1_23.bin": big, "model/empty": "", "model/unsized": "unsized",
	} {
		if got := s.Artifact(t, exp, id, path); got != want {
			t.Errorf("artifact %s: %d bytes, want %d", path, len(got), len(want))
		}
	}
	list := func(dir string, want ...mlflow.ArtifactInfo) {
		t.Helper()
		got, err := s.ListArtifacts(ctx, id, dir)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: %v, %v; want %v", dir, got, err, want)
		}
	}
	list("", mlflow.ArtifactInfo{Path: "config.toml", Size: 3}, mlflow.ArtifactInfo{Path: "model", Dir: true})
	list("model", mlflow.ArtifactInfo{Path: "model/empty", Size: 0},
		mlflow.ArtifactInfo{Path: "model/größe 100%: _1_23.bin", Size: int64(len(big))},
		mlflow.ArtifactInfo{Path: "model/unsized", Size: 7})
	list("nothing")

	short := Content("short", "short")
	short.Size = 6
	long := Content("long", "longer")
	long.Size = 5
	full := Content("full", "not empty")
	full.Size = 0
	for name, broken := range map[string]mlflow.Artifact{"short": short, "long": long, "full": full} {
		if err := put(broken); err == nil || errors.Is(err, mlflow.ErrUnavailable) {
			t.Errorf("an artifact of another size than announced: %s: %v", name, err)
		}
	}
	list("", mlflow.ArtifactInfo{Path: "config.toml", Size: 3}, mlflow.ArtifactInfo{Path: "model", Dir: true})
	gone := errors.New("gone")
	unopened := func(context.Context) (io.ReadCloser, error) { return nil, gone }
	if err := put(mlflow.Artifact{Path: "gone", Open: unopened}); !errors.Is(err, gone) {
		t.Errorf("an artifact that cannot be opened: %v", err)
	}
}

func testEnd(t *testing.T, s Store) {
	ctx := t.Context()
	exp, id := NewRun(t, s)
	for _, status := range []mlflow.Status{mlflow.Running, "", "DONE"} {
		if err := s.EndRun(ctx, id, status, End); err == nil {
			t.Errorf("run ended as %q", status)
		}
	}
	for _, status := range []mlflow.Status{mlflow.Failed, mlflow.Killed, mlflow.Finished, mlflow.Finished} {
		if err := s.EndRun(ctx, id, status, End); err != nil {
			t.Fatal(err)
		}
		got := s.Read(t, exp, id)
		if got.Status != string(status) || got.Start != Start.UnixMilli() || got.End != End.UnixMilli() || got.Name != "nightly" {
			t.Errorf("run ended as %s: %+v", status, got)
		}
	}
	if err := s.LogMetrics(ctx, id, []mlflow.Metric{Point("late", 1, End, 0)}); err != nil {
		t.Errorf("an ended run takes no more: %v", err)
	}
}

func testUnknownRun(t *testing.T, s Store) {
	ctx := t.Context()
	for _, id := range []string{strings.Repeat("0", 32), "../../etc", "x"} {
		_, listErr := s.ListArtifacts(ctx, id, "")
		for call, err := range map[string]error{
			"params":    s.LogParams(ctx, id, Params("a", "b")),
			"metrics":   s.LogMetrics(ctx, id, []mlflow.Metric{Point("a", 1, Start, 0)}),
			"tags":      s.SetTags(ctx, id, Tags("a", "b")),
			"inputs":    s.LogInputs(ctx, id, []mlflow.Dataset{{Name: "a", Digest: "b", SourceType: "local", Source: "{}"}}),
			"artifacts": s.PutArtifact(ctx, id, Content("x", "x")),
			"list":      listErr,
			"end":       s.EndRun(ctx, id, mlflow.Finished, End),
		} {
			if !errors.Is(err, mlflow.ErrNoRun) {
				t.Errorf("run %q: %s: %v", id, call, err)
			}
		}
	}
}

func testCancelled(t *testing.T, s Store) {
	_, id := NewRun(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.EnsureExperiment(ctx, "x")
	for call, err := range map[string]error{
		"experiment": err, "params": s.LogParams(ctx, id, Params("a", "b")), "artifact": s.PutArtifact(ctx, id, Content("x", "x")),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

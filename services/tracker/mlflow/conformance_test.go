package mlflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// place is a target with a way to look at what it holds.
type place struct {
	Target
	reader
}

// places are all targets that the suite runs over: the folder, the server of
// this package's tests, and MLflow itself where it is installed.
func places(t *testing.T) map[string]place {
	t.Helper()
	root := filepath.Join(t.TempDir(), "mlruns")
	_, base := startServer(t)
	all := map[string]place{
		"file": {openTarget(t, "file://"+root), folderReader{root}},
		"rest": {openTarget(t, base), webReader{base}},
	}
	if installed() {
		base := startMLflow(t)
		all["mlflow"] = place{openTarget(t, base), webReader{base}}
	}
	return all
}

func openTarget(t *testing.T, uri string) Target {
	t.Helper()
	target, err := Open(uri, Options{Tries: 3, Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for name, p := range places(t) {
		t.Run(name, func(t *testing.T) { testTarget(t, p) })
	}
}

// testTarget is what every target promises.
func testTarget(t *testing.T, p place) {
	for name, test := range map[string]func(*testing.T, place){
		"experiment":  testExperiment,
		"run":         testRun,
		"params":      testParams,
		"metrics":     testMetrics,
		"tags":        testTags,
		"inputs":      testInputs,
		"artifacts":   testArtifacts,
		"end":         testEnd,
		"unknown run": testUnknownRun,
		"cancelled":   testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

var (
	start = time.UnixMilli(1_700_000_000_123)
	end   = start.Add(90 * time.Second)
)

// newRun makes an experiment and a run in it, both named after the test.
func newRun(t *testing.T, p place) (experimentID, runID string) {
	t.Helper()
	experimentID, err := p.Experiment(t.Context(), t.Name())
	if err != nil {
		t.Fatal(err)
	}
	runID, err = p.EnsureRun(t.Context(), experimentID, RunKey{RunID: "01RUN", Phase: "pipeline"}, Run{Name: "nightly", StartTime: start})
	if err != nil {
		t.Fatal(err)
	}
	return experimentID, runID
}

func testExperiment(t *testing.T, p place) {
	ctx := t.Context()
	for _, name := range []string{t.Name(), t.Name() + ` ünd "more": #1`, strings.Repeat("x", 400) + t.Name()} {
		first, err := p.Experiment(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.Experiment(ctx, name)
		if err != nil || first == "" || again != first {
			t.Errorf("experiment %q: %q, again %q, %v", name, first, again, err)
		}
	}
	if id, err := p.Experiment(ctx, " "); err == nil {
		t.Errorf("an experiment without a name: %q", id)
	}
	if id, err := p.EnsureRun(ctx, "987654321", RunKey{"r", "p"}, Run{Name: "x"}); err == nil || errors.Is(err, ErrNoRun) {
		t.Errorf("a run in no experiment: %q, %v", id, err)
	}
}

func testRun(t *testing.T, p place) {
	ctx := t.Context()
	exp, parent := newRun(t, p)
	child := Run{Name: "nightly_finetuning", StartTime: start.Add(time.Second), ParentID: parent, Tags: []Tag{{"mlflow.user", "ada"}, {"team=a", "1"}}}
	key := RunKey{RunID: "01RUN", Phase: "it's"}
	id, err := p.EnsureRun(ctx, exp, key, child)
	if err != nil {
		t.Fatal(err)
	}
	changed := child
	changed.Name, changed.StartTime = "other", end
	if again, err := p.EnsureRun(ctx, exp, key, changed); err != nil || again != id || id == parent {
		t.Errorf("run %q, again %q, %v; parent %q", id, again, err, parent)
	}
	want := stored{
		Name: child.Name, Status: "RUNNING", Start: child.StartTime.UnixMilli(),
		Params: map[string]string{}, Metrics: map[string][]string{},
		Tags: map[string]string{
			"mlflow.parentRunId": parent, "mlflow.runName": child.Name, "mlflow.user": "ada",
			"team:a": "1", "tunebus.run_id": "01RUN", "tunebus.phase": "it's",
		},
	}
	expect(t, p.read(t, exp, id), want)
	if url := p.RunURL(exp, id); !strings.Contains(url, exp) || !strings.Contains(url, id) {
		t.Errorf("address of run: %s", url)
	}
}

func testParams(t *testing.T, p place) {
	ctx := t.Context()
	exp, id := newRun(t, p)
	want := map[string]string{"a": "old", "a/b": "nested", "lines": "1\n2\n", "empty": "", "ein_": "ü"}
	params := []Param{{"a", "old"}, {"/lines/", "1\r\n2\r\n"}, {"empty", ""}, {"einä", "ü"}, {"long", strings.Repeat("é", maxParam+7)}}
	want["long"] = strings.Repeat("é", maxParam)
	for i := range 250 { // more than a request may hold
		key := fmt.Sprintf("many.%03d", i)
		params = append(params, Param{key, "v"})
		want[key] = "v"
	}
	for range 2 {
		if err := p.LogParams(ctx, id, params); err != nil {
			t.Fatal(err)
		}
	}
	var conflict *ParamConflictError
	err := p.LogParams(ctx, id, []Param{{"empty", "changed"}, {"new", "1"}, {"a", "changed"}, {"new", "2"}})
	if !errors.As(err, &conflict) || !slices.Equal(conflict.Keys, []string{"a", "empty", "new"}) {
		t.Errorf("changed parameters: %v", err)
	}
	want["new"] = "1"
	delete(want, "a/b")
	got := p.read(t, exp, id).Params
	if !maps.Equal(got, want) {
		t.Errorf("%d parameters, want %d: %v", len(got), len(want), slices.Sorted(maps.Keys(got)))
	}
}

func testMetrics(t *testing.T, p place) {
	ctx := t.Context()
	exp, id := newRun(t, p)
	at := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	var points []Metric
	want := map[string][]string{}
	for i := range 2500 { // more than a request may hold
		points = append(points, Metric{"loss", 1 / float64(i+1), at(i), int64(i)})
		want["loss"] = append(want["loss"], line(at(i).UnixMilli(), fmt.Sprint(1/float64(i+1)), int64(i)))
	}
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 1e300, 5e-324} {
		points = append(points, Metric{"odd/ones=%", v, at(i), -1})
		want["odd/ones:_"] = append(want["odd/ones:_"], line(at(i).UnixMilli(), fmt.Sprint(v), -1))
	}
	for _, key := range slices.Collect(maps.Keys(want)) {
		slices.Sort(want[key])
	}
	for range 2 { // the second time changes nothing
		if err := p.LogMetrics(ctx, id, points); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.LogMetrics(ctx, id, []Metric{points[7], points[7], points[2501], points[2501]}); err != nil {
		t.Fatal(err)
	}
	expect(t, p.read(t, exp, id).Metrics, want)
}

func testTags(t *testing.T, p place) {
	ctx := t.Context()
	exp, id := newRun(t, p)
	want := p.read(t, exp, id).Tags
	var tags []Tag
	for i := range 230 {
		key := fmt.Sprintf("tag.%03d", i)
		tags = append(tags, Tag{key, "old"}, Tag{key, "new"})
		want[key] = "new"
	}
	tags = append(tags, Tag{"note?", "first"}, Tag{"long", strings.Repeat("x", maxTag+1)})
	want["note_"], want["long"] = "second", strings.Repeat("x", maxTag)
	if err := errors.Join(p.SetTags(ctx, id, tags), p.SetTags(ctx, id, []Tag{{"note?", "second"}})); err != nil {
		t.Fatal(err)
	}
	expect(t, p.read(t, exp, id).Tags, want)
}

func testInputs(t *testing.T, p place) {
	ctx := t.Context()
	exp, id := newRun(t, p)
	train := Dataset{
		Name: "org/données", Digest: strings.Repeat("d", 64), SourceType: "hf", Source: `{"path":"org/name"}`, Context: "training",
		Schema: `{"mlflow_colspec":[{"type":"string","name":"question","required":true}]}`, Profile: `{"num_rows":2,"num_elements":6}`,
	}
	again := train
	again.Context = "testing"
	test := Dataset{Name: "test", Digest: "1a2b", SourceType: "local", Source: `{"uri":"file:///data/\"test\".jsonl"}`, Context: "testing"}
	for range 2 {
		if err := p.LogInputs(ctx, id, []Dataset{train, test}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.LogInputs(ctx, id, []Dataset{again}), p.LogInputs(ctx, id, nil)); err != nil {
		t.Fatal(err)
	}
	want := []string{"org/données " + strings.Repeat("d", 36) + " training", "test 1a2b testing"}
	expect(t, p.read(t, exp, id).Inputs, want)
}

func content(text string) Artifact {
	return Artifact{Size: int64(len(text)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

func testArtifacts(t *testing.T, p place) {
	ctx := t.Context()
	exp, id := newRun(t, p)
	put := func(path string, a Artifact) error {
		a.Path = path
		return p.PutArtifact(ctx, id, a)
	}
	unsized := content("unsized")
	unsized.Size = -1
	big := string(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	err := errors.Join(
		put("config.toml", content("old, and longer")), put("config.toml", content("new")),
		put("model/../größe 100%: #1%23.bin", content(big)), put("model/empty", content("")), put("/model//unsized", unsized))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"config.toml": "new", "model/größe 100%: _1_23.bin": big, "model/empty": "", "model/unsized": "unsized",
	} {
		if got := p.artifact(t, exp, id, path); got != want {
			t.Errorf("artifact %s: %d bytes, want %d", path, len(got), len(want))
		}
	}
	list := func(dir string, want ...ArtifactInfo) {
		t.Helper()
		got, err := p.ListArtifacts(ctx, id, dir)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: %v, %v; want %v", dir, got, err, want)
		}
	}
	list("", ArtifactInfo{"config.toml", 3, false}, ArtifactInfo{"model", 0, true})
	list("model", ArtifactInfo{"model/empty", 0, false}, ArtifactInfo{"model/größe 100%: _1_23.bin", int64(len(big)), false},
		ArtifactInfo{"model/unsized", 7, false})
	list("nothing")

	short := content("short")
	short.Size = 6
	long := content("longer")
	long.Size = 5
	full := content("")
	full.Open = content("not empty").Open
	for name, broken := range map[string]Artifact{"short": short, "long": long, "full": full} {
		if err := put(name, broken); err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("an artifact of another size than announced: %s: %v", name, err)
		}
	}
	list("", ArtifactInfo{"config.toml", 3, false}, ArtifactInfo{"model", 0, true})
	gone := errors.New("gone")
	if err := put("gone", Artifact{Open: func(context.Context) (io.ReadCloser, error) { return nil, gone }}); !errors.Is(err, gone) {
		t.Errorf("an artifact that cannot be opened: %v", err)
	}
}

func testEnd(t *testing.T, p place) {
	ctx := t.Context()
	exp, id := newRun(t, p)
	for _, status := range []Status{Running, "", "DONE"} {
		if err := p.EndRun(ctx, id, status, end); err == nil {
			t.Errorf("run ended as %q", status)
		}
	}
	for _, status := range []Status{Failed, Killed, Finished, Finished} {
		if err := p.EndRun(ctx, id, status, end); err != nil {
			t.Fatal(err)
		}
		got := p.read(t, exp, id)
		if got.Status != string(status) || got.Start != start.UnixMilli() || got.End != end.UnixMilli() || got.Name != "nightly" {
			t.Errorf("run ended as %s: %+v", status, got)
		}
	}
	if err := p.LogMetrics(ctx, id, []Metric{{"late", 1, end, 0}}); err != nil {
		t.Errorf("an ended run takes no more: %v", err)
	}
}

func testUnknownRun(t *testing.T, p place) {
	ctx := t.Context()
	for _, id := range []string{strings.Repeat("0", 32), "../../etc", "x"} {
		_, listErr := p.ListArtifacts(ctx, id, "")
		a := content("x")
		a.Path = "x"
		for call, err := range map[string]error{
			"params":    p.LogParams(ctx, id, []Param{{"a", "b"}}),
			"metrics":   p.LogMetrics(ctx, id, []Metric{{"a", 1, start, 0}}),
			"tags":      p.SetTags(ctx, id, []Tag{{"a", "b"}}),
			"inputs":    p.LogInputs(ctx, id, []Dataset{{Name: "a", Digest: "b", SourceType: "local", Source: "{}"}}),
			"artifacts": p.PutArtifact(ctx, id, a),
			"list":      listErr,
			"end":       p.EndRun(ctx, id, Finished, end),
		} {
			if !errors.Is(err, ErrNoRun) {
				t.Errorf("run %q: %s: %v", id, call, err)
			}
		}
	}
}

func testCancelled(t *testing.T, p place) {
	_, id := newRun(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := content("x")
	a.Path = "x"
	_, err := p.Experiment(ctx, "x")
	for call, err := range map[string]error{
		"experiment": err, "params": p.LogParams(ctx, id, []Param{{"a", "b"}}), "artifact": p.PutArtifact(ctx, id, a),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func expect[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %.2000v\nwant %.2000v", got, want)
	}
}

package filestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

func TestNamesThatAreFoldersToo(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	target := openFolder(t, root)
	exp, id := mlflowtest.NewRun(t, target)
	for range 2 {
		err := errors.Join(
			target.LogParams(t.Context(), id, mlflowtest.Params("a", "1", "a/b/c", "2", "d/e", "3", "d", "4")),
			target.SetTags(t.Context(), id, mlflowtest.Tags("mlflow.user/x", "1", "mlflow.user", "2")),
		)
		if err != nil {
			t.Fatal(err)
		}
	}
	got := folderReader{root}.Read(t, exp, id)
	mlflowtest.Expect(t, got.Params, map[string]string{"a": "1", "a_b_c": "2", "d/e": "3", "d_": "4"})
	// Tags are written in the order of their names.
	if got.Tags["mlflow.user"] != "2" || got.Tags["mlflow.user_x"] != "1" {
		t.Errorf("tags %v", got.Tags)
	}
}

func TestDeletedRunsAreRestored(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	target := openFolder(t, root)
	exp, id := mlflowtest.NewRun(t, target)
	err := errors.Join(
		setMeta(filepath.Join(root, exp, id), map[string]string{"lifecycle_stage": "deleted", "deleted_time": "1700000000000"}),
		setMeta(filepath.Join(root, exp), map[string]string{"lifecycle_stage": "deleted"}),
		os.Mkdir(filepath.Join(root, trash), 0o755),
		os.Rename(filepath.Join(root, exp), filepath.Join(root, trash, exp)),
	)
	if err != nil {
		t.Fatal(err)
	}
	if againExp, again := mlflowtest.NewRun(t, target); againExp != exp || again != id {
		t.Errorf("experiment %s, run %s; want %s, %s", againExp, again, exp, id)
	}
	for _, dir := range []string{filepath.Join(root, exp), filepath.Join(root, exp, id)} {
		if meta := readFile(t, filepath.Join(dir, "meta.yaml")); strings.Contains(meta, "lifecycle_stage: deleted") || strings.Contains(meta, "deleted_time: 1") {
			t.Errorf("%s:\n%s", dir, meta)
		}
	}
}

// Experiments that MLflow made itself are found by name, in each YAML form.
func TestExperimentsOfMLflowAreFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for id, name := range map[string]string{"0": "Default", "12": "'it''s: one'", "13": `"tab\there"`, "models": "models"} {
		dir := filepath.Join(root, id)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "meta.yaml"), []byte("experiment_id: '"+id+"'\nname: "+name+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	target := openFolder(t, root)
	for name, want := range map[string]string{"Default": "0", "it's: one": "12", "tab\there": "13"} {
		if id, err := target.EnsureExperiment(t.Context(), name); err != nil || id != want {
			t.Errorf("experiment %q: %q, %v; want %q", name, id, err, want)
		}
	}
	if id, err := target.EnsureExperiment(t.Context(), "models"); err != nil || id == "models" {
		t.Errorf("a folder that is no experiment: %q, %v", id, err)
	}
}

func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	target := openFolder(t, root)
	exp, id := mlflowtest.NewRun(t, target)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var points []mlflow.Metric
			for step := range 50 {
				points = append(points, mlflowtest.Point("loss", float64(step), mlflowtest.Start, int64(step)))
			}
			err := errors.Join(
				target.LogMetrics(t.Context(), id, points),
				target.SetTags(t.Context(), id, mlflowtest.Tags(fmt.Sprint(i), "x")),
			)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := folderReader{root}.Read(t, exp, id)
	if len(got.Metrics["loss"]) != 50 || len(got.Tags) != 3+8 {
		t.Errorf("%d points, %d tags", len(got.Metrics["loss"]), len(got.Tags))
	}
	if left, err := filepath.Glob(filepath.Join(root, "*", "*", ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFilesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	blocked := filepath.Join(t.TempDir(), "mlruns")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	target := openFolder(t, blocked)
	if id, err := target.EnsureExperiment(t.Context(), "x"); err == nil {
		t.Errorf("an experiment below a file: %q", id)
	}
	root := filepath.Join(t.TempDir(), "mlruns")
	target = openFolder(t, root)
	exp, id := mlflowtest.NewRun(t, target)
	metric := filepath.Join(root, exp, id, "metrics", "loss")
	if err := os.WriteFile(metric, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := target.LogMetrics(t.Context(), id, []mlflow.Metric{mlflowtest.Point("loss", 1, mlflowtest.Start, 0)}); err == nil || !strings.Contains(err.Error(), "loss") {
		t.Errorf("a broken history: %v", err)
	}
	if got := readFile(t, metric); got != "nonsense\n" {
		t.Errorf("the broken history is now %q", got)
	}
}

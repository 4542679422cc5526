package filestore

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

var update = flag.Bool("update", false, "write the golden files again")

const layoutExperiment = "fine-tune: \"größe\" #1"

// writeLayout writes a parent and a child that use every part of the layout.
func writeLayout(t *testing.T, target mlflow.Target) (experimentID, parent, child string) {
	t.Helper()
	ctx := t.Context()
	experimentID, err := target.EnsureExperiment(ctx, layoutExperiment)
	if err != nil {
		t.Fatal(err)
	}
	ensure := func(phase string, r mlflow.Run) string {
		id, err := target.EnsureRun(ctx, experimentID, mlflow.RunKey{RunID: "01RUN", Phase: phase}, r)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	parent = ensure("pipeline", mlflow.Run{Name: "nightly 'one'", StartTime: mlflowtest.Start, Tags: mlflowtest.Tags("mlflow.user", "ada")})
	child = ensure("finetune", mlflow.Run{Name: "nightly_finetuning", StartTime: mlflowtest.Start.Add(time.Second), ParentID: parent})
	err = errors.Join(
		target.LogParams(ctx, parent, mlflowtest.Params("pipeline_version", "1", "lines", "one\ntwo: {\n", "empty", "", "config_a/b", "ü")),
		target.LogMetrics(ctx, child, []mlflow.Metric{
			mlflowtest.Point("loss", 2.5, mlflowtest.Start, 1), mlflowtest.Point("loss", 0.1, mlflowtest.Start.Add(time.Second), 2), mlflowtest.Point("loss", 2.5, mlflowtest.Start, 1),
			mlflowtest.Point("system/cpu_utilization_percentage", 99.5, mlflowtest.Start, 0), mlflowtest.Point("system/cpu", 1, mlflowtest.Start, 0),
			mlflowtest.Point("odd", math.NaN(), mlflowtest.Start, 0), mlflowtest.Point("odd", math.Inf(1), mlflowtest.Start, 1), mlflowtest.Point("odd", math.Inf(-1), mlflowtest.Start, 2), mlflowtest.Point("odd", 1e-300, mlflowtest.Start, -3),
		}),
		target.SetTags(ctx, child, mlflowtest.Tags("team", "a: [b", "mlflow.note.content", "two\nlines")),
		target.LogInputs(ctx, child, []mlflow.Dataset{
			{Name: "org/données", Digest: "0123456789abcdef", SourceType: "hf", Source: `{"path":"org/name"}`, Context: "training",
				Schema: `{"mlflow_colspec":[{"type":"string","name":"question","required":true}]}`, Profile: `{"num_rows":2,"num_elements":6}`},
			{Name: "test", Digest: "1a2b", SourceType: "local", Source: `{"uri":"file:///data/\"test\".jsonl"}`, Context: "testing"},
		}),
		target.PutArtifact(ctx, parent, mlflowtest.Content("config.toml", "[fine_tuner]\n")), target.PutArtifact(ctx, child, mlflowtest.Content("model/größe 1.bin", "weights")),
		target.EndRun(ctx, parent, mlflow.Finished, mlflowtest.End), target.EndRun(ctx, child, mlflow.Failed, mlflowtest.End),
	)
	if err != nil {
		t.Fatal(err)
	}
	return experimentID, parent, child
}

// TestLayout compares the layout with a golden file, byte for byte. In
// TestMLflowReadsTheLayout MLflow itself reads the same layout.
func TestLayout(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	writeLayout(t, openFolder(t, root))
	files := readKeys(t, root)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	now := regexp.MustCompile(`(?m)^(creation_time|last_update_time): \d{13}$`)
	var got strings.Builder
	for _, name := range names {
		text := now.ReplaceAllString(strings.ReplaceAll(files[name], root, "/ROOT"), "$1: NOW")
		got.WriteString("-- " + name + " --\n" + text + "\n")
	}
	golden := filepath.Join("testdata", "layout.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, golden); got.String() != want {
		t.Errorf("layout:\n%s", got.String())
	}
}

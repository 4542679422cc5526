package mlflow

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
)

var update = flag.Bool("update", false, "write the golden files anew")

const layoutExperiment = "fine-tune: \"größe\" #1"

// writeLayout writes a parent and a child that use everything the layout has.
func writeLayout(t *testing.T, target Target) (experimentID, parent, child string) {
	t.Helper()
	ctx := t.Context()
	experimentID, err := target.Experiment(ctx, layoutExperiment)
	if err != nil {
		t.Fatal(err)
	}
	ensure := func(phase string, r Run) string {
		id, err := target.EnsureRun(ctx, experimentID, RunKey{RunID: "01RUN", Phase: phase}, r)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	parent = ensure("pipeline", Run{Name: "nightly 'one'", StartTime: start, Tags: []Tag{{"mlflow.user", "ada"}}})
	child = ensure("finetune", Run{Name: "nightly_finetuning", StartTime: start.Add(time.Second), ParentID: parent})
	config := content("[fine_tuner]\n")
	config.Path = "config.toml"
	weights := content("weights")
	weights.Path = "model/größe 1.bin"
	err = errors.Join(
		target.LogParams(ctx, parent, []Param{{"pipeline_version", "1"}, {"lines", "one\ntwo: {\n"}, {"empty", ""}, {"config_a/b", "ü"}}),
		target.LogMetrics(ctx, child, []Metric{
			{"loss", 2.5, start, 1}, {"loss", 0.1, start.Add(time.Second), 2}, {"loss", 2.5, start, 1},
			{"system/cpu_utilization_percentage", 99.5, start, 0}, {"system/cpu", 1, start, 0},
			{"odd", math.NaN(), start, 0}, {"odd", math.Inf(1), start, 1}, {"odd", math.Inf(-1), start, 2}, {"odd", 1e-300, start, -3},
		}),
		target.SetTags(ctx, child, []Tag{{"team", "a: [b"}, {"mlflow.note.content", "two\nlines"}}),
		target.LogInputs(ctx, child, []Dataset{
			{Name: "org/données", Digest: "0123456789abcdef", SourceType: "hf", Source: `{"path":"org/name"}`, Context: "training",
				Schema: `{"mlflow_colspec":[{"type":"string","name":"question","required":true}]}`, Profile: `{"num_rows":2,"num_elements":6}`},
			{Name: "test", Digest: "1a2b", SourceType: "local", Source: `{"uri":"file:///data/\"test\".jsonl"}`, Context: "testing"},
		}),
		target.PutArtifact(ctx, parent, config), target.PutArtifact(ctx, child, weights),
		target.EndRun(ctx, parent, Finished, end), target.EndRun(ctx, child, Failed, end),
	)
	if err != nil {
		t.Fatal(err)
	}
	return experimentID, parent, child
}

// The layout is MLflow's, byte for byte: TestMLflowReadsTheLayout has MLflow
// itself read the store that this golden file shows.
func TestLayout(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	writeLayout(t, openTarget(t, "file://"+root))
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

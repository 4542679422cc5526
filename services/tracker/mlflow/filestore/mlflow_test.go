package filestore

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// clientRun is a run as testdata/read.py prints it.
type clientRun struct {
	Name      string              `json:"name"`
	Status    string              `json:"status"`
	Start     int64               `json:"start"`
	End       int64               `json:"end"`
	User      string              `json:"user"`
	Stage     string              `json:"stage"`
	Params    map[string]string   `json:"params"`
	Tags      map[string]string   `json:"tags"`
	Metrics   map[string][]string `json:"metrics"`
	Inputs    []string            `json:"inputs"`
	Artifacts []string            `json:"artifacts"`
}

// TestMLflowReadsTheLayout: MLflow's own client reads the files of the target,
// and MLflow's own migration moves them into a database with the same content.
// Where MLflow is not installed, TestLayout compares with the files that were
// read here.
func TestMLflowReadsTheLayout(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mlruns")
	exp, parent, child := writeLayout(t, openFolder(t, root))
	reader := folderReader{root}
	wantParent, wantChild := reader.Read(t, exp, parent), reader.Read(t, exp, child)
	if len(wantChild.Metrics["odd"]) != 4 {
		t.Fatalf("child %+v", wantChild)
	}
	if !mlflowtest.Installed() {
		return
	}
	database := "sqlite:///" + filepath.Join(t.TempDir(), "mlflow.db")
	python(t, "-m", "mlflow", "migrate-filestore", "--source", root, "--target", database)
	for _, uri := range []string{"file://" + root, database} {
		var store struct {
			ID   string               `json:"experiment_id"`
			Runs map[string]clientRun `json:"runs"`
		}
		if err := json.Unmarshal(python(t, filepath.Join("testdata", "read.py"), uri, layoutExperiment), &store); err != nil {
			t.Fatal(err)
		}
		if store.ID != exp || len(store.Runs) != 2 {
			t.Fatalf("%s: %+v", uri, store)
		}
		mlflowtest.Expect(t, store.Runs[parent].stored(), wantParent)
		mlflowtest.Expect(t, store.Runs[child].stored(), wantChild)
		if p := store.Runs[parent]; p.Stage != "active" || p.User != "ada" || !slices.Equal(p.Artifacts, []string{"config.toml 13"}) {
			t.Errorf("%s: parent %+v", uri, p)
		}
		c := store.Runs[child]
		if !slices.Equal(c.Artifacts, []string{"model/größe 1.bin 7"}) {
			t.Errorf("%s: artifacts %q", uri, c.Artifacts)
		}
		if want := `test 1a2b local {"uri":"file:///data/\"test\".jsonl"} - - testing`; len(c.Inputs) != 2 || c.Inputs[1] != want ||
			!strings.Contains(c.Inputs[0], `{"num_rows":2,"num_elements":6} training`) {
			t.Errorf("%s: inputs %q", uri, c.Inputs)
		}
	}
}

func (r clientRun) stored() mlflowtest.Stored {
	s := mlflowtest.Stored{
		Name: r.Name, Status: r.Status, Start: r.Start, End: r.End, Params: r.Params, Tags: r.Tags,
		Metrics: make(map[string][]string),
	}
	for key, lines := range r.Metrics {
		for _, l := range lines {
			s.Metrics[key] = append(s.Metrics[key], mlflowtest.NormalLine(l))
		}
		slices.Sort(s.Metrics[key])
	}
	for _, in := range r.Inputs {
		parts := strings.Fields(in)
		s.Inputs = append(s.Inputs, strings.Join([]string{parts[0], parts[1], parts[len(parts)-1]}, " "))
	}
	return s
}

// python runs Python and returns its output.
func python(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", args...)
	cmd.Env = append(os.Environ(), "MLFLOW_ALLOW_FILE_STORE=true", "MLFLOW_DISABLE_TELEMETRY=true")
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 %q: %v\n%s", args, err, problems.String())
	}
	return out
}

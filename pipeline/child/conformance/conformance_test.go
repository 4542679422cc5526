package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/pipeline/child/conformance"
	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/spec"
)

func TestMain(m *testing.M) {
	supervisor.Main()
	goleak.VerifyTestMain(m)
}

// example is the trainer of the manual.
func example(t *testing.T) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3; make test-trainer wants one")
	}
	path, err := filepath.Abs("../../../docs/examples/trainer/trainer.py")
	if err != nil {
		t.Fatal(err)
	}
	return []string{python, path}
}

// TestExampleConforms: the trainer of the manual keeps to the protocol.
func TestExampleConforms(t *testing.T) {
	t.Parallel()
	keys := spec.Defaults().FineTuner
	keys.Epochs, keys.SaveSteps, keys.DeviceTrainBatchSize, keys.GradAccumulation = 3, 4, 2, 2
	var names []string
	ok := conformance.Check(t.Context(), conformance.Config{
		Command: example(t), Environ: os.Environ(), More: []string{"CHAIN_STEP_SECONDS=0.01"},
		Keys: keys, Scratch: t.TempDir(), Output: func(line string) { t.Log(line) },
	}, func(f conformance.Finding) {
		names = append(names, f.Name)
		if f.OK {
			t.Logf("%s: %s", f.Name, f.Text)
		} else {
			t.Errorf("%s: %s", f.Name, f.Text)
		}
	})
	if !ok || len(names) != 11 {
		t.Errorf("it conforms: %v, after %q", ok, names)
	}
}

package conformance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// manual is the command of a trainer of the manual.
func manual(t *testing.T, name string) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		// "make test" needs Go alone; CI runs "make test-trainer", which fails without a python3.
		t.Skip("there is no python3; make test-trainer wants one")
	}
	path, err := filepath.Abs(filepath.Join("../../../docs/examples/trainer", name))
	if err != nil {
		t.Fatal(err)
	}
	return []string{python, "-B", path} // without files beside the sources
}

// check fails the test for each fault of a trainer, but for those that are expected.
func check(t *testing.T, cfg conformance.Config, expected map[string]string) {
	t.Helper()
	cfg.Keys = spec.Defaults().FineTuner
	cfg.Keys.Epochs, cfg.Keys.SaveSteps, cfg.Keys.DeviceTrainBatchSize, cfg.Keys.GradAccumulation = 3, 4, 2, 2
	cfg.Environ, cfg.Scratch, cfg.Output = os.Environ(), t.TempDir(), func(line string) { t.Log(line) }
	var names []string
	conformance.Check(t.Context(), cfg, func(f conformance.Finding) {
		names = append(names, f.Name)
		want, fails := expected[f.Name]
		if f.OK == fails || !strings.Contains(f.Text, want) {
			t.Errorf("%s: %v, %s; want %q", f.Name, f.OK, f.Text, want)
		}
	})
	if len(names) != 12 {
		t.Errorf("it was checked for %q", names)
	}
}

// TestExampleConforms: the trainer of the manual keeps to the protocol.
func TestExampleConforms(t *testing.T) {
	t.Parallel()
	check(t, conformance.Config{Command: manual(t, "trainer.py"), More: []string{"CHAIN_STEP_SECONDS=0.03"}}, nil)
}

// TestWrappersConform: so do the wrappers of the manual, with stand-ins for what they
// wrap.
func TestWrappersConform(t *testing.T) {
	t.Parallel()
	standIns, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	more := []string{"STEP_SECONDS=0.02", "PATH=" + standIns + string(os.PathListSeparator) + os.Getenv("PATH")}
	for name, expected := range map[string]map[string]string{"llamafactory.py": nil, "axolotl.py": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, conformance.Config{Command: manual(t, name), More: more}, expected)
		})
	}
}

// TestFolders: a trainer that goes to another folder conforms, also where the jobs of the check
// are named from here; one whose result depends on where it starts does not, and neither does
// one that leaves files there.
func TestFolders(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs(filepath.Join("testdata", "folders.py"))
	if err != nil {
		t.Fatal(err)
	}
	trainer := manual(t, "trainer.py")
	for mode, expected := range map[string]map[string]string{
		"goes":    nil,
		"depends": {"folder": "started in another folder: its result is another one than that of the first run"},
		"leaves":  {"folder": "it left left.txt in the folder in which it was started"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			command := []string{trainer[0], "-B", path, trainer[len(trainer)-1]}
			if mode == "leaves" { // it would leave them here, too
				command = append([]string{"/bin/sh", "-c", `[ "$(basename "$PWD")" = elsewhere ] || cd "$0"; exec "$@"`, t.TempDir()}, command...)
			}
			check(t, conformance.Config{Command: command, More: []string{"CHAIN_STEP_SECONDS=0.03", "MODE=" + mode}}, expected)
		})
	}
}

// TestUntried: what a check could not try is no fault of the trainer.
func TestUntried(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs(filepath.Join("testdata", "at_once.py"))
	if err != nil {
		t.Fatal(err)
	}
	trainer := manual(t, "trainer.py")
	command := []string{trainer[0], "-B", path, trainer[len(trainer)-1]}
	cfg := conformance.Config{Command: command, Keys: spec.Defaults().FineTuner, Environ: os.Environ(), Scratch: t.TempDir()}
	cfg.Keys.Epochs, cfg.Keys.SaveSteps, cfg.Keys.DeviceTrainBatchSize, cfg.Keys.GradAccumulation = 1, 0, 32, 1 // it waits for no answer
	untried := 0
	conformance.Check(t.Context(), cfg, func(f conformance.Finding) {
		if f.Untried {
			untried++
		}
		if f.Untried != strings.HasPrefix(f.Text, "it could not be tried") || f.Untried && f.OK {
			t.Errorf("%+v", f)
		}
	})
	if untried == 0 {
		t.Error("every check could be tried")
	}
}

// TestWrapperFaults: what a wrapped project cannot do, and why it failed, is said.
func TestWrapperFaults(t *testing.T) {
	t.Parallel()
	standIns, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	here := "PATH=" + standIns + string(os.PathListSeparator) + os.Getenv("PATH")
	for name, c := range map[string]struct {
		more []string
		want string
	}{
		"a key that it lacks": {[]string{here, "LACKS=dynamic_checkpoint"}, "bad_key: this Axolotl does not have dynamic_checkpoint"},
		"no memory":           {[]string{here, "MEMORY=1"}, "out_of_memory: axolotl ended with status 1"},
		"no project":          {nil, "internal: [Errno 2] No such file or directory: 'axolotl'; is its environment on PATH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := conformance.Config{Command: manual(t, "axolotl.py"), More: c.more, Keys: spec.Defaults().FineTuner, Environ: os.Environ(), Scratch: t.TempDir()}
			found := map[string]conformance.Finding{}
			conformance.Check(t.Context(), cfg, func(f conformance.Finding) { found[f.Name] = f })
			if f := found["complete"]; f.OK || !strings.Contains(f.Text, c.want) {
				t.Errorf("it says %q, want %q", f.Text, c.want)
			}
		})
	}
}

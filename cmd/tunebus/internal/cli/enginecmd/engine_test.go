package enginecmd_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/child/conformance"
	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/spec"
)

func TestMain(m *testing.M) {
	supervisor.Main()
	os.Exit(m.Run())
}

// example is the trainer of the manual.
func example(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		// "make test" needs Go alone; CI runs "make test-trainer", which fails without a python3.
		t.Skip("there is no python3; make test-trainer wants one")
	}
	return filepath.Join(clitest.Root(), "docs", "examples", "trainer", "trainer.py")
}

// TestCheck: the trainer of the manual keeps to the protocol, and a command that is
// none does not.
func TestCheck(t *testing.T) {
	t.Parallel()
	trainer := example(t)
	status, out, screen := clitest.Run(t, "engine", "check", "--json", "--env", "CHAIN_STEP_SECONDS=0.03", "--", "python3", trainer)
	var found []conformance.Finding
	if err := json.Unmarshal([]byte(out), &found); err != nil || status != 0 || len(found) != 12 {
		t.Errorf("status %d, %v\n%s\n%s", status, err, out, screen)
	}
	status, out, screen = clitest.Run(t, "engine", "check", "--", "python3", "-c", "import sys; sys.exit('no trainer')")
	if status != 3 || out != "the command does not keep to the protocol: 2 of 2 checks found a fault\n" || !strings.Contains(screen, "no trainer") {
		t.Errorf("status %d\n%s\n%s", status, out, screen)
	}
	for _, c := range []struct{ set, want string }{
		{"fine_tuner.rank=x", "want a whole number"}, {"fine_tuner.rnk=8", `did you mean "rank"?`}, {"rank", "want section.key=value"},
	} {
		if status, _, screen := clitest.Run(t, "engine", "check", "--set", c.set, "--", "true"); status != 2 || !strings.Contains(screen, c.want) {
			t.Errorf("--set %s: status %d\n%s", c.set, status, screen)
		}
	}
}

// TestCheckLikeAJob: a check gives the trainer what a job would: every key, those that were
// changed, and a model that the built-in engine opens. One that cannot work with that model
// is told of --model.
func TestCheckLikeAJob(t *testing.T) {
	t.Parallel()
	example(t)
	seen := filepath.Join(t.TempDir(), "seen")
	look := `import json, os, shutil, sys
if "--describe" in sys.argv:
    print(json.dumps({"protocol": 1, "name": "looks", "rows": "tokens"}))
else:
    job = json.load(open(sys.argv[-1]))
    shutil.copytree(job["model"]["folder"], os.environ["SEEN"])
    json.dump(job, open(os.environ["SEEN"] + "/job.json", "w"))
    sys.exit("a tensor is missing")
`
	status, _, screen := clitest.Run(t, "engine", "check", "--env", "SEEN="+seen, "--set", "fine_tuner.rank=8", "--", "python3", "-c", look)
	if status != 3 || !strings.Contains(screen, "--model FOLDER gives it another one") {
		t.Errorf("status %d\n%s", status, screen)
	}
	body, err := os.ReadFile(filepath.Join(seen, "job.json"))
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		Keys    map[string]any
		Changed []string
	}
	if err := json.Unmarshal(body, &job); err != nil {
		t.Fatal(err)
	}
	for _, k := range spec.Keys() {
		if _, has := job.Keys[k.Name]; k.Section == "fine_tuner" && !has {
			t.Errorf("the job lacks the key %s", k.Name)
		}
	}
	if want := []string{"rank", "device_train_batch_size", "grad_accumulation", "save_steps"}; !slices.Equal(job.Changed, want) {
		t.Errorf("the changed keys are %q, want %q", job.Changed, want)
	}
	if _, err := llm.Open(seen); err != nil {
		t.Error(err)
	}
}

// TestDescribe: of a command, and of that of the settings, for doctor as well.
func TestDescribe(t *testing.T) {
	t.Parallel()
	trainer := example(t)
	status, out, screen := clitest.Run(t, "engine", "describe", "--", "python3", trainer)
	if status != 0 || !strings.Contains(out, "trainer       chain 1\nprotocol      1\nreads         tokens\n") {
		t.Errorf("status %d\n%s\n%s", status, out, screen)
	}
	settings := filepath.Join(t.TempDir(), "tunebus.toml")
	if err := os.WriteFile(settings, []byte("[services.finetune]\nqueue = \"command\"\ncommand = [\"python3\", \""+trainer+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, screen := clitest.Run(t, "engine", "describe", "--settings", settings, "--json"); status != 0 || !strings.Contains(out, `"name": "chain"`) {
		t.Errorf("status %d\n%s\n%s", status, out, screen)
	}
	if _, out, screen := clitest.Run(t, "doctor", "--settings", settings, "--server", "127.0.0.1:1"); !strings.Contains(out, "chain 1, reads tokens, devices: cpu") {
		t.Errorf("doctor says\n%s\n%s", out, screen)
	}
	for _, name := range []string{"openai", "no-such"} {
		status, _, screen = clitest.Run(t, "engine", "describe", name)
		if want := `"` + name + `" is no engine that says what it is, and no program; want one of trl, unsloth, a command behind --`; status != 2 || !strings.Contains(screen, want) {
			t.Errorf("status %d\n%s", status, screen)
		}
	}
	status, _, screen = clitest.Run(t, "engine", "describe")
	if status != 2 || !strings.Contains(screen, "services.finetune.command") {
		t.Errorf("without a command: status %d\n%s", status, screen)
	}
}

package runcmd_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/enginestate"
)

// TestBrokenProgram: a run whose program cannot say what it is is refused before it starts, and
// nothing is stored; engine list has the program as broken. A program that takes long to say
// it is no reason to refuse a run.
func TestBrokenProgram(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3; make test-trainer wants one")
	}
	for name, c := range map[string]struct {
		section, queue, command string
		set                     []string
		says, do                string
	}{
		"no such file": {
			"finetune", "command", `["python3", "/none.py"]`, []string{"fine_tuner.engine=command"},
			"services.finetune.command: python3 --describe: it ended with status 2, want 0", `"tunebus engine check" checks the command`,
		},
		"packages are missing": {
			"finetune", "trl", `["python3", "-I", "-c", "import sys; sys.exit('this Python lacks the package torch')"]`, []string{"fine_tuner.engine=trl"},
			"this Python lacks the package torch", `"tunebus engine check" checks the command`,
		},
		"it trains": {
			"inference", "transformers", `["python3", "-c", "print('{\"protocol\": 1, \"name\": \"mine\", \"version\": \"1\", \"rows\": \"tokens\"}')"]`,
			[]string{"inferencer.engine=transformers"}, "services.inference.command: mine 1 trains, and does not answer", "name a program that does",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			settings := filepath.Join(dir, "settings.toml")
			text := "[services." + c.section + "]\ncommand = " + c.command + "\nqueue = \"" + c.queue + "\"\n"
			if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"run", "--config", clitest.Quickstart(), "--settings", settings}, clitest.Folders(dir)...)
			for _, one := range c.set {
				args = append(args, "--set", one)
			}
			status, _, screen := clitest.Run(t, args...)
			if status != 2 || !strings.Contains(screen, c.says) || !strings.Contains(screen, c.do) || !strings.Contains(screen, "the run cannot start") {
				t.Errorf("status %d\n%s", status, screen)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "nats")); len(left) > 0 {
				t.Errorf("a run is stored in %q", left)
			}
			status, out, screen := clitest.Run(t, "engine", "list", "--json", "--settings", settings, "--data", filepath.Join(dir, "data"))
			var all []enginestate.Engine
			if err := json.Unmarshal([]byte(out), &all); err != nil || status != 0 {
				t.Fatalf("status %d, %v\n%s\n%s", status, err, out, screen)
			}
			for _, e := range all {
				if e.Name == c.queue && (e.State != "broken" || e.Usable || !strings.Contains(e.Says, c.says) || len(e.Command) == 0) {
					t.Errorf("it is listed as %+v", e)
				}
			}
			if _, out, _ := clitest.Run(t, "engine", "list", "--settings", settings); !strings.Contains(out, c.do) {
				t.Errorf("the list says\n%s", out)
			}
		})
	}
}

// TestNoSharedFolder: a run whose adapter the model server cannot get is refused before it starts.
func TestNoSharedFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	settings := filepath.Join(dir, "settings.toml")
	folder := filepath.Join(dir, "none")
	text := "[services.inference]\nendpoint = \"http://127.0.0.1:1/v1\"\nqueue = \"openai\"\nlora_folder = \"" + folder + "\"\n"
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run", "--config", clitest.Quickstart(), "--settings", settings, "--set", "inferencer.engine=openai"}, clitest.Folders(dir)...)
	status, _, screen := clitest.Run(t, args...)
	if status != 2 || !strings.Contains(screen, "services.inference.lora_folder: stat "+folder) || !strings.Contains(screen, "make or mount the folder") {
		t.Errorf("status %d\n%s", status, screen)
	}
}

// TestQueueOfAName: a run whose jobs go to a queue that no service of this process has is told how
// the service gets it.
func TestQueueOfAName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := append([]string{"run", "--config", clitest.Quickstart(), "--set", "fine_tuner.queue=gpu"}, clitest.Folders(dir)...)
	status, _, screen := clitest.Run(t, args...)
	if status != 2 || !strings.Contains(screen, `write queue = "gpu" into the section services.finetune of the settings`) || strings.Contains(screen, "tunebus setup") {
		t.Errorf("status %d\n%s", status, screen)
	}
}

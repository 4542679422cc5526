package runcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

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

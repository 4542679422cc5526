package runcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestNoProgram: a program of the settings that is not there is said before anything
// starts, with what to do, and nothing is stored.
func TestNoProgram(t *testing.T) {
	t.Parallel()
	for _, section := range []string{"finetune", "inference"} {
		dir := t.TempDir()
		queue := map[string]string{"finetune": "command", "inference": "transformers"}[section]
		settings := filepath.Join(dir, "settings.toml")
		text := "[services." + section + "]\ncommand = [\"no-such-program\"]\nqueue = \"" + queue + "\"\n"
		if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"run", "--config", clitest.Quickstart(), "--settings", settings}, clitest.Folders(dir)...)
		if section == "finetune" {
			args = append(args, "--set", "fine_tuner.engine=command")
		} else {
			args = append(args, "--set", "inferencer.engine=transformers")
		}
		status, _, screen := clitest.Run(t, args...)
		if status != 2 || !strings.Contains(screen, "services."+section+".command: exec: \"no-such-program\"") || !strings.Contains(screen, "; name the program that ") || strings.Contains(screen, "phases") {
			t.Errorf("%s: status %d: %s", section, status, screen)
		}
	}
}

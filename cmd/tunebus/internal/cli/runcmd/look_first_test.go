package runcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestWhatIsWrongIsSaidBeforeAnythingIsSent: submit opens local data and models as run
// and "config check" do. All three say the same, all of it at once, and nothing is
// uploaded.
func TestWhatIsWrongIsSaidBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := t.TempDir()
	clitest.Write(t, dir, "train.jsonl", `{"prompt":"q","reply":"a"}`+"\n")
	clitest.Write(t, dir, "valid.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n{\"question\":")
	clitest.Write(t, dir, "test.jsonl", "")
	clitest.Write(t, dir, "config.json", `{"model_type":"mamba"}`)
	clitest.Write(t, dir, "c.toml", "[fine_tuner]\nbase_model_id = \".\"\ntraining_data_id = \"train.jsonl\"\nvalidation_data_id = \"valid.jsonl\"\n[inferencer]\ntesting_data_id = \"test.jsonl\"\n")
	said := map[string]string{}
	for verb, args := range map[string][]string{
		"submit":       {"submit", "--server", "nats://127.0.0.1:1", "--artifacts", "file://" + data},
		"run":          append([]string{"run"}, clitest.Folders(t.TempDir())...),
		"config check": {"config", "check"},
	} {
		status, out, screen := clitest.Run(t, append(args, "--config", filepath.Join(dir, "c.toml"))...)
		if status != 2 || out != "" {
			t.Errorf("%s: status %d\n%s%s", verb, status, out, screen)
		}
		for _, want := range []string{
			"fine_tuner.base_model_id", "mamba", "fine_tuner.training_data_id", `"prompt"`, "fine_tuner.validation_data_id", "line 2", "inferencer.testing_data_id",
		} {
			if !strings.Contains(screen, want) {
				t.Errorf("%s: no %q in\n%s", verb, want, screen)
			}
		}
		said[verb] = screen
	}
	if said["submit"] != said["run"] || said["submit"] != said["config check"] {
		t.Errorf("submit says\n%s\nrun says\n%s\nconfig check says\n%s", said["submit"], said["run"], said["config check"])
	}
	if files, err := filepath.Glob(data + "/*"); err != nil || len(files) > 0 {
		t.Errorf("uploaded %q, %v", files, err)
	}
}

// TestFoldersWithNamesLikeValues: what follows --set for a path is the name of a folder,
// also if it looks like a number, a boolean or a date.
func TestFoldersWithNamesLikeValues(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"nan", "123", "true", "1979-05-27", "-inf", "1e3"} {
		if err := os.Mkdir(name, 0o750); err != nil {
			t.Fatal(err)
		}
		clitest.Write(t, dir, name+"/rows.jsonl", `{"question":"q","answer":"a"}`+"\n")
		args := []string{"config", "check", clitest.Quickstart(), "--set", "fine_tuner.validation_data_id=" + name, "--json"}
		status, out, screen := clitest.Run(t, args...)
		if status != 0 || !strings.Contains(out, `"`+name+`"`) {
			t.Errorf("%s: status %d\n%s%s", name, status, out, screen)
		}
	}
}

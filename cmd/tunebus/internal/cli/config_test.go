package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReferenceIsCommittedAndUsable(t *testing.T) {
	t.Parallel()
	status, doc, screen := tunebus(t, "config", "doc")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	const file = "../../../../configs/seed.toml"
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != doc {
		t.Error("configs/seed.toml is not what \"tunebus config doc\" prints")
	}
	status, _, screen = tunebus(t, "config", "check", file, "--set", "fine_tuner.base_model_id=a/b", "--set", "fine_tuner.training_data_id=a/c", "--set", "inferencer.testing_data_id=a/d")
	if status != 0 {
		t.Errorf("status %d\n%s", status, screen)
	}
}

func TestConfigInitKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my.toml")
	if status, _, screen := tunebus(t, "config", "init", file); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if status, _, _ := tunebus(t, "config", "init", file); status != 2 {
		t.Errorf("a second init ended with status %d", status)
	}
}

func TestVariables(t *testing.T) {
	t.Setenv("TUNEBUS_TEST_MODEL", "owner/model")
	t.Setenv("TUNEBUS_TEST_TOKEN", "hush")
	args := []string{"config", "check", "--json", "--set", "fine_tuner.training_data_id=a/c", "--set", "inferencer.testing_data_id=a/d"}
	status, out, screen := tunebus(t, append(args, "--set", "fine_tuner.base_model_id=${TUNEBUS_TEST_MODEL}")...)
	if status != 0 || !strings.Contains(out, "owner/model") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	status, out, screen = tunebus(t, append(args, "--set", "fine_tuner.base_model_id=${TUNEBUS_TEST_TOKEN}")...)
	if status != 2 || strings.Contains(out+screen, "hush") {
		t.Errorf("a secret went through: status %d\n%s%s", status, out, screen)
	}
}

package runcmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestRequestOfAProgram: the run of a request that a program published, with paths relative to the
// data roots, can be started again from its config.toml anywhere. Its MLflow is written to no folder
// outside of the working folder of up.
func TestRequestOfAProgram(t *testing.T) {
	working, elsewhere, outside := awayFromServers(t), t.TempDir(), filepath.Join(t.TempDir(), "escaped")
	if err := os.CopyFS(filepath.Join(working, "mine", "base"), os.DirFS(filepath.Join(clitest.Root(), "configs", "quickstart", "base-model"))); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, filepath.Join(working, "mine"), "rows.jsonl", `{"question":"Who?","answer":"Ada."}`)
	team := t.TempDir()
	url := clitest.Up(t, team)
	b := clitest.Connect(t, conn.Options{URL: url, Name: "program"})
	for id, mlflow := range map[string]string{"plain": "", "outside": "file://" + outside} {
		raw, err := json.Marshal(map[string]any{
			"pipeline": map[string]any{"enable_finetuning": false}, "fine_tuner": map[string]any{"base_model_id": "mine/base"},
			"inferencer": map[string]any{"testing_data_id": "mine/rows.jsonl", "max_new_tokens": 2, "baseline": false},
			"evaluator":  map[string]any{"metrics": []string{"exact_match"}}, "mlflow": map[string]any{"tracking_uri": mlflow},
		})
		if err != nil {
			t.Fatal(err)
		}
		clitest.Publish(t, b, events.PipelineRequested{RunID: id, Specification: raw})
		clitest.Eventually(t, "the run is tracked", func() bool {
			_, err := os.Stat(filepath.Join(team, "reports", id, "config.toml"))
			_, out, _ := clitest.Run(t, "show", id, "--server", url)
			return err == nil && (strings.Contains(out, "mlflow_pipeline") || mlflow != "" && strings.Contains(out, "may not write"))
		})
	}
	if _, err := os.Stat(outside); err == nil {
		t.Errorf("MLflow was written to %s", outside)
	}
	t.Chdir(elsewhere)
	status, out, screen := clitest.Run(t, "run", filepath.Join(team, "reports", "plain", "config.toml"), "--run-id", "again", "--relaxed-sync")
	if status != 0 {
		t.Errorf("status %d\n%s%s\n%s", status, out, screen, clitest.Text(t, filepath.Join(team, "reports", "plain", "config.toml")))
	}
}

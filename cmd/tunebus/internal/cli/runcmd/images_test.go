package runcmd_test

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/engine"
)

const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// scratch is the runtime of a job that only reads.
type scratch struct{ dir string }

func (s scratch) ScratchPath(name string) (string, error)                          { return filepath.Join(s.dir, name), nil }
func (scratch) RecordProgress(context.Context, int64, int64, []events.Point) error { return nil }
func (scratch) SaveCheckpoint(context.Context, int64, string, int) error           { return nil }
func (scratch) StartOver(context.Context, error) error                             { return nil }
func (scratch) Announce(context.Context, engine.Announcement)                      {}
func (scratch) IsKept(int64) bool                                                  { return true }

// TestImagesTravel: the images that a data file names beside it go with it to a worker
// elsewhere, which finds them as they were; other files of the folder stay.
func TestImagesTravel(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir+"/cache")
	t.Setenv("HOME", dir)
	pixel, err := base64.StdEncoding.DecodeString(dot)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.png", "deep/b.png", "unused.png"} {
		path := filepath.Join(dir, "mine", "pics", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, pixel, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows := `{"question":"Which boat?","answer":"Alma.","pic":["pics/a.png","pics/deep/b.png"]}` + "\n" +
		`{"question":"And this?","answer":"Alma.","pic":"pics/a.png"}` + "\n"
	clitest.Write(t, filepath.Join(dir, "mine"), "test.jsonl", rows) // its name says another split than the key
	url := clitest.Up(t, dir)
	status, _, screen := clitest.Run(t, "submit", "--server", url, "--run-id", "seen",
		"--set", "fine_tuner.base_model_id=owner/model", "--set", "fine_tuner.training_data_id="+dir+"/mine/test.jsonl",
		"--set", "fine_tuner.image_column=pic", "--set", "fine_tuner.engine=trl", "--set", "fine_tuner.is_multimodel=true",
		"--set", "fine_tuner.finetune_language_layers=true", "--set", "fine_tuner.finetune_mlp_modules=true", "--set", "pipeline.stop_after_finetuning=true")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	b := clitest.Connect(t, conn.Options{URL: url, Name: "test"})
	run, err := history.New(b).Run(t.Context(), "seen")
	if err != nil {
		t.Fatal(err)
	}
	store, err := artifact.Open(t.Context(), "file://"+dir+"/data/artifacts")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	job := engine.NewJob(engine.JobConfig{
		Request: events.PhaseRequested{RunID: "seen", Phase: events.Finetune, Specification: run.Accepted.Specification, Inputs: run.Accepted.Inputs},
		Attempt: 1, Runtime: scratch{t.TempDir()}, Store: transfer.New(store),
	})
	const key = "fine_tuner.training_data_id"
	src, err := job.Dataset(t.Context(), key, run.Accepted.Specification.FineTuner.TrainingDataID)
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Open(t.Context(), src, dataset.Want{
		Use: dataset.Training, Sees: true, Columns: dataset.Columns{Question: "question", Answer: "answer", Image: "pic"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Info(); got.Counts.Rows != 2 || got.Counts.Images != 3 || len(got.Notes) > 0 {
		t.Errorf("%+v", got)
	}
	kept, err := filepath.Glob(filepath.Join(filepath.Dir(src.Path), "pics", "*"))
	if err != nil || len(kept) != 2 {
		t.Errorf("%q went along, %v", kept, err)
	}
}

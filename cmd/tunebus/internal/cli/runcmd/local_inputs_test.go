package runcmd_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// trainingOnly makes a folder with a small training set, and returns the command
// that trains on it.
func trainingOnly(t *testing.T, dir string) []string {
	t.Helper()
	clitest.Write(t, dir, "rows.jsonl", `{"question":"Where is the pier?","answer":"In the north."}`+"\n")
	model := filepath.Join(dir, "base-model")
	if err := os.CopyFS(model, os.DirFS(filepath.Join(clitest.Root(), "configs", "quickstart", "base-model"))); err != nil {
		t.Fatal(err)
	}
	// A file that makes the model large, as far as anybody who copies it can tell.
	if err := os.WriteFile(filepath.Join(model, "more.bin"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(model, "more.bin"), largeModel); err != nil {
		t.Fatal(err)
	}
	clitest.Write(t, dir, "c.toml", "[fine_tuner]\nbase_model_id = \"base-model\"\ntraining_data_id = \"rows.jsonl\"\nepochs = 1\ndevice_train_batch_size = 1\ngrad_accumulation = 1\nwarmup_steps = 0\n[pipeline]\nstop_after_finetuning = true\n")
	return []string{"--config", filepath.Join(dir, "c.toml")}
}

// largeModel is the size of the model in bytes.
const largeModel = 64 << 20

// sizeOf is the size of all files below a folder, in bytes.
func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// storedContent is what was uploaded to the store of a data folder.
func storedContent(t *testing.T, data string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(data, "artifacts", "content", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// files are the input files of a run.
func files(t *testing.T, b *conn.Conn, id string) map[string]events.Reference {
	t.Helper()
	run, err := history.New(b).Run(t.Context(), id)
	if err != nil || run.Accepted == nil {
		t.Fatalf("run %s: %v", id, err)
	}
	return run.Accepted.Inputs.Files
}

// TestInputsStayWhereTheyAre: with run, models and data are read where they lie. A
// repetition that would read one that has changed is refused, also of an archived run, and
// leaves nothing behind. --copy-inputs stores them, so that they may change.
func TestInputsStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	train := append(trainingOnly(t, dir), clitest.Folders(dir)...)
	run := func(id string, args ...string) {
		t.Helper()
		if status, _, screen := clitest.Run(t, append(append([]string{"run", "--run-id", id}, train...), args...)...); status != 0 {
			t.Fatalf("%s: status %d\n%s", id, status, screen)
		}
	}
	run("local")
	if got := storedContent(t, dir+"/data"); len(got) != 0 {
		t.Errorf("uploaded %q", got)
	}
	if grown := sizeOf(t, dir+"/data"); grown > largeModel/4 {
		t.Errorf("the data folder has grown by %d bytes", grown)
	}
	run("copied", "--copy-inputs")
	if grown := sizeOf(t, dir+"/data"); grown < largeModel || grown > 2*largeModel {
		t.Errorf("with a copy, the data folder has grown by %d bytes", grown)
	}
	copied := storedContent(t, dir+"/data")
	run("copied-again", "--copy-inputs")
	if got := storedContent(t, dir+"/data"); len(copied) < 4 || len(got) != len(copied) {
		t.Errorf("%d objects of content, then %d", len(copied), len(got))
	}

	clitest.Write(t, dir, "rows.jsonl", `{"question":"Where is the pier?","answer":"In the south."}`+"\n")
	clitest.Write(t, dir, "rerun.toml", fmt.Sprintf("[services.tracker]\ntracking_uri = \"file:%[1]s/mlruns\"\nreports = \"%[1]s/reports\"\nfile_root = %[1]q\n", dir))
	data := dir + "/data"
	rerun := func(id string) (int, string) {
		status, _, screen := clitest.Run(t, "rerun", id, "--from", "finetune", "--run-id", "again-"+id, "--data", data, "--settings", dir+"/rerun.toml")
		return status, screen
	}
	said := "fine_tuner.training_data_id of run local: " + dir + "/rows.jsonl has changed: it has sha256 "
	advice := "add --set fine_tuner.training_data_id=" + dir + "/rows.jsonl"
	refused := func(what string) {
		t.Helper()
		status, screen := rerun("local")
		if status != 2 || strings.Count(screen, said) != 1 || !strings.Contains(screen, advice) || strings.Contains(screen, "finetune   ") {
			t.Errorf("rerun of %s run after a change: status %d\n%s", what, status, screen)
		}
	}
	refused("a")
	data = dir + "/archived"
	if err := os.CopyFS(data, os.DirFS(dir+"/data")); err != nil {
		t.Fatal(err)
	}
	if status, _, screen := clitest.Run(t, "archive", "--older-than", "0s", "--data", data); status != 0 || !strings.Contains(screen, "rows.jsonl has changed") {
		t.Errorf("archive: status %d\n%s", status, screen)
	}
	refused("an archived")
	data = dir + "/data"
	if status, screen := rerun("copied"); status != 0 || strings.Contains(screen, "has changed") {
		t.Errorf("rerun with a copy: status %d\n%s", status, screen)
	}

	b := startOn(t, dir+"/data")
	local := files(t, b, "local")
	for key, path := range map[string]string{"fine_tuner.base_model_id": dir + "/base-model", "fine_tuner.training_data_id": dir + "/rows.jsonl"} {
		if ref := local[key]; !strings.HasPrefix(ref.Store, "local:") || ref.Key != path || len(ref.SHA256) != 64 || ref.Size == 0 {
			t.Errorf("%s is %+v", key, ref)
		}
		if ref := files(t, b, "copied")[key]; ref.Key != "content/"+ref.SHA256 {
			t.Errorf("%s is %+v", key, ref)
		}
	}
	if again, err := history.New(b).Run(t.Context(), "again-local"); err != nil || again.Accepted != nil {
		t.Errorf("the repetition left %+v (%v)", again, err)
	}
}

// TestSubmitToUpOnThisMachine: what lies below the data roots of an up on this
// machine stays where it is, and everything else is uploaded. Nobody reads another
// file of the machine by a request.
func TestSubmitToUpOnThisMachine(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir+"/cache")
	t.Setenv("HOME", dir)
	inside, outside := dir+"/root", dir+"/elsewhere"
	for _, d := range []string{inside, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	train := trainingOnly(t, inside)
	clitest.Write(t, outside, "rows.jsonl", `{"question":"q","answer":"a"}`+"\n")
	t.Setenv("TUNEBUS_DATA_ROOTS", inside+","+filepath.Join(clitest.Root(), "configs"))
	url := clitest.Up(t, dir)
	submit := func(id string, args ...string) {
		t.Helper()
		args = append(append([]string{"submit", "--wait", "--server", url, "--run-id", id}, train...), args...)
		if status, _, screen := clitest.Run(t, args...); status != 0 {
			t.Fatalf("%s: status %d\n%s", id, status, screen)
		}
	}
	submit("inside")
	if got := storedContent(t, dir+"/data"); len(got) != 0 {
		t.Errorf("uploaded %q", got)
	}
	submit("outside", "--set", "fine_tuner.training_data_id="+outside+"/rows.jsonl")
	if got := storedContent(t, dir+"/data"); len(got) != 1 {
		t.Errorf("uploaded %q", got)
	}
	submit("copied", "--copy-inputs")
	b := clitest.Connect(t, conn.Options{URL: url, Name: "test"})
	if ref := files(t, b, "copied")["fine_tuner.training_data_id"]; strings.HasPrefix(ref.Store, "local:") {
		t.Errorf("--copy-inputs copies nothing: %+v", ref)
	}

	stolen := files(t, b, "inside")
	for name, change := range map[string]func(*events.Reference){
		"a system file":     func(r *events.Reference) { r.Key = "/etc/passwd" },
		"outside":           func(r *events.Reference) { r.Key = outside + "/rows.jsonl" },
		"up and out":        func(r *events.Reference) { r.Key = inside + "/../elsewhere/rows.jsonl" },
		"another machine's": func(r *events.Reference) { r.Store = "local:another" },
		"no digest":         func(r *events.Reference) { r.SHA256 = "" },
	} {
		ref := stolen["fine_tuner.training_data_id"]
		change(&ref)
		if fault := rejection(t, b, ref); fault == nil || fault.Key != "inputs.files.fine_tuner.training_data_id" {
			t.Errorf("%s: %+v", name, fault)
		}
	}
}

// rejection requests a run whose training data a reference names, as any client
// of NATS can, and returns the first fault that intake finds.
func rejection(t *testing.T, b *conn.Conn, ref events.Reference) *structconf.Fault {
	t.Helper()
	m, err := journal.New(b).Publish(t.Context(), events.PipelineRequested{
		RunID:         ulid.Make().String(),
		Specification: []byte(`{"fine_tuner":{"base_model_id":"owner/model","training_data_id":"rows.jsonl"},"pipeline":{"stop_after_finetuning":true}}`),
		Inputs:        events.Inputs{Files: map[string]events.Reference{"fine_tuner.training_data_id": ref}},
	}, journal.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = runwatch.On(b).Decision(t.Context(), m.ID, m.Sequence)
	rejected, ok := errors.AsType[*runwatch.RejectedError](err)
	if !ok {
		t.Errorf("the request was not rejected: %v", err)
		return nil
	}
	return &rejected.Faults[0]
}

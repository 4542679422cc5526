package opscmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// deletionReport is the JSON of a deletion.
type deletionReport struct {
	Runs []struct {
		Run   string `json:"run_id"`
		Facts int    `json:"facts"`
		Begun bool   `json:"begun"`
	} `json:"runs"`
	Removed, Kept, Young struct {
		Count int   `json:"count"`
		Bytes int64 `json:"bytes"`
	}
	UsedBy   []string `json:"used_by"`
	Archives struct {
		Count int `json:"count"`
	} `json:"archives"`
	DryRun  bool `json:"dry_run"`
	Pending bool `json:"tracking_pending"`
	// Left and Notes are about reports and MLflow runs.
	Left  []string `json:"left"`
	Notes []string `json:"notes"`
}

// deletionFolder is a data folder of runs, with what a command needs to delete them.
type deletionFolder struct {
	*clitest.DataFolder
	flags []string
}

func newDeletionFolder(t *testing.T) deletionFolder {
	t.Helper()
	f := deletionFolder{DataFolder: clitest.NewDataFolder(t)}
	dir := filepath.Dir(f.Dir)
	f.flags = []string{"--data", f.Dir, "--tracking-uri", "file:" + dir + "/mlruns", "--reports", dir + "/reports"}
	return f
}

// track writes MLflow, the reports and the list of runs.
func (f deletionFolder) track(t *testing.T) {
	t.Helper()
	if status, _, screen := clitest.Run(t, append([]string{"replay", "tracking"}, f.flags...)...); status != 0 {
		t.Fatalf("replay tracking: status %d\n%s", status, screen)
	}
}

func (f deletionFolder) delete(t *testing.T, args ...string) (got deletionReport) {
	t.Helper()
	clitest.Result(t, &got, slices.Concat([]string{"delete", "--yes"}, f.flags, args)...)
	return got
}

// run runs a command on the folder.
func (f deletionFolder) run(t *testing.T, args ...string) (status int, out, screen string) {
	t.Helper()
	return clitest.Run(t, append(args, "--data", f.Dir)...)
}

// tagged is how many MLflow runs have the tag of deleted runs.
func (f deletionFolder) tagged(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(filepath.Dir(f.Dir), "mlruns", "*", "*", "tags", "tunebus.deleted"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func (f deletionFolder) exists(t *testing.T, ref events.Reference) bool {
	t.Helper()
	_, err := f.Store.Stat(t.Context(), ref.Key)
	return err == nil
}

// rerunOf is a run that refers to an artifact of another one.
func rerunOf(run, old string, used events.Artifact) []events.Event {
	facts := clitest.EndedRun(run)
	accepted := facts[0].(events.PipelineAccepted)
	accepted.Lineage.RerunOf, accepted.Inputs.Predictions = old, &used.Reference
	facts[0] = accepted
	return facts
}

// TestDelete: everything of a run goes but what another run uses; its MLflow runs
// stay with a tag, and its id stays taken.
func TestDelete(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	own, used := f.Put(t, "old", "own.jsonl", "own"), f.Put(t, "old", "used.jsonl", "used")
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("old", own, used)...)
		clitest.Publish(t, b, events.Progress{RunID: "old", Phase: events.Inference, Attempt: 1, Step: 1})
		clitest.Publish(t, b, rerunOf("new", "old", used)...)
		clitest.Publish(t, b, clitest.EndedRun("open")[:3]...)
	})
	f.track(t)

	var dry deletionReport
	clitest.Result(t, &dry, append([]string{"delete", "old", "--dry-run"}, f.flags...)...)
	if !dry.DryRun || dry.Removed.Count != 1 || dry.Removed.Bytes != 3 || dry.Kept.Bytes != 4 || !slices.Equal(dry.UsedBy, []string{"new"}) || dry.Runs[0].Facts != 6 {
		t.Errorf("dry: %+v", dry)
	}
	if status, out, _ := f.run(t, "show", "old"); status != 0 || !f.exists(t, own.Reference) {
		t.Errorf("a dry run changes something: show has status %d\n%s", status, out)
	}
	for name, args := range map[string][]string{
		"nobody can be asked":   {"old"},
		"a run that goes on":    {"old", "open", "--yes"},
		"a run that is unknown": {"nobody", "--yes"},
	} {
		status, _, screen := clitest.Run(t, slices.Concat([]string{"delete"}, f.flags, args)...)
		if status != 2 || !f.exists(t, own.Reference) {
			t.Errorf("%s: status %d\n%s", name, status, screen)
		}
	}

	done := f.delete(t, "name-of-old")
	if done.DryRun || done.Removed != dry.Removed || done.Kept != dry.Kept || done.Pending {
		t.Errorf("done: %+v", done)
	}
	if f.exists(t, own.Reference) || !f.exists(t, used.Reference) {
		t.Errorf("own artifact is there: %t, that of a rerun: %t", f.exists(t, own.Reference), f.exists(t, used.Reference))
	}
	f.WithServer(t, func(b *conn.Conn) {
		if types, _ := clitest.FactTypes(t, b, "old"); types != "pipeline.deleted tracking.completed" {
			t.Errorf("left are %s", types)
		}
		err := history.New(b).ReadMetrics(t.Context(), "old", events.Inference, func(ev events.Event) { t.Errorf("a metric point is left: %+v", ev) })
		if err != nil {
			t.Error(err)
		}
	})
	if status, out, _ := f.run(t, "runs"); status != 0 || strings.Contains(out, "name-of-old") || !strings.Contains(out, "name-of-new") {
		t.Errorf("runs: status %d\n%s", status, out)
	}
	for _, verb := range []string{"show", "cancel", "watch", "export"} {
		args := []string{verb, "old"}
		if verb == "export" {
			args = append(args, t.TempDir()+"/out")
		}
		if verb == "watch" {
			continue // has no --data
		}
		if status, _, screen := f.run(t, args...); status != 2 || !strings.Contains(screen, "run old was deleted") {
			t.Errorf("%s: status %d\n%s", verb, status, screen)
		}
	}
	reports := filepath.Join(filepath.Dir(f.Dir), "reports")
	list, err := os.ReadFile(filepath.Join(reports, "runs.txt"))
	if err != nil || strings.Contains(string(list), "old") || !strings.Contains(string(list), "new") {
		t.Errorf("the list of runs: %v\n%s", err, list)
	}
	if _, err := os.Stat(filepath.Join(reports, "old")); err == nil {
		t.Error("the reports are there")
	}
	if n := f.tagged(t); n != 2 { // the run and its phase
		t.Errorf("%d MLflow runs are tagged, want 2", n)
	}
	again := f.delete(t, "old", "new")
	if !again.Runs[1].Begun || again.Runs[1].Facts != 0 || again.Removed.Bytes != 4 || f.exists(t, used.Reference) {
		t.Errorf("again, with the last user of the artifact: %+v", again)
	}
}

// TestDeleteTakesNoOther: the id of a deleted run means that run for good, also where
// the id of another run begins with it, and the beginning of an id is not enough.
func TestDeleteTakesNoOther(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, clitest.EndedRun("exp")...)
		clitest.Publish(t, b, clitest.EndedRun("exp2")...)
	})
	f.track(t)
	f.delete(t, "exp")
	f.delete(t, "exp")
	if status, _, screen := f.run(t, "show", "exp"); status != 2 || !strings.Contains(screen, "run exp was deleted") {
		t.Errorf("show: status %d\n%s", status, screen)
	}
	if status, _, screen := clitest.Run(t, slices.Concat([]string{"delete"}, f.flags, []string{"ex", "--yes"})...); status != 2 || !strings.Contains(screen, "beginning of the id exp2") {
		t.Errorf("the beginning of an id: status %d\n%s", status, screen)
	}
	if status, out, screen := f.run(t, "show", "exp2"); status != 0 {
		t.Errorf("the other run: status %d\n%s%s", status, out, screen)
	}
}

// TestDeleteArchived: an archived run is deleted only if that is said.
func TestDeleteArchived(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("r", f.Put(t, "r", "x", "x"))...) })
	f.track(t)
	if status, _, screen := f.run(t, "archive", "--older-than", "0s"); status != 0 {
		t.Fatal(screen)
	}
	if status, _, screen := clitest.Run(t, append([]string{"delete", "r", "--yes"}, f.flags...)...); status != 2 || !strings.Contains(screen, "--archived") {
		t.Errorf("status %d\n%s", status, screen)
	}
	if got := f.delete(t, "r", "--archived"); got.Archives.Count != 1 || got.Removed.Count != 1 || got.Runs[0].Facts < 6 {
		t.Errorf("%+v", got)
	}
	if status, out, _ := f.run(t, "runs", "--archived"); status != 0 || strings.Contains(out, "name-of-r") {
		t.Errorf("runs: status %d\n%s", status, out)
	}
	if n := f.tagged(t); n != 2 {
		t.Errorf("%d MLflow runs are tagged", n)
	}
}

// TestDeleteContent: content goes with the last run that refers to it, and not within
// an hour.
func TestDeleteContent(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	model := t.TempDir()
	clitest.Write(t, model, "weights", "weights")
	up := content.NewUploader(f.Store, manifest.Digest)
	refs, err := up.Upload(t.Context(), map[string]string{"fine_tuner.base_model_id": model})
	up.Close()
	if err != nil {
		t.Fatal(err)
	}
	f.WithServer(t, func(b *conn.Conn) {
		for _, run := range []string{"a", "b", "c"} {
			facts := clitest.EndedRun(run)
			accepted := facts[0].(events.PipelineAccepted)
			accepted.Inputs.Files = refs
			facts[0] = accepted
			clitest.Publish(t, b, facts...)
		}
	})
	f.track(t)
	then := time.Now().Add(-2 * content.Lifetime)
	age := func() {
		t.Helper()
		for _, prefix := range []string{"content/", "reservations/"} {
			for o, err := range f.Store.List(t.Context(), prefix) {
				if err == nil {
					err = os.Chtimes(filepath.Join(f.Dir, "artifacts", o.Key), then, then)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var young deletionReport
	clitest.Result(t, &young, slices.Concat([]string{"delete", "a", "--dry-run"}, f.flags)...)
	if young.Kept.Count == 0 || young.Young.Count != 0 || !slices.Contains(young.UsedBy, "b") {
		t.Errorf("others use it, and it is young: %+v", young)
	}
	age()
	if got := f.delete(t, "a"); got.Removed.Count != 0 || got.Kept.Count == 0 || !slices.Contains(got.UsedBy, "b") {
		t.Errorf("others use it: %+v", got)
	}
	reserver := content.Reserver{Store: f.Store}
	if err := reserver.Reserve(t.Context(), refs["fine_tuner.base_model_id"]); err != nil {
		t.Fatal(err)
	}
	if got := f.delete(t, "b", "c"); got.Removed.Count != 0 || len(got.UsedBy) != 0 {
		t.Errorf("somebody is going to use it: %+v", got)
	}
	age()
	var collected struct {
		Summary struct{ Removed struct{ Count int } } `json:"summary"`
	}
	clitest.Result(t, &collected, "gc", "--grace", "0s", "--data", f.Dir, "--store", f.Store.ID())
	if collected.Summary.Removed.Count == 0 {
		t.Errorf("gc leaves it: %+v", collected)
	}
}

// TestDeleteBesideAnUnreadableDeletion: a deletion that nobody can read does not keep
// other runs from being deleted.
func TestDeleteBesideAnUnreadableDeletion(t *testing.T) {
	t.Parallel()
	f := newDeletionFolder(t)
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, clitest.EndedRun("old")...) })
	f.track(t)
	f.PublishRaw(t, map[string]string{events.PipelineDeleted{RunID: "stranger"}.Subject(): `{"junk":1}`})
	status, out, screen := clitest.Run(t, slices.Concat([]string{"delete", "old", "--yes"}, f.flags)...)
	if status != 0 || !strings.Contains(screen, "pipeline.deleted.stranger") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
}

package retention_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/gc"
)

// collect collects with a confirmed store.
func (f *fixture) collect(t *testing.T, opts gc.Options) gc.Report {
	t.Helper()
	opts.StoreConfirmed = true
	report, err := gc.New(f.bus, f.store, opts).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// put stores an object and returns the reference to it.
func (f *fixture) put(t *testing.T, key string) events.Reference {
	t.Helper()
	ref, err := f.store.Put(t.Context(), key, "text/plain", strings.NewReader(key))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// age sets the modification time of files in the store to two days ago.
func (f *fixture) age(t *testing.T, names ...string) {
	t.Helper()
	then := time.Now().Add(-48 * time.Hour)
	for _, name := range names {
		if err := os.Chtimes(filepath.Join(f.dir, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRandomRuns: with random runs, reruns and uploads, exactly the old objects
// that no run refers to are removed.
func TestRandomRuns(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(seed, 1))
			f := newFixture(t)
			keep, drop := map[string]bool{}, map[string]bool{}
			var results []events.Reference // for reruns
			for i := range 3 + dice.IntN(8) {
				run := fmt.Sprintf("run-%d", i)
				upload := f.put(t, "uploads/"+run+"/data.jsonl")
				kind := dice.IntN(5)
				if kind == 0 { // uploaded and never submitted
					drop[upload.Key] = true
					continue
				}
				used := f.put(t, "runs/"+run+"/inference/2/answers.jsonl")
				unused := f.put(t, "runs/"+run+"/inference/1/answers.jsonl")
				published := facts(run, events.Artifact{Name: events.ArtifactPredictions, Reference: used})
				accepted := published[0].(events.PipelineAccepted)
				accepted.Inputs.Files = map[string]events.Reference{"inferencer.testing_data_id": upload}
				if len(results) > 0 && dice.IntN(2) == 0 {
					old := results[dice.IntN(len(results))]
					accepted.Inputs.Model, accepted.Lineage.RerunOf = &old, "an earlier run"
				}
				published[0] = accepted
				keep[upload.Key], keep[used.Key] = true, true
				results = append(results, used)
				if kind == 1 { // not ended: all of its objects remain
					cut := 1 + dice.IntN(len(published)-3)
					f.publish(t, published[:cut]...)
					keep[unused.Key] = true
					continue
				}
				f.publish(t, published...)
				drop[unused.Key] = true
			}
			if dice.IntN(2) == 0 {
				f.archive(t, archive.Options{})
				maps.Copy(keep, f.keys(t, archive.Prefix))
			}
			for i := range dice.IntN(3) {
				drop[f.put(t, fmt.Sprintf("runs/unknown-%d/finetune/1/model.tar", i)).Key] = true
			}
			young := "runs/unknown/finetune/1/model.tar"
			f.age(t, slices.Collect(maps.Keys(keep))...)
			f.age(t, slices.Collect(maps.Keys(drop))...)
			keep[f.put(t, young).Key] = true
			keep[f.put(t, "another/application").Key] = true
			f.age(t, "another/application")

			const grace = 24 * time.Hour
			if dry := f.collect(t, gc.Options{Grace: grace, DryRun: true}); dry.Removed.Count != len(drop) || len(f.keys(t, "")) != len(keep)+len(drop) {
				t.Errorf("a dry run would remove %d of %d and leaves %d", dry.Removed.Count, len(drop), len(f.keys(t, "")))
			}
			called := map[string]bool{}
			f.collect(t, gc.Options{Grace: grace, OnRemoved: func(r gc.Removed) { called[r.Key] = true }})
			if now := f.keys(t, ""); !maps.Equal(now, keep) {
				t.Errorf("left %v\nwant %v", slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(keep)))
			}
			if !maps.Equal(called, drop) {
				t.Errorf("called for %v\nwant %v", called, drop)
			}
			if again := f.collect(t, gc.Options{Grace: grace}); again.Removed.Count != 0 {
				t.Errorf("again: %+v", again)
			}
		})
	}
}

// TestAllReferencesCount: an object remains if anything refers to it, also a fact
// of a version that this program does not know.
func TestAllReferencesCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	keep := map[string]bool{}
	ref := func(key string) events.Reference {
		keep[key] = true
		return f.put(t, key)
	}
	referring := func(ref events.Reference) string {
		return fmt.Sprintf(`{"deep":[{"something_new":{"store":%q,"key":%q}}]}`, ref.Store, ref.Key)
	}
	// A pending request and its upload.
	upload := ref("uploads/pending/data.jsonl")
	f.put(t, "runs/pending/finetune/1/x")
	keep["runs/pending/finetune/1/x"] = true
	f.publish(t, events.PipelineRequested{RunID: "pending", Specification: []byte("{}"), Inputs: events.Inputs{Files: map[string]events.Reference{"k": upload}}})
	// A fact of a newer version.
	f.publish(t, facts("newer")...)
	newer := ref("runs/other/finetune/1/of-a-newer-version")
	body := fmt.Sprintf(`{"specversion":"1.0","id":"x","source":"s","type":"pipeline.cancel_requested","dataschema":"https://tunebus.dev/schemas/pipeline.cancel_requested.v9.json","data":%s}`, referring(newer))
	if _, err := f.js.Publish(t.Context(), "pipeline.cancel_requested.newer", []byte(body)); err != nil {
		t.Fatal(err)
	}
	ref("runs/newer/finetune/1/may-be-needed")
	// A fact that is no JSON at all.
	f.publish(t, facts("broken")...)
	if _, err := f.js.Publish(t.Context(), "pipeline.cancel_requested.broken", []byte("please")); err != nil {
		t.Fatal(err)
	}
	ref("runs/broken/finetune/1/may-be-needed")
	// A dead letter.
	deadLetter := nats.NewMsg("dead." + events.StreamFacts + ".1")
	deadLetter.Header.Set(deadletter.HeaderStream, events.StreamFacts)
	deadLetter.Data = []byte(referring(ref("runs/other/finetune/1/of-a-dead-letter")))
	if _, err := f.js.PublishMsg(t.Context(), deadLetter); err != nil {
		t.Fatal(err)
	}
	// A reference into another store does not count.
	f.put(t, "runs/other/finetune/1/elsewhere")
	f.publish(t, facts("far", events.Artifact{Name: "model", Reference: events.Reference{Store: "another", Key: "runs/other/finetune/1/elsewhere"}})...)
	report := f.collect(t, gc.Options{})
	if now := f.keys(t, ""); !maps.Equal(now, keep) {
		t.Errorf("left %v\nwant %v", slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(keep)))
	}
	if !slices.Equal(report.Unreadable, []string{"broken", "newer"}) {
		t.Errorf("unreadable: %v", report.Unreadable)
	}
}

// TestStoreWithoutReferences: nothing is removed from a store that no run refers
// to, unless the store is confirmed.
func TestStoreWithoutReferences(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, "runs/unknown/finetune/1/model.tar")
	f.publish(t, facts("r", events.Artifact{Name: "model", Reference: events.Reference{Store: "another", Key: "k"}})...)
	if report, err := gc.New(f.bus, f.store, gc.Options{}).Run(t.Context()); !errors.Is(err, gc.ErrNoReference) || report.Removed.Count != 0 || len(f.keys(t, "")) != 1 {
		t.Errorf("%+v, %v; left %v", report, err, f.keys(t, ""))
	}
	if report := f.collect(t, gc.Options{}); report.Removed.Count != 1 {
		t.Errorf("%+v", report)
	}
}

// TestDamagedArchive: the references of its run are unknown, so nothing is removed.
func TestDamagedArchive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, "runs/unknown/finetune/1/model.tar")
	key := archive.Prefix + "r/" + strings.Repeat("0", 64) + ".jsonl"
	f.put(t, key)
	if report, err := gc.New(f.bus, f.store, gc.Options{StoreConfirmed: true}).Run(t.Context()); !errors.Is(err, archive.ErrDamaged) || report.Removed.Count != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if n := len(f.keys(t, "")); n != 2 {
		t.Errorf("%d objects are left", n)
	}
}

// TestObsoleteCheckpoints: checkpoints of ended and unknown runs are removed after
// the grace period.
func TestObsoleteCheckpoints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.publish(t, facts("ended")...)
	f.publish(t, facts("open")[:3]...)
	for _, run := range []string{"ended", "open", "gone"} {
		cp := checkpoint.Checkpoint{Attempt: 1, Step: 1, Reference: f.put(t, "runs/"+run+"/inference/1/checkpoint-1.tar")}
		if _, _, err := checkpoint.New(f.bus).Save(t.Context(), run, events.Inference, cp, 1); err != nil {
			t.Fatal(err)
		}
	}
	if report := f.collect(t, gc.Options{Grace: time.Hour}); report.Checkpoints != 0 {
		t.Errorf("within the grace: %+v", report)
	}
	if report := f.collect(t, gc.Options{}); report.Checkpoints != 2 || report.Removed.Count != 2 || report.Open != 1 {
		t.Errorf("%+v", report)
	}
	for run, want := range map[string]bool{"ended": false, "open": true, "gone": false} {
		if _, err := checkpoint.New(f.bus).Load(t.Context(), run, events.Inference); want != (err == nil) {
			t.Errorf("%s: %v", run, err)
		}
	}
	if report := f.collect(t, gc.Options{}); report.Checkpoints != 0 {
		t.Errorf("again: %+v", report)
	}
}

// TestLeftoversOfFiles: the partial file of a killed writer is removed, and a file
// that is being written remains.
func TestLeftoversOfFiles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"old", "young"} {
		path := filepath.Join(f.dir, ".partial", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("half"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f.age(t, ".partial/old")
	if report := f.collect(t, gc.Options{Grace: 24 * time.Hour}); report.Leftovers != (gc.Sum{Count: 1, Bytes: 4}) {
		t.Errorf("%+v", report)
	}
	left, err := os.ReadDir(filepath.Join(f.dir, ".partial"))
	if err != nil || len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestFoldersOfKilledProcesses: folders that hold nothing are removed, of deleted runs
// those of these runs.
func TestFoldersOfKilledProcesses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, "runs/open/inference/1/answers.jsonl")
	empty := []string{"runs/deleted/inference", "runs/killed", "runs/open/finetuning/1", "archive/killed"}
	for _, folder := range empty {
		if err := os.MkdirAll(filepath.Join(f.dir, filepath.FromSlash(folder)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		opts gc.Options
		left []string
	}{
		{"dry run", gc.Options{Grace: time.Hour, DryRun: true}, empty},
		{"deleted run", gc.Options{Grace: time.Hour, Runs: []string{"deleted"}}, empty[1:]},
		{"all", gc.Options{Grace: time.Hour}, nil},
	} {
		f.collect(t, c.opts)
		for _, folder := range empty {
			_, err := os.Stat(filepath.Join(f.dir, filepath.FromSlash(folder)))
			if want := slices.Contains(c.left, folder); (err == nil) != want {
				t.Errorf("%s: %s: %v", c.name, folder, err)
			}
		}
	}
	if n := len(f.keys(t, "runs/")); n != 1 {
		t.Errorf("%d objects are left", n)
	}
}

// TestLeftoversOfObjects: chunks without an object are removed, objects remain.
func TestLeftoversOfObjects(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	newFaultyStore(t, f)
	objects, err := objectstore.Open(t.Context(), f.bus, "artifacts")
	if err != nil {
		t.Fatal(err)
	}
	if f.store, err = artifact.New(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	ref := f.put(t, "runs/r/inference/2/answers.jsonl")
	f.publish(t, facts("r", events.Artifact{Name: "predictions", Reference: ref})...)
	for range 3 {
		if _, err := f.js.Publish(t.Context(), "$O.artifacts.C.orphan", []byte("part")); err != nil {
			t.Fatal(err)
		}
	}
	parts := func() uint64 {
		s, err := f.js.Stream(t.Context(), "OBJ_artifacts")
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("$O.artifacts.C.orphan"))
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Subjects["$O.artifacts.C.orphan"]
	}
	if report := f.collect(t, gc.Options{Grace: time.Hour}); report.Leftovers.Count != 0 || parts() != 3 {
		t.Errorf("within the grace: %+v, %d parts", report, parts())
	}
	if report := f.collect(t, gc.Options{}); report.Leftovers.Count != 1 || parts() != 0 {
		t.Errorf("%+v, %d parts", report, parts())
	}
	if got, err := f.store.Get(t.Context(), ref); err != nil {
		t.Error(err)
	} else if err := got.Close(); err != nil {
		t.Error(err)
	}
	if now := f.keys(t, "runs/"); !maps.Equal(now, map[string]bool{ref.Key: true}) {
		t.Errorf("left %v", now)
	}
}

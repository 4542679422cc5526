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

func (r *room) collector() gc.Collector {
	return gc.Collector{Bus: r.bus, Store: r.store, Sure: true}
}

func (r *room) collect(t *testing.T, c gc.Collector) gc.Report {
	t.Helper()
	report, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// put stores an object and returns the reference to it.
func (r *room) put(t *testing.T, key string) events.Reference {
	t.Helper()
	ref, err := r.store.Put(t.Context(), key, "text/plain", strings.NewReader(key))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// age makes objects of a store of files two days old.
func (r *room) age(t *testing.T, names ...string) {
	t.Helper()
	then := time.Now().Add(-48 * time.Hour)
	for _, name := range names {
		if err := os.Chtimes(filepath.Join(r.dir, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGarbageOfRandomRuns: of runs, reruns and uploads as they may come, what
// any run refers to stays, and everything else that is old enough goes.
func TestGarbageOfRandomRuns(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(seed, 1))
			r := newRoom(t)
			keep, drop := map[string]bool{}, map[string]bool{}
			var made []events.Reference // what reruns start from
			for i := range 3 + dice.IntN(8) {
				run := fmt.Sprintf("run-%d", i)
				upload := r.put(t, "uploads/"+run+"/data.jsonl")
				kind := dice.IntN(5)
				if kind == 0 { // it was uploaded and never submitted
					drop[upload.Key] = true
					continue
				}
				used := r.put(t, "runs/"+run+"/inference/2/answers.jsonl")
				lost := r.put(t, "runs/"+run+"/inference/1/answers.jsonl")
				said := facts(run, events.Artifact{Name: events.ArtifactPredictions, Reference: used})
				accepted := said[0].(events.PipelineAccepted)
				accepted.Inputs.Files = map[string]events.Reference{"inferencer.testing_data_id": upload}
				if len(made) > 0 && dice.IntN(2) == 0 {
					old := made[dice.IntN(len(made))]
					accepted.Inputs.Model, accepted.Lineage.RerunOf = &old, "an earlier run"
				}
				said[0] = accepted
				keep[upload.Key], keep[used.Key] = true, true
				made = append(made, used)
				if kind == 1 { // it goes on: whatever it has stored stays
					cut := 1 + dice.IntN(len(said)-3)
					r.publish(t, said[:cut]...)
					keep[lost.Key] = true
					continue
				}
				r.publish(t, said...)
				drop[lost.Key] = true
			}
			if dice.IntN(2) == 0 {
				r.archive(t, r.archiver())
				maps.Copy(keep, r.keys(t, archive.Prefix))
			}
			for i := range dice.IntN(3) {
				drop[r.put(t, fmt.Sprintf("runs/nobody-%d/finetune/1/model.tar", i)).Key] = true
			}
			young := "runs/nobody/finetune/1/model.tar"
			r.age(t, slices.Collect(maps.Keys(keep))...)
			r.age(t, slices.Collect(maps.Keys(drop))...)
			keep[r.put(t, young).Key] = true
			keep[r.put(t, "somebody/elses").Key] = true
			r.age(t, "somebody/elses")

			c := r.collector()
			c.Grace, c.DryRun = 24*time.Hour, true
			if dry := r.collect(t, c); dry.Removed.Count != len(drop) || len(r.keys(t, "")) != len(keep)+len(drop) {
				t.Errorf("a dry run would remove %d of %d and left %d", dry.Removed.Count, len(drop), len(r.keys(t, "")))
			}
			told := map[string]bool{}
			c.DryRun = false
			c.Told = func(one gc.Removed) { told[one.Key] = true }
			r.collect(t, c)
			if now := r.keys(t, ""); !maps.Equal(now, keep) {
				t.Errorf("left %v\nwant %v", slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(keep)))
			}
			if !maps.Equal(told, drop) {
				t.Errorf("told of %v\nwant %v", told, drop)
			}
			if again := r.collect(t, c); again.Removed.Count != 0 {
				t.Errorf("again: %+v", again)
			}
		})
	}
}

// TestGarbageThatIsNone: what is spoken of anywhere stays, also in words that
// this program does not know.
func TestGarbageThatIsNone(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	keep := map[string]bool{}
	ref := func(key string) events.Reference {
		keep[key] = true
		return r.put(t, key)
	}
	said := func(ref events.Reference) string {
		return fmt.Sprintf(`{"deep":[{"something_new":{"store":%q,"key":%q}}]}`, ref.Store, ref.Key)
	}
	// A request that intake has not dealt with, with what was uploaded for it.
	upload := ref("uploads/asked/data.jsonl")
	r.put(t, "runs/asked/finetune/1/x")
	keep["runs/asked/finetune/1/x"] = true
	r.publish(t, events.PipelineRequested{RunID: "asked", Specification: []byte("{}"), Inputs: events.Inputs{Files: map[string]events.Reference{"k": upload}}})
	// A fact of a newer version.
	r.publish(t, facts("newer")...)
	later := ref("runs/other/finetune/1/of-a-newer-version")
	body := fmt.Sprintf(`{"specversion":"1.0","id":"x","source":"s","type":"pipeline.cancel_requested","dataschema":"https://tunebus.dev/schemas/pipeline.cancel_requested.v9.json","data":%s}`, said(later))
	if _, err := r.js.Publish(t.Context(), "pipeline.cancel_requested.newer", []byte(body)); err != nil {
		t.Fatal(err)
	}
	ref("runs/newer/finetune/1/may-be-needed")
	// A fact that is no JSON at all.
	r.publish(t, facts("broken")...)
	if _, err := r.js.Publish(t.Context(), "pipeline.cancel_requested.broken", []byte("please")); err != nil {
		t.Fatal(err)
	}
	ref("runs/broken/finetune/1/may-be-needed")
	// A dead letter.
	letter := nats.NewMsg("dead." + events.StreamFacts + ".1")
	letter.Header.Set(deadletter.HeaderStream, events.StreamFacts)
	letter.Data = []byte(said(ref("runs/other/finetune/1/of-a-letter")))
	if _, err := r.js.PublishMsg(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	// The same words about another store are no reference.
	r.put(t, "runs/other/finetune/1/elsewhere")
	r.publish(t, facts("far", events.Artifact{Name: "model", Reference: events.Reference{Store: "another", Key: "runs/other/finetune/1/elsewhere"}})...)
	report := r.collect(t, r.collector())
	if now := r.keys(t, ""); !maps.Equal(now, keep) {
		t.Errorf("left %v\nwant %v", slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(keep)))
	}
	if !slices.Equal(report.Unreadable, []string{"broken", "newer"}) {
		t.Errorf("unreadable: %v", report.Unreadable)
	}
}

// TestGarbageOfAnotherStore: a store that no run refers to is left alone,
// unless somebody is sure.
func TestGarbageOfAnotherStore(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.put(t, "runs/somebody/finetune/1/model.tar")
	r.publish(t, facts("r", events.Artifact{Name: "model", Reference: events.Reference{Store: "another", Key: "k"}})...)
	c := r.collector()
	c.Sure = false
	if report, err := c.Run(t.Context()); !errors.Is(err, gc.ErrNoReference) || report.Removed.Count != 0 || len(r.keys(t, "")) != 1 {
		t.Errorf("%+v, %v; left %v", report, err, r.keys(t, ""))
	}
	c.Sure = true
	if report := r.collect(t, c); report.Removed.Count != 1 {
		t.Errorf("%+v", report)
	}
}

// TestGarbageStaysWithADamagedArchive: what such a run refers to cannot be
// told.
func TestGarbageStaysWithADamagedArchive(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.put(t, "runs/somebody/finetune/1/model.tar")
	key := archive.Prefix + "r/" + strings.Repeat("0", 64) + ".jsonl"
	r.put(t, key)
	if report, err := r.collector().Run(t.Context()); !errors.Is(err, archive.ErrDamaged) || report.Removed.Count != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if n := len(r.keys(t, "")); n != 2 {
		t.Errorf("%d objects are left", n)
	}
}

// TestCheckpointsThatNobodyGoesOnFrom goes by the run, and by the grace.
func TestCheckpointsThatNobodyGoesOnFrom(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.publish(t, facts("ended")...)
	r.publish(t, facts("open")[:3]...)
	for _, run := range []string{"ended", "open", "gone"} {
		cp := checkpoint.Checkpoint{Attempt: 1, Step: 1, Reference: r.put(t, "runs/"+run+"/inference/1/checkpoint-1.tar")}
		if _, _, err := checkpoint.New(r.bus).Save(t.Context(), run, events.Inference, cp, 1); err != nil {
			t.Fatal(err)
		}
	}
	young := r.collector()
	young.Grace = time.Hour
	if report := r.collect(t, young); report.Checkpoints != 0 {
		t.Errorf("within the grace: %+v", report)
	}
	if report := r.collect(t, r.collector()); report.Checkpoints != 2 || report.Removed.Count != 2 || report.Open != 1 {
		t.Errorf("%+v", report)
	}
	for run, want := range map[string]bool{"ended": false, "open": true, "gone": false} {
		if _, err := checkpoint.New(r.bus).Load(t.Context(), run, events.Inference); want != (err == nil) {
			t.Errorf("%s: %v", run, err)
		}
	}
	if report := r.collect(t, r.collector()); report.Checkpoints != 0 {
		t.Errorf("again: %+v", report)
	}
}

// TestLeftoversOfFiles: what a writer that died left behind goes, and what is
// being written stays.
func TestLeftoversOfFiles(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for _, name := range []string{"old", "young"} {
		path := filepath.Join(r.dir, ".partial", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("half"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	r.age(t, ".partial/old")
	c := r.collector()
	c.Grace = 24 * time.Hour
	if report := r.collect(t, c); report.Leftovers != (gc.Sum{Count: 1, Bytes: 4}) {
		t.Errorf("%+v", report)
	}
	left, err := os.ReadDir(filepath.Join(r.dir, ".partial"))
	if err != nil || len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestLeftoversOfObjects: parts without a name go, whole objects stay.
func TestLeftoversOfObjects(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	newTouchy(t, r)
	objects, err := objectstore.Open(t.Context(), r.bus, "artifacts")
	if err != nil {
		t.Fatal(err)
	}
	if r.store, err = artifact.New(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	ref := r.put(t, "runs/r/inference/2/answers.jsonl")
	r.publish(t, facts("r", events.Artifact{Name: "predictions", Reference: ref})...)
	for range 3 {
		if _, err := r.js.Publish(t.Context(), "$O.artifacts.C.orphan", []byte("part")); err != nil {
			t.Fatal(err)
		}
	}
	parts := func() uint64 {
		s, err := r.js.Stream(t.Context(), "OBJ_artifacts")
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("$O.artifacts.C.orphan"))
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Subjects["$O.artifacts.C.orphan"]
	}
	young := r.collector()
	young.Grace = time.Hour
	if report := r.collect(t, young); report.Leftovers.Count != 0 || parts() != 3 {
		t.Errorf("within the grace: %+v, %d parts", report, parts())
	}
	if report := r.collect(t, r.collector()); report.Leftovers.Count != 1 || parts() != 0 {
		t.Errorf("%+v, %d parts", report, parts())
	}
	if got, err := r.store.Get(t.Context(), ref); err != nil {
		t.Error(err)
	} else if err := got.Close(); err != nil {
		t.Error(err)
	}
	if now := r.keys(t, "runs/"); !maps.Equal(now, map[string]bool{ref.Key: true}) {
		t.Errorf("left %v", now)
	}
}

package retention_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/gc"
)

// upload uploads a folder of files whose texts are their names.
func (f *fixture) upload(t *testing.T, names ...string) events.Reference {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	up := content.NewUploader(f.store, manifest.Digest)
	defer up.Close()
	refs, err := up.Upload(t.Context(), map[string]string{"k": dir})
	if err != nil {
		t.Fatal(err)
	}
	return refs["k"]
}

// contents are the texts of the stored content, sorted; manifests are left out.
func (f *fixture) contents(t *testing.T) string {
	t.Helper()
	var texts []string
	for key := range f.keys(t, content.Prefix) {
		text, err := os.ReadFile(filepath.Join(f.dir, key))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "{") {
			texts = append(texts, string(text))
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// TestContentOfRuns: content stays as long as a run, an archive, an open request
// or a reservation refers to it, itself or by the manifest of a folder, and for an hour.
func TestContentOfRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	inRun, inArchive, inRequest := f.upload(t, "run", "shared"), f.upload(t, "archived", "shared"), f.upload(t, "requested")
	f.upload(t, "unused", "shared")
	with := func(run string, ref events.Reference) []events.Event {
		published := facts(run)
		accepted := published[0].(events.PipelineAccepted)
		accepted.Inputs.Files = map[string]events.Reference{"fine_tuner.base_model_id": ref}
		published[0] = accepted
		return published
	}
	f.publish(t, with("old", inArchive)...)
	f.archive(t, archive.Options{})
	f.publish(t, with("new", inRun)...)
	f.publish(t, events.PipelineRequested{RunID: "open", Specification: []byte("{}"), Inputs: events.Inputs{Files: map[string]events.Reference{"x": inRequest}}})

	const all = "archived requested run shared unused"
	age := func() { f.age(t, slices.Collect(maps.Keys(f.keys(t, content.Prefix)))...) }
	if f.collect(t, gc.Options{}); f.contents(t) != all {
		t.Errorf("new content: left %s", f.contents(t))
	}
	age()
	if f.collect(t, gc.Options{}); f.contents(t) != all {
		t.Errorf("reserved content: left %s", f.contents(t))
	}
	f.age(t, slices.Collect(maps.Keys(f.keys(t, "reservations/")))...)
	if dry := f.collect(t, gc.Options{DryRun: true}); f.contents(t) != all || dry.Removed.Count != 2 {
		t.Errorf("a dry run: left %s, and would remove %d", f.contents(t), dry.Removed.Count)
	}
	report := f.collect(t, gc.Options{})
	if f.contents(t) != "archived requested run shared" || report.Removed.Count != 2 || len(f.keys(t, "reservations/")) != 0 {
		t.Errorf("left %s, removed %d, and %d reservations", f.contents(t), report.Removed.Count, len(f.keys(t, "reservations/")))
	}
	if again := f.upload(t, "unused", "shared"); again.SHA256 == "" || f.contents(t) != all {
		t.Errorf("uploaded again: %s", f.contents(t))
	}
}

// TestFoldersOfRuns: a folder that a run made stays with its files, and goes with
// them.
func TestFoldersOfRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	files := transfer.New(f.store)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(key string) events.Reference {
		ref, err := files.PutDir(t.Context(), key, dir)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	kept := put("runs/r/inference/2/model")
	put("runs/r/inference/1/model")
	f.publish(t, facts("r", events.Artifact{Name: events.ArtifactModel, Reference: kept})...)
	f.age(t, slices.Collect(maps.Keys(f.keys(t, "runs/")))...)
	f.collect(t, gc.Options{Grace: time.Hour})
	if left := f.keys(t, "runs/"); len(left) != 2 || !left[kept.Key] {
		t.Errorf("left %v", left)
	}
	if err := files.FetchDir(t.Context(), kept, filepath.Join(t.TempDir(), "out")); err != nil {
		t.Error(err)
	}
}

// TestUnreadableManifest: where the files of a folder are unknown because the
// store is away, nothing is removed.
func TestUnreadableManifest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ref := f.upload(t, "used")
	f.upload(t, "unused")
	published := facts("r")
	accepted := published[0].(events.PipelineAccepted)
	accepted.Inputs.Files = map[string]events.Reference{"x": ref}
	published[0] = accepted
	f.publish(t, published...)
	f.age(t, slices.Collect(maps.Keys(f.keys(t, "")))...)
	away := awayStore{Store: f.store, key: ref.Key}
	if _, err := gc.New(f.bus, away, gc.Options{StoreConfirmed: true}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing is removed") {
		t.Errorf("collected: %v", err)
	}
	if f.contents(t) != "unused used" {
		t.Errorf("left %s", f.contents(t))
	}
}

// awayStore cannot be asked for one object.
type awayStore struct {
	*artifact.Store
	key string
}

func (s awayStore) Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error) {
	if ref.Key == s.key {
		return nil, &artifact.UnavailableError{Err: errors.New("away")}
	}
	return s.Store.Get(ctx, ref)
}

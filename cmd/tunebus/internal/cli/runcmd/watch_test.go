package runcmd_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestWatchOfWhatWillNotCome: a run that is archived is shown as it ended, one
// that nobody knows is an error, and one of which only the request is known is
// waited for. Nothing else is waited for.
func TestWatchOfWhatWillNotCome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := bustest.Start(t, embedded.Options{Dir: filepath.Join(dir, "nats"), Listen: "127.0.0.1:0", RelaxedSync: true})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	address := "file://" + filepath.Join(dir, "artifacts")
	store, err := artifact.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	failed := clitest.EndedRun("failed")
	done := failed[4].(events.PipelineCompleted)
	done.Conclusion = events.Failure
	clitest.Publish(t, b, append(failed[:4], done, events.TrackingCompleted{RunID: "failed"})...)
	clitest.Publish(t, b, append(clitest.EndedRun("good"), events.TrackingCompleted{RunID: "good"})...)
	if r, err := archive.NewArchiver(b, store, archive.Options{}).Run(t.Context()); err != nil || len(r.Archived) != 2 {
		t.Fatalf("archived %+v, %v", r, err)
	}
	clitest.Publish(t, b, clitest.EndedRun("fresh")...)
	clitest.Publish(t, b, clitest.EndedRun("endless")[:4]...)
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = js.Publish(t.Context(), "pipeline.completed.endless", []byte("{"))
	}
	if err == nil {
		_, err = js.Publish(t.Context(), "inference.started.fresh.7", []byte("{"))
	}
	if err == nil {
		_, err = journal.New(b).Publish(t.Context(), events.PipelineRequested{RunID: "asked"}, journal.Fence{})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		run    string
		args   []string
		status int
		says   string
	}{
		{"good", []string{"--artifacts", address}, 0, "name-of-good (good): success"},
		{"failed", []string{"--artifacts", address}, 3, "name-of-failed (failed): failure"},
		{"nobody", []string{"--artifacts", address}, 2, "run nobody is unknown on "},
		{"good", []string{"--artifacts", "file://" + dir + "/elsewhere"}, 2, "run good is unknown on "},
		{"fresh", nil, 0, "fact inference.started.fresh.7 at sequence "},
		{"endless", nil, 1, "fact pipeline.completed.endless at sequence "},
		{"asked", []string{"--artifacts", address, "--timeout", "2s"}, 6, "run asked is waiting for intake: its request was stored at "},
		{"asked", []string{"--artifacts", address, "--timeout", "1s"}, 6, "it goes on, and this follows it again:\n  tunebus watch asked --artifacts " + address + " --server " + server.URL()},
	} {
		began := time.Now()
		status, out, screen := clitest.Run(t, append([]string{"watch", c.run, "--server", server.URL()}, c.args...)...)
		if status != c.status || !strings.Contains(out+screen, c.says) {
			t.Errorf("watch %s %v: status %d after %s\n%s%s", c.run, c.args, status, time.Since(began), out, screen)
		}
	}
}

package trackertest_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/tracker"
)

// testEnv is a NATS server for recorded facts, and a folder for the files that
// trackers write.
type testEnv struct {
	recording
	server *embedded.Server
	conn   *conn.Conn
	js     jetstream.JetStream
	dir    string
}

func newEnv(t *testing.T, r recording) *testEnv {
	t.Helper()
	e := &testEnv{recording: r, server: bustest.Start(t, embedded.Options{}), dir: t.TempDir()}
	e.conn = bustest.Connect(t, e.server)
	if err := topology.Apply(t.Context(), e.conn, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(e.server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if e.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return e
}

// publish stores facts as they were recorded.
func (e *testEnv) publish(t *testing.T, facts ...history.StoredFact) {
	t.Helper()
	for _, f := range facts {
		msg := nats.NewMsg(f.Subject)
		msg.Data = f.Body
		msg.Header.Set("Content-Type", "application/cloudevents+json")
		if _, err := e.js.PublishMsg(t.Context(), msg, jetstream.WithMsgID(f.ID)); err != nil {
			t.Fatal(err)
		}
	}
}

// config returns the configuration of a tracker that writes into the folder.
func (e *testEnv) config(t *testing.T) tracker.Config {
	return tracker.Config{
		TrackingURI: "file://" + filepath.Join(e.dir, "mlruns"), Reports: filepath.Join(e.dir, "reports"),
		QuietPeriod: 5 * time.Millisecond, Retry: 20 * time.Millisecond, Version: "test",
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// startTracker runs a tracker until the test calls stop. With consume the tracker
// receives facts and metric events as they are published. Without consume it
// finds the runs at its start.
func (e *testEnv) startTracker(t *testing.T, cfg tracker.Config, consume bool) (stop func()) {
	t.Helper()
	c := bustest.Connect(t, e.server)
	s := tracker.New(c, e.store, cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	n := 1
	go func() { done <- s.Run(ctx) }()
	if consume {
		router, err := delivery.NewRouter(c, deadletter.New(c), cfg.Logger)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range s.Routes() {
			router.Add(route)
		}
		n++
		go func() { done <- router.Run(ctx) }()
		<-router.Running()
	}
	return func() {
		cancel()
		for range n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		c.Close()
	}
}

// redeliver makes NATS deliver all facts again, starting with the first one.
func (e *testEnv) redeliver(t *testing.T) {
	t.Helper()
	err := e.js.DeleteConsumer(t.Context(), events.StreamFacts, topology.ConsumerTracker)
	if err == nil {
		err = topology.Apply(t.Context(), e.conn, topology.Topology{AckWait: 2 * time.Second})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// untracked returns the runs without tracking.completed.
func (e *testEnv) untracked(t *testing.T) []string {
	t.Helper()
	ids, err := runlister.New(e.conn).Untracked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// removeAll removes all files that trackers wrote.
func (e *testEnv) removeAll(t *testing.T) {
	t.Helper()
	for _, name := range []string{"mlruns", "reports"} {
		if err := os.RemoveAll(filepath.Join(e.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// removeReports removes files from the folder of the reports.
func (e *testEnv) removeReports(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(e.dir, "reports", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// files returns the contents of all files that trackers wrote, by name. It masks
// the name of the folder, the times of experiments, and stream sequences.
func (e *testEnv) files(t *testing.T) map[string]string {
	t.Helper()
	times := regexp.MustCompile(`(?m)^(creation_time|last_update_time): .*$`)
	sequences := regexp.MustCompile(`"sequence": \d+`)
	out := map[string]string{}
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		name, rerr := filepath.Rel(e.dir, path)
		if err == nil {
			err = rerr
		}
		text := times.ReplaceAllString(strings.ReplaceAll(string(body), e.dir, "DIR"), "$1: TIME")
		out[name] = sequences.ReplaceAllString(text, `"sequence": 0`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// expectSame compares the files of two trackers, and reports whether they are
// equal.
func expectSame(t *testing.T, what string, have, want map[string]string) bool {
	t.Helper()
	ok := true
	fail := func(format string, args ...any) {
		t.Helper()
		ok = false
		t.Errorf("%s: "+format, append([]any{what}, args...)...)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got, there := have[name]; !there {
			fail("%s is missing", name)
		} else if got != want[name] {
			fail("%s is\n%.600q\nwant\n%.600q", name, got, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, there := want[name]; !there {
			fail("%s is new", name)
		}
	}
	return ok
}

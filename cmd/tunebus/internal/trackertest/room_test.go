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
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/tracker"
)

// room is a server of its own that gets recorded facts, and a folder for what
// trackers make of them.
type room struct {
	record
	server *embedded.Server
	bus    *conn.Conn
	js     jetstream.JetStream
	dir    string
}

func newRoom(t *testing.T, r record) *room {
	t.Helper()
	room := &room{record: r, server: bustest.Start(t, embedded.Options{}), dir: t.TempDir()}
	room.bus = bustest.Connect(t, room.server)
	if err := topology.Apply(t.Context(), room.bus, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(room.server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if room.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return room
}

// feed stores facts as they were recorded.
func (r *room) feed(t *testing.T, facts ...history.StoredFact) {
	t.Helper()
	for _, f := range facts {
		msg := nats.NewMsg(f.Subject)
		msg.Data = f.Body
		msg.Header.Set("Content-Type", "application/cloudevents+json")
		if _, err := r.js.PublishMsg(t.Context(), msg, jetstream.WithMsgID(f.ID)); err != nil {
			t.Fatal(err)
		}
	}
}

// config is that of a tracker that writes into the room's folder.
func (r *room) config(t *testing.T) tracker.Config {
	return tracker.Config{
		TrackingURI: "file://" + filepath.Join(r.dir, "mlruns"), Reports: filepath.Join(r.dir, "reports"),
		Settle: 5 * time.Millisecond, Retry: 20 * time.Millisecond, Version: "test",
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// run lets a tracker work until stop is called; with doorbells it hears of
// facts and points as they come.
func (r *room) run(t *testing.T, cfg tracker.Config, doorbells bool) (stop func()) {
	t.Helper()
	b := bustest.Connect(t, r.server)
	s := tracker.New(b, r.store, cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	n := 1
	go func() { done <- s.Run(ctx) }()
	if doorbells {
		receiver, err := delivery.NewRouter(b, deadletter.New(b), cfg.Logger)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range s.Routes() {
			receiver.Add(route)
		}
		n++
		go func() { done <- receiver.Run(ctx) }()
		<-receiver.Running()
	}
	return func() {
		cancel()
		for range n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		b.Close()
	}
}

// again lets every fact be delivered again, from the first.
func (r *room) again(t *testing.T) {
	t.Helper()
	err := r.js.DeleteConsumer(t.Context(), events.StreamFacts, topology.ConsumerTracker)
	if err == nil {
		err = topology.Apply(t.Context(), r.bus, topology.Topology{AckWait: 2 * time.Second})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// untracked are the runs of which nobody has said yet where they are tracked.
func (r *room) untracked(t *testing.T) []string {
	t.Helper()
	ids, err := runindex.New(r.bus).Untracked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// clear removes everything that trackers made.
func (r *room) clear(t *testing.T) {
	t.Helper()
	for _, name := range []string{"mlruns", "reports"} {
		if err := os.RemoveAll(filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// drop removes reports.
func (r *room) drop(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(r.dir, "reports", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// walk is everything that trackers made, without what names the folder, when
// an experiment was made, and the places of facts in the stream.
func (r *room) walk(t *testing.T) map[string]string {
	t.Helper()
	times := regexp.MustCompile(`(?m)^(creation_time|last_update_time): .*$`)
	places := regexp.MustCompile(`"sequence": \d+`)
	out := map[string]string{}
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		name, rerr := filepath.Rel(r.dir, path)
		if err == nil {
			err = rerr
		}
		text := times.ReplaceAllString(strings.ReplaceAll(string(body), r.dir, "DIR"), "$1: then")
		out[name] = places.ReplaceAllString(text, `"sequence": 0`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same compares what two rooms hold.
func same(t *testing.T, what string, have, want map[string]string) bool {
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

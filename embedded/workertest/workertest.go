// Package workertest lets tests of an engine do jobs on a real worker, with a
// server and an artifact store of their own.
package workertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// Bench is where jobs are done.
type Bench struct {
	Store *artifact.Store
	// Root is the folder below which a specification may name files.
	Root string

	bus *conn.Conn
	ran int
}

// New starts a server and opens a store; both end with the test.
func New(t *testing.T) *Bench {
	t.Helper()
	b := &Bench{Root: t.TempDir(), bus: bustest.New(t, topology.Topology{AckWait: 30 * time.Second})}
	var err error
	if b.Store, err = artifact.Open(t.Context(), "file://"+t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// Write writes a file below the root.
func (b *Bench) Write(t *testing.T, name, body string) {
	t.Helper()
	path := filepath.Join(b.Root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(body), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// Do lets an engine work on a job of a run of its own and returns how the
// phase completed.
func (b *Bench) Do(t *testing.T, engine worker.Engine, p events.Phase, in events.Inputs, say func(*events.Specification)) events.PhaseCompleted {
	t.Helper()
	b.ran++
	id := fmt.Sprintf("run-%d", b.ran)
	s := spec.Defaults()
	s.Pipeline.MaxTries = 1
	say(&s)
	a := events.PipelineAccepted{RunID: id, RunName: id, RequestedAt: time.Now().UTC(), Specification: s, Plan: []events.Step{{Phase: p, Queue: "builtin"}}, Inputs: in}
	job := events.PhaseRequested{RunID: id, RunName: id, Phase: p, Queue: "builtin", Specification: s, Plan: a.Plan, Inputs: in}
	for _, fact := range []events.Fact{a, job} {
		if _, err := journal.New(b.bus).Publish(t.Context(), fact, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	w := worker.New(b.bus, b.Store, engine, worker.Config{
		Phase: p, Sources: worker.Sources{Roots: []string{b.Root}}, Scratch: t.TempDir(), Name: "test", Logger: bustest.Logger(t),
	})
	b.receive(t, w.Route(), id)
	run, err := history.New(b.bus).Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return *run.Phases[p].Completed
}

// receive lets a worker take jobs until the run has ended.
func (b *Bench) receive(t *testing.T, route delivery.Route, id string) {
	t.Helper()
	r, err := delivery.NewRouter(b.bus, deadletter.New(b.bus), bustest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	r.Add(route)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	bell, err := wakeup.Watch(ctx, b.bus, events.PipelineCompleted{RunID: id}.Subject())
	for ended := false; err == nil && !ended; {
		select {
		case <-bell:
		case <-ctx.Done():
			t.Error("the test ended before the job")
		}
		var run events.Run
		run, err = history.New(b.bus).Run(ctx, id)
		ended = run.Completed != nil
	}
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
}

// Dir unpacks an artifact that is a folder.
func (b *Bench) Dir(t *testing.T, c events.PhaseCompleted, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := transfer.New(b.Store).FetchDir(t.Context(), b.Reference(t, c, name), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Reference is that of an artifact, which has to be there.
func (b *Bench) Reference(t *testing.T, c events.PhaseCompleted, name string) events.Reference {
	t.Helper()
	ref, ok := c.Artifact(name)
	if !ok {
		t.Fatalf("no artifact %s; the phase completed with %s: %+v", name, c.Conclusion, c.Error)
	}
	return ref
}

// Lines reads an artifact that is JSON lines.
func Lines[T any](t *testing.T, b *Bench, c events.PhaseCompleted, name string) []T {
	t.Helper()
	r, err := b.Store.Get(t.Context(), b.Reference(t, c, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // read only
	var out []T
	for d := json.NewDecoder(r); ; {
		var one T
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, one)
	}
}

// Package workertest runs engines in tests: on a real worker, with a NATS
// server and an artifact store in the test's process.
//
//	h := workertest.New(t)
//	h.Write(t, "rows.jsonl", rows)
//	completed := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
//		s.FineTuner.TrainingDataID = "rows.jsonl"
//	})
//	dir := h.Dir(t, completed, events.ArtifactModel)
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
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// Harness runs engines. Its server and its store end with the test.
type Harness struct {
	Store *artifact.Store
	// Root is the folder below which a specification may name files.
	Root string
	// Engine is the name of the engine that runs, and of its queue. Default
	// [engine.Builtin].
	Engine string

	conn *conn.Conn
	runs int
}

// New starts a server and opens a store.
func New(t *testing.T) *Harness {
	t.Helper()
	h := &Harness{Root: t.TempDir(), Engine: engine.Builtin, conn: bustest.New(t, topology.Topology{AckWait: 30 * time.Second})}
	var err error
	if h.Store, err = artifact.Open(t.Context(), folderaddress.Of(t.TempDir())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Write writes a file below the root.
func (h *Harness) Write(t *testing.T, name, body string) {
	t.Helper()
	path := filepath.Join(h.Root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(body), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// Run has an engine work on the job of a new run, and returns how the phase
// completed. change edits the default specification; it allows one try.
func (h *Harness) Run(t *testing.T, e engine.Engine, p events.Phase, in events.Inputs, change func(*events.Specification)) events.PhaseCompleted {
	t.Helper()
	h.runs++
	id := fmt.Sprintf("run-%d", h.runs)
	s := spec.Defaults()
	s.Pipeline.MaxTries = 1
	change(&s)
	h.publishJob(t, id, p, s, in)
	w := worker.New(h.conn, h.Store, e, worker.Config{
		Phase:   p,
		Engine:  h.Engine,
		Sources: engine.Sources{Roots: []string{h.Root}},
		Scratch: t.TempDir(),
		Name:    "test",
		Logger:  bustest.Logger(t),
	})
	h.receiveUntilEnd(t, w.Route(), id)
	run, err := history.New(h.conn).Run(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range run.Phases[p].Attempts {
		if a.Started != nil && a.Started.Engine != h.Engine {
			t.Errorf("attempt %d says that engine %q works, want %q", a.Number, a.Started.Engine, h.Engine)
		}
	}
	return *run.Phases[p].Completed
}

// publishJob publishes an accepted run of one phase, and its job.
func (h *Harness) publishJob(t *testing.T, id string, p events.Phase, s events.Specification, in events.Inputs) {
	t.Helper()
	plan := []events.Step{{Phase: p, Queue: h.Engine}}
	for _, fact := range []events.Fact{
		events.PipelineAccepted{
			RunID:         id,
			RunName:       id,
			RequestedAt:   time.Now().UTC(),
			Specification: s,
			Plan:          plan,
			Inputs:        in,
		},
		events.PhaseRequested{
			RunID:         id,
			RunName:       id,
			Phase:         p,
			Queue:         h.Engine,
			Specification: s,
			Plan:          plan,
			Inputs:        in,
		},
	} {
		if _, err := journal.New(h.conn).Publish(t.Context(), fact, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
}

// receiveUntilEnd runs a route until the run has ended.
func (h *Harness) receiveUntilEnd(t *testing.T, route delivery.Route, id string) {
	t.Helper()
	r, err := delivery.NewRouter(h.conn, deadletter.New(h.conn), bustest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	r.Add(route)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	wakeups, err := wakeup.Watch(ctx, h.conn, events.PipelineCompleted{RunID: id}.Subject())
	for ended := false; err == nil && !ended; {
		select {
		case <-wakeups:
		case <-ctx.Done():
			t.Error("the test ended before the job")
		}
		var run events.Run
		run, err = history.New(h.conn).Run(ctx, id)
		ended = run.Completed != nil
	}
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
}

// Dir unpacks an artifact that is a folder.
func (h *Harness) Dir(t *testing.T, c events.PhaseCompleted, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := transfer.New(h.Store).FetchDir(t.Context(), h.Reference(t, c, name), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Reference returns the reference of an artifact, and fails the test if there is
// none.
func (h *Harness) Reference(t *testing.T, c events.PhaseCompleted, name string) events.Reference {
	t.Helper()
	ref, ok := c.Artifact(name)
	if !ok {
		t.Fatalf("no artifact %s; the phase completed with %s: %+v", name, c.Conclusion, c.Error)
	}
	return ref
}

// Lines reads an artifact of JSON lines.
func Lines[T any](t *testing.T, h *Harness, c events.PhaseCompleted, name string) []T {
	t.Helper()
	r, err := h.Store.Get(t.Context(), h.Reference(t, c, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // read only
	var out []T
	for d := json.NewDecoder(r); ; {
		var line T
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
}

package retention_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a NATS server and an artifact store.
type fixture struct {
	bus   *conn.Conn
	js    jetstream.JetStream // a plain NATS client
	store *artifact.Store
	dir   string // of the store, unless a test replaced it
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	server := bustest.Start(t, embedded.Options{})
	f := &fixture{bus: bustest.Connect(t, server)}
	if err := topology.Apply(t.Context(), f.bus, topology.Topology{AckWait: time.Second}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if f.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	f.dir = t.TempDir()
	f.store = openStore(t, "file://"+f.dir)
	return f
}

func openStore(t *testing.T, address string) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (f *fixture) publish(t *testing.T, evs ...events.Event) {
	t.Helper()
	for _, ev := range evs {
		if _, err := journal.New(f.bus).Publish(t.Context(), ev, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
}

// facts returns the facts of a run that has ended and is tracked: two phases, one
// of them with two attempts.
func facts(run string, artifacts ...events.Artifact) []events.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	plan := []events.Step{{Phase: events.Inference, Queue: "builtin"}, {Phase: events.Evaluation, Queue: "builtin"}}
	out := []events.Event{events.PipelineAccepted{RunID: run, RunName: "run & <name> of " + run, RequestedAt: at, Plan: plan}}
	for _, step := range plan {
		out = append(out,
			events.PhaseRequested{RunID: run, Phase: step.Phase, Queue: step.Queue, Plan: plan},
			events.PhaseStarted{RunID: run, Phase: step.Phase, Attempt: 1, Worker: "a"})
		attempt := 1
		if step.Phase == events.Inference {
			out = append(out, events.AttemptEnded{RunID: run, Phase: step.Phase, Attempt: 1, Reason: events.EndError}, events.PhaseStarted{RunID: run, Phase: step.Phase, Attempt: 2, Worker: "b"})
			attempt = 2
		}
		done := events.PhaseCompleted{RunID: run, Phase: step.Phase, Attempt: attempt, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute)}
		if step.Phase == events.Inference {
			done.Artifacts = artifacts
		}
		out = append(out, done)
	}
	return append(out,
		events.PipelineCompleted{RunID: run, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Hour)},
		events.TrackingCompleted{RunID: run, Links: map[string]string{"mlflow_pipeline": "http://mlflow.example"}})
}

// purge removes the messages that match a filter, as an administrator would.
func (f *fixture) purge(t *testing.T, filter string) {
	t.Helper()
	s, err := f.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(filter)); err != nil {
		t.Fatal(err)
	}
}

// messages returns the number of messages in a stream.
func (f *fixture) messages(t *testing.T, stream string) uint64 {
	t.Helper()
	s, err := f.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// keys returns the keys in the store that begin with a prefix.
func (f *fixture) keys(t *testing.T, prefix string) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	for o, err := range f.store.List(context.WithoutCancel(t.Context()), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys[o.Key] = true
	}
	return keys
}

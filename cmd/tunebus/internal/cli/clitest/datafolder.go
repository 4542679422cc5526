package clitest

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
)

// DataFolder is a data folder of "tunebus run" that no server is using.
type DataFolder struct {
	Dir string
	// Store is the artifact store in it.
	Store *artifact.Store
}

// NewDataFolder makes a data folder with an empty artifact store.
func NewDataFolder(t *testing.T) *DataFolder {
	t.Helper()
	f := &DataFolder{Dir: filepath.Join(t.TempDir(), "data")}
	var err error
	if f.Store, err = artifact.Open(t.Context(), folderaddress.Of(filepath.Join(f.Dir, "artifacts"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// WithServer does something on a server of the folder, with all streams, and
// stops the server.
func (f *DataFolder) WithServer(t *testing.T, do func(b *conn.Conn)) {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(f.Dir, "nats"), RelaxedSync: true})
	if err != nil {
		t.Fatal(err)
	}
	b := bustest.Connect(t, s)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	do(b)
	b.Close()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// PublishRaw stores messages as they are, by their subjects.
func (f *DataFolder) PublishRaw(t *testing.T, bodies map[string]string) {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(f.Dir, "nats"), RelaxedSync: true})
	if err != nil {
		t.Fatal(err)
	}
	bustest.PublishRaw(t, s, bodies)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

// Put stores an artifact of a run.
func (f *DataFolder) Put(t *testing.T, run, name, content string) events.Artifact {
	t.Helper()
	key, err := artifact.Key(run, events.Inference, 1, name)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := f.Store.Put(t.Context(), key, "application/jsonl", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return events.Artifact{Name: events.ArtifactPredictions, Reference: ref}
}

// EndedRun are the facts of a run of one phase that has ended.
func EndedRun(run string, artifacts ...events.Artifact) []events.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	plan := []events.Step{{Phase: events.Inference, Queue: "builtin"}}
	return []events.Event{
		events.PipelineAccepted{
			RunID:         run,
			RunName:       "name-of-" + run,
			RequestedAt:   at,
			Plan:          plan,
			Specification: events.Specification{MLflow: events.MLflow{ExperimentName: "past"}},
		},
		events.PhaseRequested{RunID: run, Phase: events.Inference, Queue: "builtin", Plan: plan},
		events.PhaseStarted{RunID: run, Phase: events.Inference, Attempt: 1, Worker: "w"},
		events.PhaseCompleted{
			RunID:      run,
			Phase:      events.Inference,
			Attempt:    1,
			Conclusion: events.Success,
			StartedAt:  at,
			EndedAt:    at.Add(time.Minute),
			Artifacts:  artifacts,
		},
		events.PipelineCompleted{
			RunID:           run,
			Conclusion:      events.Success,
			StartedAt:       at,
			EndedAt:         at.Add(time.Minute),
			DurationSeconds: 60,
			Phases:          []events.PhaseResult{{Phase: events.Inference, Conclusion: events.Success, DurationSeconds: 60, Attempts: 1}},
		},
	}
}

// Publish publishes events.
func Publish(t *testing.T, b *conn.Conn, evs ...events.Event) {
	t.Helper()
	for _, ev := range evs {
		if _, err := journal.New(b).Publish(t.Context(), ev, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
}

// PublishProgress publishes the progress of an attempt and waits until it is stored.
func PublishProgress(t *testing.T, b *conn.Conn, p events.Progress) {
	t.Helper()
	if err := journal.New(b).PublishMetric(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the progress is stored", func() bool {
		stored, err := history.New(b).Progress(t.Context(), p.RunID, p.Phase, p.Attempt)
		return err == nil && stored.Step == p.Step
	})
}

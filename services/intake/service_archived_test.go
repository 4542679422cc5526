package intake_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

// TestArchivedRuns: the id of an archived run can not be used again, and the run
// can be repeated.
func TestArchivedRuns(t *testing.T) {
	t.Parallel()
	artifacts, err := artifact.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := openFor(t, func(b *conn.Conn) intake.Config {
		return intake.Config{Runs: archive.NewReader(b, artifacts)}
	}, topology.Topology{})
	t.Cleanup(func() {
		if err := artifacts.Close(); err != nil {
			t.Error(err)
		}
	})
	model := reference("model")
	model.Store = artifacts.ID()
	f.request(t, events.PipelineRequested{RunID: "old", Specification: specification(t, map[string]map[string]any{"pipeline": {"enable_inference": false, "enable_evaluation": false}})})
	f.accepted(t, "old")
	f.publish(t, started("old", 1))
	f.finish(t, "old", events.Finetune, events.Success, events.Artifact{Name: events.ArtifactModel, Reference: model})
	f.ended(t, "old")
	f.publish(t, events.TrackingCompleted{RunID: "old"})
	report, err := archive.NewArchiver(f.bus, artifacts, archive.Options{}).Run(t.Context())
	if err != nil || len(report.Archived) != 1 {
		t.Fatalf("archived %+v, %v", report, err)
	}

	faults := f.faults(t, f.request(t, events.PipelineRequested{RunID: "old"}))
	if !strings.Contains(faults["run_id"].Message, "exists already") {
		t.Errorf("its id again: %+v", faults)
	}
	own := reference("own")
	f.request(t, events.PipelineRequested{RunID: "again", RerunOf: "old", Inputs: events.Inputs{Model: &own}})
	if a := f.accepted(t, "again").Accepted; a.Lineage.RerunOf != "old" {
		t.Errorf("repeated: %+v", a.Lineage)
	}
	faults = f.faults(t, f.request(t, events.PipelineRequested{RerunOf: "old", From: events.Inference}))
	if faults["inputs.model"].Value != artifacts.ID() {
		t.Errorf("the archived run's model, which is in another store: %+v", faults)
	}

	damaged := archive.Prefix + "damaged/" + strings.Repeat("0", 64) + ".jsonl"
	if _, err := artifacts.Put(t.Context(), damaged, "application/jsonl", strings.NewReader("{}\n")); err != nil {
		t.Fatal(err)
	}
	faults = f.faults(t, f.request(t, events.PipelineRequested{RunID: "damaged"}))
	if !strings.Contains(faults["run_id"].Message, "exists already") {
		t.Errorf("the id of a damaged archive: %+v", faults)
	}
}

// countingRuns counts its calls.
type countingRuns struct {
	intake.Runs
	calls *atomic.Int64
}

func (c countingRuns) Run(ctx context.Context, id string) (events.Run, error) {
	c.calls.Add(1)
	return c.Runs.Run(ctx, id)
}

// TestArchiveIsReadOnlyIfNeeded: a new request with a generated id is admitted
// without a request to the artifact store.
func TestArchiveIsReadOnlyIfNeeded(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	f := openFor(t, func(b *conn.Conn) intake.Config { return intake.Config{Runs: countingRuns{history.New(b), &calls}} }, topology.Topology{})
	f.request(t, events.PipelineRequested{})
	var id string
	eventually(t, "the run is accepted", func() bool {
		ids, err := runlister.New(f.bus).Accepted(t.Context())
		if err != nil || len(ids) == 0 {
			return false
		}
		id = ids[0]
		return true
	})
	if n := calls.Load(); n != 0 {
		t.Errorf("%d reads of the archive for a new request", n)
	}
	f.request(t, events.PipelineRequested{RunID: "named"})
	f.accepted(t, "named")
	if n := calls.Load(); n != 1 {
		t.Errorf("%d reads of the archive for a chosen id, want 1", n)
	}
	m, err := history.New(f.bus).Latest(t.Context(), events.PipelineAccepted{RunID: id}.Subject())
	if err != nil {
		t.Fatal(err)
	}
	redelivered := delivery.Delivery{
		Message: codec.Message{
			Event:    events.PipelineRequested{},
			Stream:   events.StreamRequests,
			Sequence: 1,
			Time:     m.Event.(events.PipelineAccepted).RequestedAt,
		},
		Delivered: 2,
	}
	if err := f.handle(t, "intake/requests", redelivered); err != nil {
		t.Fatal(err)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d reads of the archive after a redelivery, want 2", n)
	}
}

// fixedRun is a run that is returned for each id.
type fixedRun events.Run

func (r fixedRun) Run(context.Context, string) (events.Run, error) { return events.Run(r), nil }

// TestRedeliveryAfterArchiving: the process that admitted the request died
// before it acknowledged it, and the run has ended and is archived.
func TestRedeliveryAfterArchiving(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{Runs: fixedRun{
		ID: "r", Accepted: &events.PipelineAccepted{RunID: "r", Lineage: events.Lineage{RequestSequence: 7}}, Completed: &events.PipelineCompleted{RunID: "r"},
	}}, topology.Topology{})
	redelivered := delivery.Delivery{Message: codec.Message{Event: events.PipelineRequested{RunID: "r"}, Sequence: 7}}
	if err := f.handle(t, "intake/requests", redelivered); err != nil {
		t.Error(err)
	}
	if facts, err := history.New(f.bus).Facts(t.Context(), "r"); err != nil || len(facts) != 0 {
		t.Errorf("the run starts again: %+v, %v", facts, err)
	}
}

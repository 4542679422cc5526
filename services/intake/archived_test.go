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
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

// TestArchivedRuns: the id of a run that has left the stream stays taken, and
// the run can be repeated.
func TestArchivedRuns(t *testing.T) {
	t.Parallel()
	kept, err := artifact.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := openFor(t, func(b *conn.Conn) intake.Config {
		return intake.Config{Runs: archive.Reader{Bus: b, Store: kept}}
	}, topology.Topology{})
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	model := reference("model")
	model.Store = kept.ID()
	f.ask(t, events.PipelineRequested{RunID: "old", Specification: specification(t, map[string]map[string]any{"pipeline": {"enable_inference": false, "enable_evaluation": false}})})
	f.accepted(t, "old")
	f.publish(t, started("old", 1))
	f.finish(t, "old", events.Finetune, events.Success, events.Artifact{Name: events.ArtifactModel, Reference: model})
	f.ended(t, "old")
	f.publish(t, events.TrackingCompleted{RunID: "old"})
	report, err := archive.Archiver{Bus: f.bus, Store: kept}.Run(t.Context())
	if err != nil || len(report.Archived) != 1 {
		t.Fatalf("archived %+v, %v", report, err)
	}

	faults := f.faults(t, f.ask(t, events.PipelineRequested{RunID: "old"}))
	if !strings.Contains(faults["run_id"].Message, "exists already") {
		t.Errorf("its id again: %+v", faults)
	}
	own := reference("own")
	f.ask(t, events.PipelineRequested{RunID: "again", RerunOf: "old", Inputs: events.Inputs{Model: &own}})
	if a := f.accepted(t, "again").Accepted; a.Lineage.RerunOf != "old" {
		t.Errorf("repeated: %+v", a.Lineage)
	}
	faults = f.faults(t, f.ask(t, events.PipelineRequested{RerunOf: "old", From: events.Inference}))
	if faults["inputs.model"].Value != kept.ID() {
		t.Errorf("the archived run's model, which lies in a store that this desk does not use: %+v", faults)
	}

	damaged := archive.Prefix + "damaged/" + strings.Repeat("0", 64) + ".jsonl"
	if _, err := kept.Put(t.Context(), damaged, "application/jsonl", strings.NewReader("{}\n")); err != nil {
		t.Fatal(err)
	}
	faults = f.faults(t, f.ask(t, events.PipelineRequested{RunID: "damaged"}))
	if !strings.Contains(faults["run_id"].Message, "exists already") {
		t.Errorf("the id of a damaged archive: %+v", faults)
	}
}

// counted counts what it is asked for.
type counted struct {
	intake.Runs
	asked *atomic.Int64
}

func (c counted) Run(ctx context.Context, id string) (events.Run, error) {
	c.asked.Add(1)
	return c.Runs.Run(ctx, id)
}

// TestArchiveIsAskedWhereItMayKnow: a new request whose id intake makes is
// admitted without a look at the artifact store.
func TestArchiveIsAskedWhereItMayKnow(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	f := openFor(t, func(b *conn.Conn) intake.Config { return intake.Config{Runs: counted{history.New(b), &asked}} }, topology.Topology{})
	f.ask(t, events.PipelineRequested{})
	var id string
	eventually(t, "the run is accepted", func() bool {
		ids, err := runindex.New(f.bus).Accepted(t.Context())
		if err != nil || len(ids) == 0 {
			return false
		}
		id = ids[0]
		return true
	})
	if n := asked.Load(); n != 0 {
		t.Errorf("%d looks at the archive for a new request", n)
	}
	f.ask(t, events.PipelineRequested{RunID: "named"})
	f.accepted(t, "named")
	if n := asked.Load(); n != 1 {
		t.Errorf("%d looks at the archive for an id that somebody chose, want 1", n)
	}
	m, err := history.New(f.bus).Latest(t.Context(), events.PipelineAccepted{RunID: id}.Subject())
	if err != nil {
		t.Fatal(err)
	}
	again := delivery.Delivery{Message: codec.Message{Event: events.PipelineRequested{}, Stream: events.StreamRequests, Sequence: 1, Time: m.Event.(events.PipelineAccepted).RequestedAt}, Delivered: 2}
	if err := f.desk.Request(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d looks at the archive after a request came again, want 2", n)
	}
}

// archived is a run that is found whatever is looked for.
type archived events.Run

func (a archived) Run(context.Context, string) (events.Run, error) { return events.Run(a), nil }

// TestRequestOfAnArchivedRunComesAgain: whoever admitted the request did not
// live to acknowledge it, and the run is over and archived by now.
func TestRequestOfAnArchivedRunComesAgain(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{Runs: archived{
		ID: "r", Accepted: &events.PipelineAccepted{RunID: "r", Lineage: events.Lineage{RequestSequence: 7}}, Completed: &events.PipelineCompleted{RunID: "r"},
	}}, topology.Topology{})
	request := delivery.Delivery{Message: codec.Message{Event: events.PipelineRequested{RunID: "r"}, Sequence: 7}}
	if err := f.desk.Request(t.Context(), request); err != nil {
		t.Error(err)
	}
	if facts, err := history.New(f.bus).Facts(t.Context(), "r"); err != nil || len(facts) != 0 {
		t.Errorf("it begins anew: %+v, %v", facts, err)
	}
}

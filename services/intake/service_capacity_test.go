package intake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

// TestFullStream: while the stream of facts is 80 % full, no run is admitted and
// running work continues. The request is admitted when the stream is less full.
func TestFullStream(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{Recheck: 100 * time.Millisecond}, topology.Topology{FactBytes: 256 << 10})
	running := events.PipelineAccepted{RunID: "running", Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}}
	f.publish(t, running)
	if err := journal.New(f.bus).PublishNext(t.Context(), running, events.Fold([]events.Fact{running})); err != nil {
		t.Fatal(err)
	}
	filler := events.PipelineAccepted{Labels: map[string]string{"x": strings.Repeat("x", 20<<10)}}
	for i := 0; ; i++ {
		fill, err := topology.NewInspector(f.bus).StreamUsage(t.Context(), events.StreamFacts)
		if err != nil {
			t.Fatal(err)
		}
		if fill > 0.8 {
			break
		}
		filler.RunID = "filler" + string(rune('a'+i))
		f.publish(t, filler)
	}
	f.request(t, events.PipelineRequested{RunID: "late"})
	eventually(t, "the log says so", func() bool { return f.log.contains("nearly full") })
	f.finish(t, "running", events.Finetune, events.Failure)
	f.ended(t, "running")
	if run, err := history.New(f.bus).Run(t.Context(), "late"); err != nil || run.Accepted != nil {
		t.Errorf("admitted: %+v, %v", run.Accepted, err)
	}
	facts, err := f.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	for _, letter := range "abcdef" {
		if err := facts.Purge(t.Context(), jetstream.WithPurgeSubject("pipeline.accepted.filler"+string(letter))); err != nil {
			t.Fatal(err)
		}
	}
	f.accepted(t, "late")
}

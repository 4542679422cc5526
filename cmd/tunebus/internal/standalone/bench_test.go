package standalone_test

import (
	"fmt"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// BenchmarkNoopPipeline measures a whole pipeline whose phases do nothing, from the
// request to pipeline.completed: one at a time (the latency), and many at the same
// time (the throughput).
func BenchmarkNoopPipeline(b *testing.B) {
	for _, sync := range []struct {
		name    string
		relaxed bool
	}{{"sync=always", false}, {"sync=default", true}} {
		b.Run(sync.name+"/idle", func(b *testing.B) {
			l := start(b, standalone.Config{RelaxedSync: sync.relaxed})
			ends := completions(b, l)
			n := 0
			for b.Loop() {
				n++
				request(b, l, fmt.Sprintf("r%d", n), nil)
				<-ends
			}
		})
		b.Run(sync.name+"/many", func(b *testing.B) {
			l := start(b, standalone.Config{RelaxedSync: sync.relaxed, Settings: slots(8)})
			ends := completions(b, l)
			const inFlight = 32
			n, running := 0, 0
			for b.Loop() {
				n++
				request(b, l, fmt.Sprintf("r%d", n), nil)
				if running++; running == inFlight {
					<-ends
					running--
				}
			}
			for range running {
				<-ends
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "pipelines/s")
		})
	}
}

// completions gets a value for each run that ends, by the subscription that
// BenchmarkBarePipeline uses.
func completions(b *testing.B, l *standalone.Local) <-chan struct{} {
	b.Helper()
	ends := make(chan struct{}, 1024)
	if err := wakeup.Listen(b.Context(), l.Bus, func(codec.Message) { ends <- struct{}{} }, events.TypePipelineCompleted+".*"); err != nil {
		b.Fatal(err)
	}
	return ends
}

// slots lets each phase work on n jobs at once.
func slots(n int) settings.Settings {
	return settings.Settings{
		Finetune:   settings.Finetune{Slots: n},
		Inference:  settings.Inference{Slots: n},
		Evaluation: settings.Evaluation{Slots: n},
	}
}

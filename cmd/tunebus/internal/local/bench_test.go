package local_test

import (
	"fmt"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/local"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// BenchmarkNoopPipeline is a whole pipeline whose phases do nothing, from the
// request to pipeline.completed: one at a time (the latency when idle), and
// many at once (the throughput).
func BenchmarkNoopPipeline(b *testing.B) {
	for _, sync := range []struct {
		name    string
		relaxed bool
	}{{"sync=always", false}, {"sync=default", true}} {
		b.Run(sync.name+"/idle", func(b *testing.B) {
			l := start(b, local.Config{RelaxedSync: sync.relaxed})
			n := 0
			for b.Loop() {
				n++
				id := fmt.Sprintf("r%d", n)
				request(b, l, id, nil)
				ended(b, l, id, false)
			}
		})
		b.Run(sync.name+"/many", func(b *testing.B) {
			l := start(b, local.Config{RelaxedSync: sync.relaxed, Workers: slots(8)})
			const many = 200
			rounds := 0
			for b.Loop() {
				rounds++
				for i := range many {
					request(b, l, fmt.Sprintf("r%d-%d", rounds, i), nil)
				}
				for i := range many {
					ended(b, l, fmt.Sprintf("r%d-%d", rounds, i), false)
				}
			}
			b.ReportMetric(float64(rounds*many)/b.Elapsed().Seconds(), "pipelines/s")
		})
	}
}

// slots lets each phase work on n jobs at once.
func slots(n int) map[events.Phase]settings.Worker {
	out := map[events.Phase]settings.Worker{}
	for _, p := range events.Phases() {
		out[p] = settings.Worker{Slots: n}
	}
	return out
}

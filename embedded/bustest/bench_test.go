package bustest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// syncs are the two ways in which a server may keep what it acknowledges.
func syncs(b *testing.B, run func(b *testing.B, relaxed bool)) {
	b.Run("sync=always", func(b *testing.B) { run(b, false) })
	b.Run("sync=default", func(b *testing.B) { run(b, true) })
}

func layOut(b *testing.B, relaxed bool) (*embedded.Server, *conn.Conn) {
	b.Helper()
	s := bustest.Start(b, embedded.Options{Dir: b.TempDir(), RelaxedSync: relaxed})
	c := bustest.Connect(b, s)
	if err := topology.Apply(b.Context(), c, topology.Topology{}); err != nil {
		b.Fatal(err)
	}
	return s, c
}

// BenchmarkHop is one step of a service: a job is delivered, a fact is stored
// under a fence, what follows is stored, and the job is acknowledged.
func BenchmarkHop(b *testing.B) {
	syncs(b, func(b *testing.B, relaxed bool) {
		s, client := layOut(b, relaxed)
		services := bustest.Connect(b, s)
		done := make(chan struct{}, 1)
		r, err := delivery.NewRouter(services, deadletter.New(services), bustest.Logger(b))
		if err != nil {
			b.Fatal(err)
		}
		r.Add(jobs(func(ctx context.Context, d delivery.Delivery) error {
			run := d.Event.(events.PhaseRequested).RunID
			fact := events.PhaseCompleted{RunID: run, Phase: events.Finetune, Attempt: 1, Conclusion: events.Success}
			if _, err := journal.New(services).Publish(ctx, fact, journal.FenceAbsent(fact.Subject())); err != nil {
				return err
			}
			next := events.PhaseRequested{RunID: run, Phase: events.Inference, Queue: "builtin"}
			if _, err := journal.New(services).Publish(ctx, next, journal.Fence{}); err != nil {
				return err
			}
			done <- struct{}{}
			return nil
		}))
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		<-r.Running()
		b.ResetTimer()
		start := time.Now()
		for i := range b.N {
			if _, err := journal.New(client).Publish(ctx, job(fmt.Sprintf("r%d", i)), journal.Fence{}); err != nil {
				b.Fatal(err)
			}
			<-done
		}
		b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "hops/s")
		b.StopTimer()
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}

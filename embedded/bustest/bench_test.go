package bustest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

// syncs are the two ways in which a server may keep what it acknowledges.
func syncs(b *testing.B, run func(b *testing.B, relaxed bool)) {
	b.Run("sync=always", func(b *testing.B) { run(b, false) })
	b.Run("sync=default", func(b *testing.B) { run(b, true) })
}

func layOut(b *testing.B, relaxed bool) (*embedded.Server, *bus.Bus) {
	b.Helper()
	s := bustest.Start(b, embedded.Options{Dir: b.TempDir(), RelaxedSync: relaxed})
	c := bustest.Connect(b, s)
	if err := c.Setup(b.Context(), bus.Layout{}); err != nil {
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
		r, err := bus.NewReceiver(services, bustest.Logger(b))
		if err != nil {
			b.Fatal(err)
		}
		r.Add(jobs(func(ctx context.Context, d bus.Delivery) error {
			run := d.Event.(events.PhaseRequested).RunID
			fact := events.PhaseCompleted{RunID: run, Phase: events.Finetune, Attempt: 1, Conclusion: events.Success}
			if _, err := services.Publish(ctx, fact, bus.IfNone(fact.Subject())); err != nil {
				return err
			}
			next := events.PhaseRequested{RunID: run, Phase: events.Inference, Queue: "builtin"}
			if _, err := services.Publish(ctx, next, bus.Fence{}); err != nil {
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
			if _, err := client.Publish(ctx, job(fmt.Sprintf("r%d", i)), bus.Fence{}); err != nil {
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

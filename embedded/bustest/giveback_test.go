package bustest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestGivenBackAcrossARestart: a service and the server stop together, as when
// a run in one process is interrupted. The job that was given back is taken at
// once when both are back, long before the ack wait.
func TestGivenBackAcrossARestart(t *testing.T) {
	t.Parallel()
	opts := embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true}
	session := func(handle delivery.Handler, then func(b *bench, stop func() time.Duration)) {
		s, err := embedded.Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{server: s, log: &lines{}}
		b.bus = bustest.Connect(t, s)
		if err := topology.Apply(t.Context(), b.bus, topology.Topology{AckWait: time.Minute}); err != nil {
			t.Fatal(err)
		}
		then(b, b.receive(t, b.bus, jobs(handle)))
		b.bus.Close()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	works := make(chan struct{}, 1)
	session(func(ctx context.Context, _ delivery.Delivery) error {
		works <- struct{}{}
		<-ctx.Done()
		return &delivery.RetryAfter{Err: errors.New("the worker stops")}
	}, func(b *bench, stop func() time.Duration) {
		b.publish(t, job("r1"))
		<-works
		stop()
	})
	session(func(context.Context, delivery.Delivery) error {
		works <- struct{}{}
		return nil
	}, func(_ *bench, stop func() time.Duration) {
		select {
		case <-works:
		case <-time.After(20 * time.Second):
			t.Error("the job waits for the ack wait")
		}
		stop()
	})
}

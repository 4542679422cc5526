package bustest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

func TestOneHoldsALease(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	other := b.connect(t, b.server.URL())
	wrong := errors.New("what do came to")
	err := lease.Run(t.Context(), b.bus, "r1", func(context.Context) error {
		err := lease.Run(t.Context(), other, "r1", func(context.Context) error {
			t.Error("two hold it")
			return nil
		})
		if !errors.Is(err, lease.ErrTaken) {
			t.Errorf("the second: %v", err)
		}
		if err := lease.Run(t.Context(), other, "r2", func(context.Context) error { return nil }); err != nil {
			t.Errorf("another lease: %v", err)
		}
		return wrong
	})
	if !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
	if err := lease.Run(t.Context(), other, "r1", func(context.Context) error { return nil }); err != nil {
		t.Errorf("after the first: %v", err)
	}
}

// TestLeaseOfTheDeadRunsOut: whoever is cut off loses the lease and is told
// so; another one gets it.
func TestLeaseOfTheDeadRunsOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	proxy := bustest.NewProxy(t, b.server.URL())
	cut := b.connect(t, proxy.URL)
	holds := make(chan struct{})
	lost := make(chan error, 1)
	go func() {
		lost <- lease.Run(t.Context(), cut, "r1", func(ctx context.Context) error {
			close(holds)
			<-ctx.Done()
			return nil
		})
	}()
	<-holds
	proxy.Cut()
	taken := func() bool {
		return lease.Run(t.Context(), b.bus, "r1", func(context.Context) error { return nil }) == nil
	}
	limit := time.After(40 * time.Second)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !taken() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the lease does not run out")
		}
	}
	proxy.Mend()
	if err := <-lost; !errors.Is(err, lease.ErrTaken) {
		t.Errorf("whoever was cut off: %v", err)
	}
}

// TestLeasesOutliveARestart: after a restart of the server leases can be had,
// and everything else that was set up is there.
func TestLeasesOutliveARestart(t *testing.T) {
	t.Parallel()
	broker := newBroker(t)
	b := (&bench{log: &lines{}}).connect(t, broker.url)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	names := func() []string {
		var out []string
		streams := broker.js.StreamNames(t.Context())
		for name := range streams.Name() {
			out = append(out, name)
		}
		if err := streams.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out)
		return out
	}
	before := names()
	if err := broker.again(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "leases can be had", func() bool {
		return lease.Run(t.Context(), b, "r1", func(context.Context) error { return nil }) == nil
	})
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("set up were %v, left are %v", before, after)
	}
}

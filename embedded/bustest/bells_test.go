package bustest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
)

// drain takes the rings that are due, until the bell is silent for longer
// than it takes a publish to settle.
func drain(bell <-chan struct{}) {
	for {
		select {
		case <-bell:
		case <-time.After(300 * time.Millisecond):
			return
		}
	}
}

func rings(t *testing.T, what string, bell <-chan struct{}) {
	t.Helper()
	select {
	case <-bell:
	case <-time.After(15 * time.Second):
		t.Fatalf("no ring %s", what)
	}
}

// TestBellsAcrossAReconnect: what was published while the connection was down
// rang nowhere, so its return rings; and the subscriptions are there again.
func TestBellsAcrossAReconnect(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	proxy := bustest.NewProxy(t, b.server.URL())
	client := b.connect(t, proxy.URL)
	subject := events.StartedFilter(events.Finetune, "r1")
	bell, err := wakeup.Watch(t.Context(), client, subject)
	if err != nil {
		t.Fatal(err)
	}
	bells, err := wakeup.NewRunNotifier(client, events.StartedFilter(events.Finetune, "*"))
	if err != nil {
		t.Fatal(err)
	}
	door, deaf := bells.Subscribe("r1"), bells.Subscribe("r2")
	defer door.Close()
	defer deaf.Close()
	b.publish(t, started(1))
	rings(t, "after a publish", bell)
	rings(t, "at the door", door.C)
	drain(bell)
	drain(door.C)
	proxy.Cut()
	eventually(t, "the connection is down", func() bool { return !client.Connected() })
	b.publish(t, started(2))
	select {
	case <-deaf.C:
		t.Error("the door of another run rang")
	default:
	}
	proxy.Mend()
	rings(t, "after the return", bell)
	rings(t, "at the door after the return", door.C)
	rings(t, "at every door after the return", deaf.C)
	run, err := history.New(client).Run(t.Context(), "r1")
	if err != nil || run.Phases[events.Finetune].NextAttempt() != 3 {
		t.Fatalf("the run does not show what was missed: %v", err)
	}
	drain(bell)
	drain(door.C)
	b.publish(t, started(3))
	rings(t, "after a later publish", bell)
	rings(t, "at the door after a later publish", door.C)
}

// TestListenAcrossAReconnect: a listener misses what is published while the
// connection is down, and hears what comes later.
func TestListenAcrossAReconnect(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	proxy := bustest.NewProxy(t, b.server.URL())
	client := b.connect(t, proxy.URL)
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan codec.Message, 16)
	if err := wakeup.Listen(ctx, client, func(m codec.Message) { heard <- m }, events.StartedFilter(events.Finetune, "r1")); err != nil {
		t.Fatal(err)
	}
	if _, err := history.New(client).Facts(ctx, "r2"); err != nil { // the server has the subscription by then
		t.Fatal(err)
	}
	b.raw(t, started(9).Subject(), "junk", nil) // left out
	b.publish(t, started(1))
	if m := <-heard; m.Event.(events.PhaseStarted).Attempt != 1 {
		t.Errorf("heard %+v", m)
	}
	proxy.Cut()
	eventually(t, "the connection is down", func() bool { return !client.Connected() })
	b.publish(t, started(2))
	proxy.Mend()
	if _, err := history.New(client).Facts(ctx, "r2"); err != nil {
		t.Fatal(err)
	}
	b.publish(t, started(3))
	if m := <-heard; m.Event.(events.PhaseStarted).Attempt != 3 {
		t.Errorf("heard %+v", m)
	}
	cancel()
}

// TestCheckpointRace: of many who save at once, the newest attempt stands in
// the end.
func TestCheckpointRace(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	const newest = 8
	var wg sync.WaitGroup
	for attempt := range newest {
		wg.Go(func() {
			for step := range int64(3) {
				// An older attempt may lose, which TestCheckpointsOnlyGoForward
				// looks at.
				_, _, err := checkpoint.New(b.bus).Save(t.Context(), "r1", events.Finetune, checkpoint.Checkpoint{Attempt: attempt + 1, Step: step}, 1)
				if err != nil && attempt+1 == newest {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cp, err := checkpoint.New(b.bus).Load(t.Context(), "r1", events.Finetune)
	if err != nil || cp.Attempt != newest || cp.Step != 2 {
		t.Errorf("%+v, %v", cp, err)
	}
}

package bustest_test

import (
	"context"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
)

// drain takes the wake-ups that are due, until none has come for longer than a
// publish takes to settle.
func drain(wakeups <-chan struct{}) {
	for {
		select {
		case <-wakeups:
		case <-time.After(300 * time.Millisecond):
			return
		}
	}
}

func waitForWakeup(t *testing.T, when string, wakeups <-chan struct{}) {
	t.Helper()
	select {
	case <-wakeups:
	case <-time.After(15 * time.Second):
		t.Fatalf("no wake-up %s", when)
	}
}

// TestWatchAcrossReconnect: a publish while the connection is down causes no
// wake-up, so the reconnect has to. After it the subscription works again.
func TestWatchAcrossReconnect(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	proxy := bustest.NewProxy(t, s.server.URL())
	client := s.connect(t, proxy.URL)
	wakeups, err := wakeup.Watch(t.Context(), client, events.StartedFilter(events.Finetune, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	s.publish(t, started(1))
	waitForWakeup(t, "after a publish", wakeups)
	drain(wakeups)
	proxy.Cut()
	eventually(t, "the connection is down", func() bool { return !client.Connected() })
	s.publish(t, started(2))
	proxy.Restore()
	waitForWakeup(t, "after the reconnect", wakeups)
	run, err := history.New(client).Run(t.Context(), "r1")
	if err != nil || run.Phases[events.Finetune].NextAttempt() != 3 {
		t.Fatalf("the run does not show the publish that was missed: %v", err)
	}
	drain(wakeups)
	s.publish(t, started(3))
	waitForWakeup(t, "after a later publish", wakeups)
}

// TestRunNotifierAcrossReconnect: the same for the subscriptions of runs. A
// reconnect wakes every run, a publish its own run alone.
func TestRunNotifierAcrossReconnect(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	proxy := bustest.NewProxy(t, s.server.URL())
	client := s.connect(t, proxy.URL)
	notifier, err := wakeup.NewRunNotifier(client, events.StartedFilter(events.Finetune, "*"))
	if err != nil {
		t.Fatal(err)
	}
	<-notifier.Ready()
	r1, r2 := notifier.Subscribe("r1"), notifier.Subscribe("r2")
	defer r1.Close()
	defer r2.Close()
	s.publish(t, started(1))
	waitForWakeup(t, "of the run after a publish", r1.C)
	drain(r1.C)
	proxy.Cut()
	eventually(t, "the connection is down", func() bool { return !client.Connected() })
	s.publish(t, started(2))
	select {
	case <-r2.C:
		t.Error("a wake-up of another run")
	default:
	}
	proxy.Restore()
	waitForWakeup(t, "of the run after the reconnect", r1.C)
	waitForWakeup(t, "of every run after the reconnect", r2.C)
	drain(r1.C)
	s.publish(t, started(3))
	waitForWakeup(t, "of the run after a later publish", r1.C)
}

// TestListenAcrossReconnect: a listener misses the events that are published
// while the connection is down, and receives later ones.
func TestListenAcrossReconnect(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	proxy := bustest.NewProxy(t, s.server.URL())
	client := s.connect(t, proxy.URL)
	ctx, cancel := context.WithCancel(t.Context())
	received := make(chan codec.Message, 16)
	if err := wakeup.Listen(ctx, client, func(m codec.Message) { received <- m }, events.StartedFilter(events.Finetune, "r1")); err != nil {
		t.Fatal(err)
	}
	if _, err := history.New(client).Facts(ctx, "r2"); err != nil { // after this reply the server has the subscription
		t.Fatal(err)
	}
	s.publishRaw(t, started(9).Subject(), "junk", nil) // not decodable, so not passed on
	s.publish(t, started(1))
	if m := <-received; m.Event.(events.PhaseStarted).Attempt != 1 {
		t.Errorf("received %+v", m)
	}
	proxy.Cut()
	eventually(t, "the connection is down", func() bool { return !client.Connected() })
	s.publish(t, started(2))
	proxy.Restore()
	if _, err := history.New(client).Facts(ctx, "r2"); err != nil {
		t.Fatal(err)
	}
	s.publish(t, started(3))
	if m := <-received; m.Event.(events.PhaseStarted).Attempt != 3 {
		t.Errorf("received %+v", m)
	}
	cancel()
}

// TestWatchWakesAfterLastPublish: a wake-up follows the storing of the last of
// several publishes, also if they are close together.
func TestWatchWakesAfterLastPublish(t *testing.T) {
	t.Parallel()
	c := bustest.New(t, topology.Topology{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	wakeups, err := wakeup.Watch(ctx, c, "finetune.started.r1.*")
	if err != nil {
		t.Fatal(err)
	}
	const last = 20
	go func() {
		for i := range last {
			if _, err := journal.New(c).Publish(ctx, started(i+1), journal.Fence{}); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	for {
		select {
		case <-wakeups:
		case <-ctx.Done():
			t.Fatal("no wake-up after the last publish")
		}
		run, err := history.New(c).Run(ctx, "r1")
		if err != nil {
			t.Fatal(err)
		}
		if p := run.Phases[events.Finetune]; p != nil && p.NextAttempt() == last+1 {
			return
		}
	}
}

func TestWatchAfterClose(t *testing.T) {
	t.Parallel()
	c := bustest.Connect(t, bustest.Start(t, embedded.Options{}))
	if _, err := wakeup.Watch(t.Context(), c, "a.b.c"); err != nil {
		t.Fatal(err)
	}
	c.Close() // waits for the goroutine of the watch
	c.Close()
	if _, err := wakeup.Watch(t.Context(), c, "a.b.c"); err == nil {
		t.Error("a closed connection can be watched")
	}
}

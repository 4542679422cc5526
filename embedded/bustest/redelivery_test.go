package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestDeliveryAfterCrashBetweenSteps: a service stores a fact, publishes the next
// one, and acknowledges the job. Wherever it crashes, the next delivery completes
// the missing steps, and no fact is stored twice.
func TestDeliveryAfterCrashBetweenSteps(t *testing.T) {
	t.Parallel()
	for _, crash := range []string{"before the fact", "after the fact", "after the next one"} {
		t.Run(crash, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, topology.Topology{AckWait: time.Second})
			facts, runs := journal.New(s.conn), history.New(s.conn)
			var deliveries, published atomic.Int32
			s.runRouter(t, s.conn, jobRoute(func(ctx context.Context, d delivery.Delivery) error {
				// A crashed worker sends no reply.
				first := deliveries.Add(1) == 1
				if first && crash == "before the fact" {
					return delivery.ErrOwnershipLost
				}
				run, err := runs.Run(ctx, "r1")
				if err != nil {
					return err
				}
				done := run.Phases[events.Finetune].Completed
				if done == nil {
					published.Add(1)
					stored, err := facts.Publish(ctx, completed(int(deliveries.Load())), journal.Fence{})
					if err != nil {
						return err
					}
					c := stored.Event.(events.PhaseCompleted)
					done = &c
				}
				if first && crash == "after the fact" {
					return delivery.ErrOwnershipLost
				}
				if run, err = runs.Run(ctx, "r1"); err != nil {
					return err
				}
				if err := facts.PublishNext(ctx, *done, run); err != nil {
					return err
				}
				if first {
					return delivery.ErrOwnershipLost
				}
				return nil
			}))
			s.publish(t, accepted("r1"))
			s.publish(t, job("r1"))
			eventually(t, "the second delivery", func() bool { return deliveries.Load() == 2 })
			s.waitForSettled(t)
			if n := published.Load(); n != 1 {
				t.Errorf("%d facts were published", n)
			}
			run, err := runs.Run(t.Context(), "r1")
			if err != nil || run.Completed == nil || run.Completed.Conclusion != events.Success {
				t.Errorf("the run has ended with %+v, %v", run.Completed, err)
			}
			msgs, err := runs.Facts(t.Context(), "r1")
			if err != nil || len(msgs) != 4 {
				t.Errorf("%d facts are stored, want 4: %v", len(msgs), err)
			}
		})
	}
}

// TestDeliveryTakeoverAfterDisconnect: the connection of the owner breaks, and
// another worker gets the job after the ack wait.
func TestDeliveryTakeoverAfterDisconnect(t *testing.T) {
	t.Parallel()
	const ackWait = time.Second
	s := newTestServer(t, topology.Topology{AckWait: ackWait})
	proxy := bustest.NewProxy(t, s.server.URL())
	working, release := make(chan struct{}), make(chan struct{})
	s.runRouter(t, s.connect(t, proxy.URL), jobRoute(func(ctx context.Context, _ delivery.Delivery) error {
		close(working)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return delivery.ErrOwnershipLost
	}))
	s.publish(t, job("r1"))
	<-working
	proxy.Cut()
	broken := time.Now()
	taken := make(chan int, 1)
	s.runRouter(t, s.conn, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		taken <- d.Delivered
		return nil
	}))
	if n := <-taken; n != 2 {
		t.Errorf("delivery %d, want 2", n)
	}
	if took := time.Since(broken); took > ackWait+5*time.Second {
		t.Errorf("taken over after %s", took)
	}
	close(release)
}

// TestDeliveryStaleWorkerSendsNoReply: a worker whose job was taken over returns
// ErrOwnershipLost and sends no ack, nak or heartbeat. So if the new owner dies as
// well, the job is delivered a third time.
func TestDeliveryStaleWorkerSendsNoReply(t *testing.T) {
	t.Parallel()
	const ackWait = time.Second
	s := newTestServer(t, topology.Topology{AckWait: ackWait})
	staleProxy, secondProxy := bustest.NewProxy(t, s.server.URL()), bustest.NewProxy(t, s.server.URL())
	working, taken := make(chan struct{}), make(chan struct{})
	completion := make(chan error, 1)
	stale := s.connect(t, staleProxy.URL)
	s.runRouter(t, stale, jobRoute(func(ctx context.Context, d delivery.Delivery) error {
		if d.Delivered > 1 {
			return errors.New("the stale worker got the job again") // causes a nak, and a delivery more than the test expects
		}
		if _, err := journal.New(stale).Publish(ctx, started(1), journal.FenceAbsent(completed(1).Subject())); err != nil {
			return err
		}
		close(working)
		<-taken
		_, err := journal.New(stale).Publish(ctx, completed(1), journal.FenceAttempt(events.Finetune, "r1", 1))
		completion <- err
		return delivery.ErrOwnershipLost
	}))
	s.publish(t, job("r1"))
	<-working
	staleProxy.Cut() // no heartbeat arrives, but the worker working on
	owner := s.connect(t, secondProxy.URL)
	s.runRouter(t, owner, jobRoute(func(ctx context.Context, d delivery.Delivery) error {
		if d.Delivered > 2 {
			return delivery.ErrOwnershipLost
		}
		if _, err := journal.New(owner).Publish(ctx, started(2), journal.FenceAbsent(completed(2).Subject())); err != nil {
			return err
		}
		close(taken)
		<-ctx.Done()
		return delivery.ErrOwnershipLost
	}))
	<-taken
	staleProxy.Restore()
	err := <-completion
	if fenced, ok := errors.AsType[*journal.FencedError](err); !ok || fenced.Winner != "" {
		t.Errorf("the stale completion: %v, want a newer fencing token", err)
	}
	if u, w := s.pending(t); u != 1 || w != 0 {
		t.Errorf("%d jobs are unsettled, %d wait; want the one of the new owner", u, w)
	}
	secondProxy.Cut() // the new owner dies
	third := make(chan int, 1)
	s.runRouter(t, s.conn, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		third <- d.Delivered
		return nil
	}))
	select {
	case n := <-third:
		if n < 3 {
			t.Errorf("delivery %d, want 3", n)
		}
	case <-time.After(time.Minute):
		t.Error("the job is lost: the stale worker sent a reply")
	}
	s.waitForSettled(t)
}

// TestDeliveryAcrossServerRestart: the server restarts on its folder and port. A
// job in work is settled, the stored messages are there, and a worker that waited
// meanwhile gets a new job at once.
func TestDeliveryAcrossServerRestart(t *testing.T) {
	t.Parallel()
	server := newRestartableServer(t)
	s := &testServer{log: &logBuffer{}}
	client, worker := s.connect(t, server.url), s.connect(t, server.url)
	if err := topology.Apply(t.Context(), client, topology.Topology{AckWait: time.Minute}); err != nil {
		t.Fatal(err)
	}
	s.conn, s.js = client, server.js
	got, proceed := make(chan string, 2), make(chan struct{})
	var deliveries atomic.Int32
	s.runRouter(t, worker, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		deliveries.Add(1)
		got <- d.Event.(events.PhaseRequested).RunID
		<-proceed
		return nil
	}))
	s.publish(t, job("r1"))
	<-got
	if err := server.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.publish(t, job("r2"))
	close(proceed)
	<-got
	s.waitForSettled(t)
	if err := server.restart(t.Context()); err != nil { // now no job is in work
		t.Fatal(err)
	}
	at := time.Now()
	s.publish(t, job("r3"))
	<-got
	if took := time.Since(at); took > 8*time.Second {
		t.Errorf("delivered %s after the restart", took)
	}
	s.waitForSettled(t)
	if n := deliveries.Load(); n != 3 {
		t.Errorf("%d deliveries of 3 jobs", n)
	}
	for i := range 3 {
		if _, err := history.New(client).Latest(t.Context(), job(fmt.Sprintf("r%d", i+1)).Subject()); err != nil {
			t.Error(err)
		}
	}
}

// TestDeliveryNakAcrossServerRestart: a service and the server stop together, as
// when a run in one process is interrupted. After their restart the job is
// delivered at once, long before the ack wait, because the service NAKed it.
func TestDeliveryNakAcrossServerRestart(t *testing.T) {
	t.Parallel()
	opts := embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true}
	session := func(handle delivery.Handler, then func(s *testServer, stop func() time.Duration)) {
		server, err := embedded.Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		s := &testServer{server: server, log: &logBuffer{}}
		s.conn = bustest.Connect(t, server)
		if err := topology.Apply(t.Context(), s.conn, topology.Topology{AckWait: time.Minute}); err != nil {
			t.Fatal(err)
		}
		then(s, s.runRouter(t, s.conn, jobRoute(handle)))
		s.conn.Close()
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	working := make(chan struct{}, 1)
	session(func(ctx context.Context, _ delivery.Delivery) error {
		working <- struct{}{}
		<-ctx.Done()
		return &delivery.RetryAfter{Err: errors.New("the worker stops")}
	}, func(s *testServer, stop func() time.Duration) {
		s.publish(t, job("r1"))
		<-working
		stop()
	})
	session(func(context.Context, delivery.Delivery) error {
		working <- struct{}{}
		return nil
	}, func(_ *testServer, stop func() time.Duration) {
		select {
		case <-working:
		case <-time.After(20 * time.Second):
			t.Error("the job was not delivered before the ack wait")
		}
		stop()
	})
}

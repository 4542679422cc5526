package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// accepted is a run of one phase, so that pipeline.completed follows from the
// end of its fine-tuning.
func accepted(run string) events.PipelineAccepted {
	return events.PipelineAccepted{RunID: run, Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}}
}

// TestCrashBetweenTheSteps: a service stores the fact, publishes what follows,
// and acknowledges. Wherever it dies, the next delivery does what is missing,
// and nothing is stored twice.
func TestCrashBetweenTheSteps(t *testing.T) {
	t.Parallel()
	for _, dies := range []string{"before the fact", "behind the fact", "behind what follows"} {
		t.Run(dies, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{AckWait: time.Second})
			var deliveries, facts atomic.Int32
			b.receive(t, b.bus, jobs(func(ctx context.Context, d delivery.Delivery) error {
				// A worker that is dead tells the server nothing.
				first := deliveries.Add(1) == 1
				if first && dies == "before the fact" {
					return delivery.ErrOwnershipLost
				}
				run, err := history.New(b.bus).Run(ctx, "r1")
				if err != nil {
					return err
				}
				done := run.Phases[events.Finetune].Completed
				if done == nil {
					facts.Add(1)
					stored, err := journal.New(b.bus).Publish(ctx, completed(int(deliveries.Load())), journal.Fence{})
					if err != nil {
						return err
					}
					c := stored.Event.(events.PhaseCompleted)
					done = &c
				}
				if first && dies == "behind the fact" {
					return delivery.ErrOwnershipLost
				}
				if run, err = history.New(b.bus).Run(ctx, "r1"); err != nil {
					return err
				}
				if err := journal.New(b.bus).PublishNext(ctx, *done, run); err != nil {
					return err
				}
				if first {
					return delivery.ErrOwnershipLost
				}
				return nil
			}))
			b.publish(t, accepted("r1"))
			b.publish(t, job("r1"))
			eventually(t, "the job is acknowledged", func() bool {
				u, w := b.pending(t)
				return deliveries.Load() == 2 && u == 0 && w == 0
			})
			if n := facts.Load(); n != 1 {
				t.Errorf("%d facts were published", n)
			}
			run, err := history.New(b.bus).Run(t.Context(), "r1")
			if err != nil || run.Completed == nil || run.Completed.Conclusion != events.Success {
				t.Errorf("the run reads %+v, %v", run.Completed, err)
			}
			msgs, err := history.New(b.bus).Facts(t.Context(), "r1")
			if err != nil || len(msgs) != 4 {
				t.Errorf("%d facts are stored, want 4: %v", len(msgs), err)
			}
		})
	}
}

// TestTakenAttemptNumber: two workers that counted to the same attempt; the
// second one is told who was first.
func TestTakenAttemptNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	fence := journal.FenceAbsent(completed(1).Subject())
	first, err := journal.New(b.bus).Publish(t.Context(), started(1), fence)
	if err != nil {
		t.Fatal(err)
	}
	other := started(1)
	other.Worker = "another"
	var lost *journal.FencedError
	if _, err := journal.New(b.bus).Publish(t.Context(), other, fence); !errors.As(err, &lost) || lost.Winner != first.ID {
		t.Fatalf("got %v, want %s as the winner", err, first.ID)
	}
	stored, err := history.New(b.bus).Latest(t.Context(), started(1).Subject())
	if err != nil || stored.Event.(events.PhaseStarted).Worker != "w" {
		t.Errorf("stored is %+v, %v", stored.Event, err)
	}
}

// TestPlaceTakenByBytes: what stands on a subject won, also if nobody can
// read it; its publisher does not try for ever.
func TestPlaceTakenByBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	b.raw(t, completed(1).Subject(), "\x00 no event", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, fence := range map[string]journal.Fence{"one-shot subject": {}, "fence": journal.FenceAbsent(completed(1).Subject())} {
		var lost *journal.FencedError
		ev := events.Event(completed(1))
		if name == "fence" {
			ev = started(1)
		}
		if _, err := journal.New(b.bus).Publish(ctx, ev, fence); !errors.As(err, &lost) {
			t.Errorf("%s: %v, want a LostError", name, err)
		}
	}
}

// TestStaleWorkerLeavesTheJobAlone: a worker whose job was taken over lets go
// without an ack, a nak or a heartbeat; when the new holder dies as well, the
// job comes a third time.
func TestStaleWorkerLeavesTheJobAlone(t *testing.T) {
	t.Parallel()
	const ackWait = time.Second
	b := newBench(t, topology.Topology{AckWait: ackWait})
	filter := events.StartedFilter(events.Finetune, "r1")
	stale, second := bustest.NewProxy(t, b.server.URL()), bustest.NewProxy(t, b.server.URL())
	holds, taken := make(chan struct{}), make(chan struct{})
	let := make(chan error, 1)
	first := b.connect(t, stale.URL)
	b.receive(t, first, jobs(func(ctx context.Context, d delivery.Delivery) error {
		if d.Delivered > 1 {
			return errors.New("the stale worker got the job again") // a nak; the deliveries below then do not add up
		}
		token, err := journal.New(first).Publish(ctx, started(1), journal.FenceAbsent(completed(1).Subject()))
		if err != nil {
			return err
		}
		close(holds)
		<-taken
		_, err = journal.New(first).Publish(ctx, completed(1), journal.FenceLatest(filter, token.Sequence))
		let <- err
		return delivery.ErrOwnershipLost
	}))
	b.publish(t, job("r1"))
	<-holds
	stale.Cut() // its heartbeats do not arrive, and it goes on working
	holder := b.connect(t, second.URL)
	b.receive(t, holder, jobs(func(ctx context.Context, d delivery.Delivery) error {
		if d.Delivered > 2 {
			return delivery.ErrOwnershipLost
		}
		if _, err := journal.New(holder).Publish(ctx, started(2), journal.FenceAbsent(completed(2).Subject())); err != nil {
			return err
		}
		close(taken)
		<-ctx.Done()
		return delivery.ErrOwnershipLost
	}))
	<-taken
	stale.Mend()
	var lost *journal.FencedError
	if err := <-let; !errors.As(err, &lost) || lost.Winner != "" {
		t.Errorf("the stale completed: %v, want a fallen fence", err)
	}
	if u, w := b.pending(t); u != 1 || w != 0 {
		t.Errorf("%d jobs are out, %d wait; want the new holder's one", u, w)
	}
	second.Cut() // the new holder dies
	third := make(chan int, 1)
	b.receive(t, b.bus, jobs(func(_ context.Context, d delivery.Delivery) error {
		third <- d.Delivered
		return nil
	}))
	select {
	case n := <-third:
		if n < 3 {
			t.Errorf("delivery %d", n)
		}
	case <-time.After(time.Minute):
		t.Error("the job is lost: the stale worker told the server something")
	}
	eventually(t, "it is settled", func() bool { u, w := b.pending(t); return u == 0 && w == 0 })
}

// TestRestartOnTheSameStore: the server goes away and comes back on its
// folder and port. A held job is settled, what was stored is there, and a new
// job is taken at once by a worker that waited all the time.
func TestRestartOnTheSameStore(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	log := &lines{}
	bench := &bench{log: log}
	client, worker := bench.connect(t, b.url), bench.connect(t, b.url)
	if err := topology.Apply(t.Context(), client, topology.Topology{AckWait: time.Minute}); err != nil {
		t.Fatal(err)
	}
	bench.bus, bench.js = client, b.js
	got, goOn := make(chan string, 2), make(chan struct{})
	var deliveries atomic.Int32
	bench.receive(t, worker, jobs(func(_ context.Context, d delivery.Delivery) error {
		deliveries.Add(1)
		got <- d.Event.(events.PhaseRequested).RunID
		<-goOn
		return nil
	}))
	bench.publish(t, job("r1"))
	<-got
	if err := b.again(t.Context()); err != nil {
		t.Fatal(err)
	}
	bench.publish(t, job("r2"))
	close(goOn)
	<-got
	eventually(t, "both are settled", func() bool { u, w := bench.pending(t); return u == 0 && w == 0 })
	if err := b.again(t.Context()); err != nil { // now nobody holds anything
		t.Fatal(err)
	}
	at := time.Now()
	bench.publish(t, job("r3"))
	<-got
	if took := time.Since(at); took > 8*time.Second {
		t.Errorf("taken %s after the restart", took)
	}
	eventually(t, "it is settled", func() bool { u, w := bench.pending(t); return u == 0 && w == 0 })
	if n := deliveries.Load(); n != 3 {
		t.Errorf("%d deliveries of 3 jobs", n)
	}
	for i := range 3 {
		if _, err := history.New(client).Latest(t.Context(), job(fmt.Sprintf("r%d", i+1)).Subject()); err != nil {
			t.Error(err)
		}
	}
}

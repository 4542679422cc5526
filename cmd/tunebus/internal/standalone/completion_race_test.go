package standalone_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/intake"
)

// raceCount is how many runs each test races.
const raceCount = 200

// testSeed is the seed of a test's delays: a new one each time, or the one in
// TUNEBUS_SEED.
func testSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TUNEBUS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TUNEBUS_SEED: %v", err)
		}
	}
	t.Logf("the delays are those of TUNEBUS_SEED=%d", seed)
	return seed
}

// delays returns the delays of one attempt. They depend on the seed, the run and
// the attempt alone.
func delays(seed uint64, id string, attempt int) *rand.Rand {
	h := uint64(attempt)
	for _, c := range id {
		h = h*31 + uint64(c)
	}
	return rand.New(rand.NewPCG(seed, h))
}

// between returns a delay from at to at+width.
func between(r *rand.Rand, at, width time.Duration) time.Duration {
	return at + time.Duration(r.Int64N(int64(width)))
}

// raceEngine is an engine that may save a checkpoint, works for a while, and stores
// a result. Some engines ignore cancellation.
func raceEngine(takes func(job *engine.Job) (d time.Duration, ignoresCancel, saves bool)) engine.Func {
	return func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		d, ignoresCancel, saves := takes(job)
		if saves {
			if err := (trainer{keep: 1}).checkpoint(ctx, job, int64(job.Attempt)); err != nil {
				return engine.Result{}, err
			}
		}
		if ignoresCancel {
			ctx = context.WithoutCancel(ctx)
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return engine.Result{}, context.Cause(ctx)
		}
		return trainer{}.Run(ctx, job) // the model alone
	}
}

// TestWorkerCompletionRacesTakeover: workers that send no heartbeat in time complete
// their jobs while other workers take them over.
func TestWorkerCompletionRacesTakeover(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	seed := testSeed(t)
	// A worker that binds to the consumer now sends heartbeats every ten seconds.
	setup := func(wait time.Duration) {
		t.Helper()
		if err := topology.Apply(t.Context(), s.bus, topology.Topology{AckWait: wait}); err != nil {
			t.Fatal(err)
		}
	}
	setup(30 * time.Second)
	engine := raceEngine(func(job *engine.Job) (time.Duration, bool, bool) {
		r := delays(seed, job.Request.RunID, job.Attempt)
		at := ackWait - 150*time.Millisecond
		if job.Attempt > 1 {
			at = 0
		}
		return between(r, at, 300*time.Millisecond), r.IntN(2) == 0, r.IntN(3) == 0
	})
	s.worker(t, s.bus, engine, worker.Config{Slots: raceCount})
	eventually(t, "all slots request a job", func() bool {
		c, err := s.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
		return err == nil && c.CachedInfo().NumWaiting == raceCount
	})
	setup(ackWait)
	s.worker(t, s.bus, engine, worker.Config{Slots: 16})
	s.worker(t, s.bus, noop, worker.Config{Phase: events.Inference, Slots: 16})
	a := s.recordReplies(t)
	ids := s.race(t)
	winners := map[bool]int{}
	for _, id := range ids {
		run := s.ended(t, id)
		c := run.Phases[events.Finetune].Completed
		if run.Completed.Conclusion != events.Success || c.Conclusion != events.Success {
			t.Errorf("%s ended %s: %+v", id, run.Completed.Conclusion, run.Completed.Phases)
		}
		winners[c.Attempt == 1]++
	}
	t.Logf("%d were completed by the first owner, %d by a later one", winners[true], winners[false])
	if winners[true] == 0 || winners[false] == 0 {
		t.Error("there was no race: one side won every time")
	}
	s.settled(t)
	s.wantCleanEnd(t, a, ids)
}

// TestWorkerCompletionRacesCancel: runs are cancelled while a phase completes, and
// intake soon ends the phase itself.
func TestWorkerCompletionRacesCancel(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	seed := testSeed(t)
	cancelled := make(chan error, raceCount)
	engine := raceEngine(func(job *engine.Job) (time.Duration, bool, bool) {
		id := job.Request.RunID
		r := delays(seed, id, job.Attempt)
		d := between(r, 50*time.Millisecond, 100*time.Millisecond)
		// Around the end of the work, or during the steps that follow it, which take
		// long on a slow machine.
		at := d + between(r, -40*time.Millisecond, 80*time.Millisecond)
		if r.IntN(2) == 0 {
			at = d + between(r, 0, time.Second)
		}
		if job.Attempt == 1 {
			time.AfterFunc(at, func() { // the test waits for it below
				_, err := journal.New(s.bus).Publish(context.WithoutCancel(t.Context()), events.CancelRequested{RunID: id, By: "test"}, journal.Fence{})
				cancelled <- err
			})
		}
		return d, r.IntN(2) == 0, r.IntN(3) == 0
	})
	service := intake.New(s.bus, intake.Config{Store: s.store.ID(), CancelGrace: 20 * time.Millisecond, Logger: s.logger()})
	s.runRouter(t, s.bus, service.Routes()...)
	s.worker(t, s.bus, engine, worker.Config{Slots: raceCount})
	s.worker(t, s.bus, noop, worker.Config{Phase: events.Inference, Slots: 16})
	a := s.recordReplies(t)
	ids := s.race(t)
	ends := map[string]int{}
	for _, id := range ids {
		run := s.ended(t, id)
		how := string(run.Completed.Conclusion)
		for _, p := range run.Phases {
			if p.Completed == nil {
				t.Errorf("%s ended %s before one of its phases", id, how)
				continue
			}
			if p.Completed.Conclusion == events.Cancelled && how != string(events.Cancelled) {
				t.Errorf("%s ended %s, one of its phases was cancelled", id, how)
			}
			for _, attempt := range p.Attempts {
				if attempt.Number == p.Completed.Attempt && attempt.Started.Worker == "intake" {
					how = "cancelled by intake"
				}
			}
		}
		ends[how]++
	}
	for range ids {
		if err := <-cancelled; err != nil {
			t.Error(err)
		}
	}
	t.Logf("ended: %v", ends)
	if ends["success"] == 0 || ends["cancelled"]+ends["cancelled by intake"] == 0 {
		t.Error("there was no race: one side won every time")
	}
	s.settled(t)
	s.wantCleanEnd(t, a, ids)
}

// race accepts the runs of a test.
func (s *testServer) race(t *testing.T) (ids []string) {
	t.Helper()
	for i := range raceCount {
		id := fmt.Sprint("r", i)
		ids = append(ids, id)
		s.accept(t, id, tries(3, 1000), events.Finetune, events.Inference)
	}
	return ids
}

// wantCleanEnd wants that every phase of the runs was completed once, that the
// store holds the artifacts of the completed phases and nothing else, and that no
// job was lost or NAKed.
func (s *testServer) wantCleanEnd(t *testing.T, a *replyRecorder, ids []string) {
	t.Helper()
	for _, id := range ids {
		facts, err := history.New(s.bus).Facts(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		subjects := map[string]int{}
		needed := map[string]bool{}
		for _, f := range facts {
			subjects[f.Subject]++
			if c, ok := f.Event.(events.PhaseCompleted); ok {
				for _, a := range c.Artifacts {
					needed[a.Reference.Key] = true
				}
			}
		}
		for subject, n := range subjects {
			if n != 1 {
				t.Errorf("%s is stored %d times", subject, n)
			}
		}
		// Superseded workers clean up after the end of their runs.
		eventually(t, "nothing of the superseded workers of "+id+" is left", func() bool {
			keys := s.keys(t, id)
			_, err := checkpoint.New(s.bus).Load(t.Context(), id, events.Finetune)
			return len(keys) == len(needed) && errors.Is(err, checkpoint.ErrNone)
		})
		for _, key := range s.keys(t, id) {
			if !needed[key] {
				t.Errorf("%s is left over", key)
			}
		}
	}
	open, err := runlister.New(s.bus).Open(t.Context())
	if err != nil || len(open) > 0 {
		t.Errorf("open runs: %v, %v", open, err)
	}
	c, err := s.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
	if err != nil {
		t.Fatal(err)
	}
	if i := c.CachedInfo(); i.NumAckPending > 0 || i.NumPending > 0 || i.Config.AckPolicy != jetstream.AckExplicitPolicy {
		t.Errorf("the consumer is %+v", i)
	}
	if strings.Contains(s.log.String(), "panic") {
		t.Error("the log shows a panic")
	}
	a.check(t, s, ids)
}

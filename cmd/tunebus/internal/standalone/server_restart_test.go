package standalone_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// restart stops the server, calls between, and starts it again on the same port and
// folder.
func (s *testServer) restart(t *testing.T, between func()) {
	t.Helper()
	u, err := url.Parse(s.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.server.Stop(); err != nil {
		t.Fatal(err)
	}
	between()
	s.server = bustest.Start(t, embedded.Options{Dir: s.opts.Dir, Listen: u.Host, RelaxedSync: true})
}

// TestWorkerAcrossServerRestart: a worker works on while NATS is down, also past a
// checkpoint that it cannot register. It registers the checkpoint at once when NATS
// is back, publishes its result, and stays the owner of its job.
func TestWorkerAcrossServerRestart(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	at3, down, at9, registered := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	s.worker(t, s.bus, trainer{steps: 10, save: 4, keep: 1, atStep: func(_ context.Context, step int64) error {
		switch step {
		case 3:
			close(at3)
			<-down
		case 9:
			close(at9)
			<-registered
		}
		return nil
	}}.Run, worker.Config{})
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	<-at3
	s.restart(t, func() {
		close(down)
		<-at9
	})
	eventually(t, "the newest checkpoint is saved", func() bool {
		cp, err := checkpoint.New(s.bus).Load(t.Context(), "r", events.Finetune)
		return err == nil && cp.Step == 8 && len(cp.Before) == 0
	})
	eventually(t, "one checkpoint is kept", func() bool { // the others are deleted after it is registered
		return strings.Count(strings.Join(s.keys(t, "r"), " "), "/manifest.json") == 1
	})
	close(registered)
	run := s.until(t, "r", "the next phase", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
	p := run.Phases[events.Finetune]
	if len(p.Attempts) != 1 || p.Completed.Conclusion != events.Success {
		t.Errorf("%d attempts, completed %+v", len(p.Attempts), p.Completed)
	}
	if n := len(storedMetrics(t, s, p.Completed)); n != 10 {
		t.Errorf("the history has %d points, want 10", n)
	}
	for _, line := range [][]string{{"checkpoint not saved", "step=4"}, {"pending checkpoint registered", "step=8"}} {
		if !s.log.hasLine(line...) {
			t.Errorf("the log does not say %q", line)
		}
	}
	s.settled(t)
}

// TestQueuedJobAcrossServerRestart: a job that was queued before a restart of the
// server is done after it.
func TestQueuedJobAcrossServerRestart(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.accept(t, "r", nil, events.Finetune)
	stop := s.worker(t, s.bus, func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
		<-ctx.Done()
		return engine.Result{}, context.Cause(ctx)
	}, worker.Config{Queue: "trl"}) // a worker of another queue
	s.restart(t, func() {})
	stop()
	s.worker(t, s.bus, noop, worker.Config{})
	began := time.Now()
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestCheckpointRetryAfterRefusal: the registration of a checkpoint that NATS refuses
// is retried soon, without a reconnect. An older checkpoint that was refused as well
// is dropped.
func TestCheckpointRetryAfterRefusal(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	bucket, err := s.js.Stream(t.Context(), "KV_"+topology.BucketCheckpoints)
	if err != nil {
		t.Fatal(err)
	}
	open := bucket.CachedInfo().Config
	full := open
	full.MaxBytes, full.Discard = 1, jetstream.DiscardNew
	if _, err := s.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	at5, registered := make(chan struct{}), make(chan struct{})
	s.worker(t, s.bus, trainer{steps: 6, save: 2, keep: 1, atStep: func(_ context.Context, step int64) error {
		if step == 5 {
			close(at5)
			<-registered
		}
		return nil
	}}.Run, worker.Config{Timing: worker.Timing{OwnershipCheckInterval: time.Hour}})
	s.accept(t, "r", nil, events.Finetune)
	<-at5
	if _, err := checkpoint.New(s.bus).Load(t.Context(), "r", events.Finetune); !errors.Is(err, checkpoint.ErrNone) {
		t.Fatalf("a checkpoint is registered in a full bucket: %v", err)
	}
	if _, err := s.js.UpdateStream(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the checkpoint is saved", func() bool {
		cp, err := checkpoint.New(s.bus).Load(t.Context(), "r", events.Finetune)
		return err == nil && cp.Step == 4
	})
	eventually(t, "one checkpoint is kept", func() bool {
		return strings.Count(strings.Join(s.keys(t, "r"), " "), "/manifest.json") == 1
	})
	close(registered)
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
}

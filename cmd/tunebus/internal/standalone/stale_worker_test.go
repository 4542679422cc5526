package standalone_test

import (
	"context"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// TestStaleWorkerSendsNoReply: a worker whose job was taken over sends neither an ack
// nor a nak, because both would act on the delivery of the new owner. So the job is
// delivered again when it has no owner, and not before.
func TestStaleWorkerSendsNoReply(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	var mu sync.Mutex
	var replies []string
	if _, err := s.js.Conn().Subscribe("$JS.ACK."+events.StreamFacts+".finetune_builtin.>", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if text := string(m.Data); text != "+WPI" { // heartbeats from before it was superseded
			replies = append(replies, text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	working, again, release := make(chan struct{}), make(chan int, 1), make(chan struct{})
	s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		if job.Attempt > 1 {
			again <- job.Attempt
			<-release
			return engine.Result{}, nil
		}
		close(working)
		<-ctx.Done()
		return engine.Result{}, context.Cause(ctx)
	}, worker.Config{})
	s.accept(t, "r", nil, events.Finetune)
	<-working
	s.publish(t, events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 2, Worker: "another"})
	if n := <-again; n != 3 {
		t.Errorf("the job is delivered again as attempt %d, want 3", n)
	}
	mu.Lock()
	if len(replies) > 0 {
		t.Errorf("the stale worker replied %q", replies)
	}
	mu.Unlock()
	close(release)
	s.ended(t, "r")
	s.settled(t)
	eventually(t, "the last reply arrives", func() bool { // the server may have it earlier
		mu.Lock()
		defer mu.Unlock()
		return len(replies) > 0
	})
	mu.Lock()
	defer mu.Unlock()
	for _, text := range replies { // an ack is repeated if the server confirms it late
		if text != "+ACK" {
			t.Errorf("the replies are %q, want +ACK alone", replies)
		}
	}
}

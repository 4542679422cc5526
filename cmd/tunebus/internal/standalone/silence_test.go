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

// TestLoserIsSilent: a worker that lost its job neither acknowledges it nor
// gives it back, since both would act on the delivery of the new holder. So
// the job comes again when nobody holds it, and not before.
func TestLoserIsSilent(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	var mu sync.Mutex
	var said []string
	if _, err := s.js.Conn().Subscribe("$JS.ACK."+events.StreamFacts+".finetune_builtin.>", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if text := string(m.Data); text != "+WPI" { // heartbeats before it knew
			said = append(said, text)
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
		t.Errorf("it comes again as attempt %d, want 3", n)
	}
	mu.Lock()
	if len(said) > 0 {
		t.Errorf("the loser said %q", said)
	}
	mu.Unlock()
	close(release)
	s.ended(t, "r")
	s.settled(t)
	eventually(t, "the test hears the end of the job", func() bool { // it may hear it behind the server
		mu.Lock()
		defer mu.Unlock()
		return len(said) > 0
	})
	mu.Lock()
	defer mu.Unlock()
	for _, text := range said { // one that the server confirms late is said again
		if text != "+ACK" {
			t.Errorf("in the end %q was said, want +ACK and nothing else", said)
		}
	}
}

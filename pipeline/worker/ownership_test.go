package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/retry"
)

// TestWatchOwnership: what ends the work, and with which cause. Every case
// happens after a second, and each watch is woken or looks every minute.
func TestWatchOwnership(t *testing.T) {
	t.Parallel()
	completed := events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 2}
	for name, c := range map[string]struct {
		facts    []events.Fact
		readErr  error
		wake     bool
		shutdown bool
		timeout  time.Duration
		cause    error         // of the end of the work; nil: it goes on
		after    time.Duration // when the work ends
		silent   bool          // the heartbeats end
		owned    bool          // the job is still owned
	}{
		"newer attempt":               {facts: []events.Fact{started(1), started(2)}, wake: true, cause: retry.ErrLost, after: time.Second, silent: true},
		"newer attempt, not notified": {facts: []events.Fact{started(1), started(2)}, cause: retry.ErrLost, after: time.Minute, silent: true},
		"completed":                   {facts: []events.Fact{started(1), completed}, wake: true, cause: retry.ErrLost, after: time.Second, silent: true},
		"cancelled":                   {facts: []events.Fact{started(1), events.CancelRequested{RunID: "r"}}, wake: true, cause: retry.ErrCancelled, after: time.Second},
		"nothing new":                 {facts: []events.Fact{started(1)}, wake: true, owned: true},
		"NATS away":                   {readErr: errors.New("no answer"), wake: true, owned: true},
		"shutdown":                    {facts: []events.Fact{started(1)}, shutdown: true, cause: engine.ErrShutdown, after: time.Second, owned: true},
		"timeout":                     {facts: []events.Fact{started(1)}, timeout: 3 * time.Second, after: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				streams := &fakeStreams{run: events.Fold([]events.Fact{started(1)})}
				a := newTestAttempt(&fakeRegistry{})
				a.policy.Timeout = c.timeout
				wakeups := newFakeSubscription()
				a.wakeups = wakeups
				silent := false
				a.stopHeartbeat = func() { silent = true }
				ctx, shutDown := context.WithCancel(t.Context())
				defer shutDown()
				began := time.Now()
				w := watchOwnership(ctx, context.WithoutCancel(ctx), a, streams, time.Minute)
				defer w.stop()
				time.Sleep(time.Second)
				streams.set(events.Fold(c.facts), c.readErr)
				if c.wake {
					wakeups.c <- struct{}{}
				}
				if c.shutdown {
					shutDown()
				}
				select {
				case <-w.workCtx.Done():
				case <-time.After(time.Hour):
				}
				cause := context.Cause(w.workCtx)
				if c.timeout > 0 {
					if e, ok := errors.AsType[*engine.JobError](cause); !ok || e.Code != "timeout" {
						t.Errorf("the work ends by %v", cause)
					}
				} else if !errors.Is(cause, c.cause) {
					t.Errorf("the work ends by %v, want %v", cause, c.cause)
				}
				if took := time.Since(began); cause != nil && took != c.after {
					t.Errorf("the work ends after %s, want %s", took, c.after)
				}
				synctest.Wait()
				if owned := w.ownedCtx.Err() == nil; owned != c.owned || silent != c.silent {
					t.Errorf("owned %t, heartbeats ended %t", owned, silent)
				}
			})
		})
	}
}

// TestNoSubscription: without notifications a watch still looks at intervals.
func TestNoSubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := &fakeStreams{run: events.Fold([]events.Fact{started(1), started(2)})}
		w := watchOwnership(t.Context(), t.Context(), newTestAttempt(&fakeRegistry{}), streams, time.Minute)
		defer w.stop()
		<-w.workCtx.Done()
		if cause := context.Cause(w.workCtx); !errors.Is(cause, retry.ErrLost) {
			t.Errorf("the work ends by %v", cause)
		}
	})
}

package delivery

import (
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
)

// TestRetriesAreLimited: a message that fails for too long becomes a dead letter,
// unless its handler limits the retries itself.
func TestRetriesAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &Router{RetryFor: time.Hour, failed: newFailures(), log: slog.New(slog.DiscardHandler)}
		route := Route{Name: "requests", Stream: events.StreamRequests}
		d := Delivery{Message: codec.Message{Sequence: 7}}
		isDead := func(err error) bool {
			_, dead := errors.AsType[*DeadLetterError](r.limitRetries(route, d, err))
			return dead
		}
		plain, bounded := io.ErrUnexpectedEOF, &RetryAfter{Err: io.EOF, Bounded: true}
		unbounded := &RetryAfter{Err: io.EOF}
		if isDead(plain) || isDead(unbounded) {
			t.Error("the first failure makes a dead letter")
		}
		time.Sleep(59 * time.Minute)
		if isDead(plain) {
			t.Error("given up before its time")
		}
		if r.limitRetries(route, d, nil) != nil || isDead(plain) {
			t.Error("a message that was handled in between begins anew")
		}
		time.Sleep(time.Hour)
		if isDead(ErrOwnershipLost) {
			t.Error("a lost job becomes a dead letter")
		}
		if isDead(plain) {
			t.Error("a lost job begins anew")
		}
		time.Sleep(time.Hour)
		if !isDead(unbounded) || !isDead(plain) {
			t.Error("not given up after an hour")
		}
		if isDead(bounded) {
			t.Error("a retry that its handler limits was given up")
		}
		err := r.limitRetries(Route{Name: "metrics", Stream: events.StreamMetrics}, d, plain)
		if !errors.Is(err, plain) || len(r.failed.since) != 0 {
			t.Errorf("metric points: %v, %v remembered", err, r.failed.since)
		}
	})
}

func TestFailuresAreBounded(t *testing.T) {
	t.Parallel()
	f := newFailures()
	for n := range uint64(10_000) {
		f.failing("route", n)
	}
	if len(f.since) > 4096 {
		t.Errorf("%d messages are remembered", len(f.since))
	}
}
